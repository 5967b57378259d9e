"""newtest annotate design on a study, and nt.design."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import invoke
from pilot_study import study_with_votes

import newtest as nt

FAST = ("--simulations", "10", "--per-class", "5", "--candidates", "15,30", "--votes", "3,5,3:20")


def run(*arguments: object) -> tuple[int, str, str]:
    done = invoke(["annotate", "design", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr or str(done.exception or "")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_command_names_the_cheapest_design(tmp_path: Path, suffix: str) -> None:
    study = study_with_votes(tmp_path / "s")
    plot = tmp_path / f"d.{suffix}"
    code, out, said = run("--study", study.root, *FAST, "--within", 30, "--plot", plot, "--json")
    assert code == 0, said
    found = json.loads(out)
    assert (found["classes"], found["originals"]) == (4, 24)
    assert found["cheapest"]["dollars"] == min(d["dollars"] for d in found["designs"])
    assert len(found["designs"]) + len(found["not_offered"]) == 6
    assert plot.read_bytes()[:4] in (b"\x89PNG", b"<?xm")
    assert "warning: few images: the pilot has votes on 96 originals" in said


def test_the_table_and_what_is_not_within_reach(tmp_path: Path) -> None:
    study = study_with_votes(tmp_path / "s")
    code, out, said = run("--study", study.root, *FAST, "--within", "0.01")
    assert code == 0, said
    assert "4 classes, 5 of the candidates drawn per class, 24 originals" in out
    assert "no design of the grid is within 0.01 points" in said
    table = nt.design(
        study.root, [15], [3, 5], within=50.0, config=nt.PlannerConfig(per_class=5, simulations=10)
    )
    assert table.best is not None
    assert list(table.table["candidates"]) == [15, 15]


def test_a_study_without_votes_is_told_to_ask_people(tmp_path: Path) -> None:
    study = study_with_votes(tmp_path / "s", votes=0)
    code, _, said = run("--study", study.root)
    assert code != 0
    assert "ask people about a few hundred images first" in said
    for bad in (
        ("--candidates", "5,x"),
        ("--votes", "3-20"),
        ("--plot", tmp_path / "d.gif"),
        ("--within", "0"),
    ):
        assert run("--study", study_with_votes(tmp_path / f"t{bad[0]}").root, *bad)[0] != 0
