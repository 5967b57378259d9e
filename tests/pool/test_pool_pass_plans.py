"""Plans of passes: printed from the command's own work on a few rows, with nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke
from pool_commands import contents

from newtest.clip import loading
from newtest.clip.conse import Conse
from newtest.errors import NewtestError
from newtest.pool import pass_plans

# One worker loads the encoder, for all tests that use it.
pytestmark = pytest.mark.xdist_group("conse")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried for about a second is tried for a tenth of one."""
    monkeypatch.setattr(pass_plans, "SECOND", 0.1)


@pytest.fixture
def shared(conse: Conse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's encoder in place of a fresh one for each plan."""
    monkeypatch.setattr(loading, "encoder", lambda name, **more: conse)


def planned(*words: str | Path) -> dict[str, Any]:
    done = invoke([*map(str, words), "--plan", "--workers", "4", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    told: dict[str, Any] = json.loads(done.stdout)
    if "rate" in told:
        hours = told["passes"] * told["rows"] / told["rate"] / 3600
        assert told["hours_here"] == pytest.approx(hours / told["here"])
        assert told["hours_on_workers"] == pytest.approx(hours / 4)
        assert told["tried"] > 0
    assert told["workers"] == 4
    assert told["hours_here"] >= 0 < told["bytes_read"]
    return told


def test_each_heavy_command_plans_and_writes_nothing(
    photo_pool: Path, datacomp: Path, tmp_path: Path, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queries.txt").write_text("vector\nwedding\n")
    before = contents(photo_pool), contents(datacomp)

    told = planned("embed-pool", photo_pool, "--model", "conse")
    assert (told["rows"], told["done"], told["shards"]) == (64, 0, 3)
    assert told["tried"] <= 64

    for command in ("dedup-pool", "decontaminate-pool"):
        told = planned(command, photo_pool, "--method", "hash")
        assert (told["rows"], told["hours_on_h100"]) == (64, None)

    told = planned("filter-pool", datacomp, "--clip-score", "--basic", "--fraction", "0.1")
    assert (told["rows"], told["passes"]) == (3501, 2)
    table_bytes = sum(path.stat().st_size for path in datacomp.glob("*.parquet"))
    assert told["bytes_read"] < table_bytes
    assert planned("filter-pool", datacomp, "--min-words", "3")["passes"] == 1
    score = "clip_b32_similarity_score"
    for given, passes in ((f"{score}<=0.5", 1), (f"{score}>=0.2", 1), (f"{score}:0.3", 2)):
        assert planned("filter-pool", datacomp, "--score", given)["passes"] == passes

    told = planned("balance-pool", datacomp, "--queries", "queries.txt")
    assert (told["rows"], told["passes"]) == (3501, 2)

    assert (contents(photo_pool), contents(datacomp)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.txt"]


def test_what_is_done_is_not_planned_again(embedded_pool: Path, tmp_path: Path, shared: None) -> None:
    told = planned("embed-pool", embedded_pool, "--model", "conse")
    assert (told["rows"], told["done"], told["hours_here"]) == (0, 64, 0)
    np.save(tmp_path / "set.npy", np.ones((10, 512), np.float32))
    plan = planned("decontaminate-pool", embedded_pool, "--against", tmp_path / "set.npy")
    assert (plan["rows"], plan["images"]) == (64, 10)
    assert plan["operations"] == 64 * 10 * plan["width"]


def test_what_cannot_be_planned_is_said(datacomp: Path) -> None:
    for words, said in (
        (("filter-pool", "--image-near", "x"), "there are no image embeddings"),
        (("decontaminate-pool",), "name at least one set"),
        (("embed-pool",), "there are no images to read"),
    ):
        done = invoke([words[0], str(datacomp), *words[1:], "--plan"])
        assert isinstance(done.exception, NewtestError), done.output
        assert said in str(done.exception), str(done.exception)
