"""The commands, as a stranger would type them."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newtest.cli import main


@dataclass(frozen=True)
class Done:
    """What a command printed and answered."""

    returncode: int
    stdout: str
    stderr: str


def newtest(*words: object) -> Done:
    """The command line itself, in this process: forty interpreters would take a minute to start."""
    printed, said = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        patch.setattr(sys, "argv", ["newtest", *map(str, words)])
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Done(code, printed.getvalue(), said.getvalue())


def out(*words: object) -> str:
    done = newtest(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten models on an original and a new set of 300 images, with votes."""
    root = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    for name, shift in (("old", 0.0), ("new", 0.1)):
        labels = rng.integers(0, 4, 300)
        frame = pd.DataFrame(
            {"image_id": [f"{name}{at}" for at in range(300)], "label": labels, "num_shown": 10}
        )
        frame["num_selected"] = rng.binomial(10, 0.7, 300)
        frame.to_csv(root / f"{name}.csv", index=False)
        answers = {"image_id": frame["image_id"]}
        for at, share in enumerate(np.linspace(0.45, 0.9, 10)):
            answers[f"m{at}"] = np.where(rng.random(300) < share - shift, labels, (labels + 1) % 4)
        pd.DataFrame(answers).to_parquet(root / f"{name}-answers.parquet")
        out(
            "evaluate",
            root / f"{name}.csv",
            "--predictions",
            root / f"{name}-answers.parquet",
            "--out",
            root / "results",
        )
    return root / "results"


def test_evaluate_says_which_failed_and_goes_on(results: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.zeros(3, dtype=int))
    np.save(tmp_path / "fine.npy", pd.read_csv(results.parent / "old.csv")["label"].to_numpy())
    command = ["evaluate", results.parent / "old.csv", "--out", tmp_path / "o", "--json"]
    done = newtest(*command, "--predictions", tmp_path / "short.npy", "--predictions", tmp_path / "fine.npy")
    assert done.returncode == 1
    assert "failed: short.npy: short: 3 predictions for the 300 images of old" in done.stderr
    found = json.loads(done.stdout)
    assert [(row["model"], row["k"], row["n"]) for row in found["results"]] == [("fine", 300, 300)]
    assert set(found["results"][0]) >= {"set", "set_hash", "preprocessing"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["evaluate", "nothing.csv"], 2, "nothing to score"),
        (["evaluate", "nothing.csv", "--predictions", "x.npy"], 1, "nothing.csv: no such file or folder"),
        (["report", "line", "nothing.csv", "--x", "a", "--y", "b"], 1, "nothing.csv: no such file"),
        (
            ["report", "line", "RESULTS", "--x", "old", "--y", "new", "--scale", "log"],
            2,
            "known are logit, probit, linear",
        ),
        (["report", "line", "RESULTS", "--x", "old", "--y", "newer"], 1, "sets are new, old"),
        (["report", "table", "RESULTS", "--unit", "x"], 2, "--unit x"),
        (["report", "table", "RESULTS", "--metric", "x"], 1, "no metric 'x'"),
        (["report", "table", "RESULTS", "--format", "word"], 2, "known are markdown, csv, latex"),
        (["report", "compare", "RESULTS", "--set", "b"], 1, "it is for: new, old"),
        (["report", "shift", "nothing.npy"], 1, "cannot be read as embeddings"),
        (
            ["report", "html", "RESULTS", "--original", "x", "--out", "OUT"],
            1,
            "no results on the original set 'x'",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    results: Path, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    given = [{"RESULTS": results, "OUT": tmp_path / "page"}.get(word, word) for word in words]
    done = newtest(*given)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_testbed_is_read_as_it_is(data: Path) -> None:
    new = "imagenetv2-matched-frequency-format-val"
    words = ["--x", "val", "--y", new, "--scale", "logit", "--group", "STANDARD", "--json"]
    found = json.loads(out("report", "line", data / "testbed" / "robustness_top1s.csv", *words))
    assert (found["n"], round(found["slope"], 5), round(found["intercept"], 5)) == (85, 0.92323, -0.49769)
    rho = {row["model"]: row["rho"] for row in found["models"]}
    assert round(rho["resnet50_clip_zeroshot"], 2) == 5.79
    assert set(found["intervals"]["over_models"]) == {"slope", "intercept", "r2"}


def test_every_report_prints_and_speaks_json(results: Path, tmp_path: Path) -> None:
    assert out("report", "table", results, "--original", "old").startswith(
        "| model | old | new | new change | new rank |"
    )
    assert "\\toprule" in out("report", "table", results, "--format", "latex")
    assert (
        len(json.loads(out("report", "table", results, "--by", "frequency", "--set", "new", "--json")))
        == 10 * 4
    )
    line = json.loads(
        out("report", "line", results, "--x", "old", "--y", "new", "--json", "--figure", tmp_path / "l.svg")
    )
    assert line["intervals"]["images_paired"] is True
    assert (tmp_path / "l.svg").read_text().startswith("<?xml")
    gap = json.loads(out("report", "gap", results, "--original", "old", "--new", "new", "--json"))
    assert gap["adjusted"]["pool_used"] is False
    assert gap["adaptivity_and_distribution"][0] < gap["mean"] < gap["adaptivity_and_distribution"][1]
    assert "at equal true selection frequencies" in out(
        "report", "gap", results, "--original", "old", "--new", "new"
    )
    compared = json.loads(out("report", "compare", results, "--set", "new", "--against", "old", "--json"))
    assert len(compared["pairs"]) == compared["power"]["pairs"] == 45
    assert compared["ranks"]["spearman"] > 0.5
    assert "pairs are told apart" in out(
        "report", "compare", results, "--set", "new", "--model", "m1", "--model", "m9"
    )
    alike = json.loads(
        out("report", "similarity", results, "--set", "new", "--json", "--figure", tmp_path / "s.png")
    )
    assert len(alike["matrix"]) == 10
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    assert "if independent" in out("report", "similarity", results, "--set", "new")


def test_shift_and_overlap(results: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at, name in enumerate("abc"):
        np.savez(
            tmp_path / f"{name}.npz", embeddings=rng.normal(size=(60, 5)) + at, labels=rng.integers(0, 2, 60)
        )
    (tmp_path / "ids.txt").write_text("\n".join(f"new{at}" for at in range(50)))
    words = [
        *(tmp_path / f"{name}.npz" for name in "abc"),
        "--overlap",
        tmp_path / "ids.txt",
        "--results",
        results,
        "--set",
        "new",
    ]
    found = json.loads(out("report", "shift", *words, "--json"))
    assert [row["set"] for row in found["apart"]] == ["b", "c"]
    assert found["apart"][1]["auc"] > 0.9
    assert len(found["overlap"]) == 10
    assert "name that dataset" in out("report", "shift", *words)


def test_the_page_has_what_the_sets_know(results: Path, tmp_path: Path) -> None:
    page = Path(out("report", "html", results, "--original", "old", "--out", tmp_path / "page").strip())
    numbers = json.loads(page.with_name("report.json").read_text())
    assert [part["set"] for part in numbers["by_frequency"]] == ["old", "new"]
    assert numbers["comparisons"][0]["line"]["n"] == 10
    assert any("counts of the pool" in warning for warning in numbers["warnings"])
    assert "The gap at equal frequencies" in page.read_text()
    assert "How the predictions were read" in page.read_text()
    read = [
        (part["set"], len(part["models"]), part["columns"], part["key"], part["kind"])
        for part in numbers["read"]
    ]
    assert read == [(name, 10, "its own column", "image_id", "labels") for name in ("old", "new")]
    assert {part["class_rule"] for part in numbers["read"]} == {"by name; among all 4 classes"}


def test_one_model_only_still_has_a_table_and_a_page(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("model,set,k,n\na,old,80,100\na,new,75,100\n")
    assert "75.00 [65.34, 83.12] | -5.00 | 0 |" in out(
        "report", "table", tmp_path / "t.csv", "--original", "old"
    )
    out("report", "html", tmp_path / "t.csv", "--original", "old", "--out", tmp_path / "page")
    assert "at least 8 are needed" in (tmp_path / "page" / "report.html").read_text()
    done = newtest("report", "line", tmp_path / "t.csv", "--x", "old", "--y", "new")
    assert done.returncode == 1
    assert "no line from 1 models" in done.stderr


def test_a_gap_names_a_model_that_evaluate_warned_of_and_can_leave_it_out(tmp_path: Path) -> None:
    """One of three models has its classes numbered from 1: its accuracy is near 0 on both sets."""
    rng = np.random.default_rng(1)
    for name in ("old", "new"):
        labels = rng.integers(0, 4, 200)
        ids = [f"{name}{at}" for at in range(200)]
        pd.DataFrame({"image_id": ids, "label": labels}).to_csv(tmp_path / f"{name}.csv", index=False)
        answers = {
            m: np.where(rng.random(200) < 0.8, labels, rng.integers(0, 4, 200)) for m in ("good", "fair")
        }
        answers["shifted"] = np.minimum(answers["good"] + 1, 3)
        pd.DataFrame({"image_id": ids, **answers}).to_csv(tmp_path / f"{name}-answers.csv", index=False)
        ran = newtest(
            "evaluate", tmp_path / f"{name}.csv", "--name", name,
            "--predictions", tmp_path / f"{name}-answers.csv", "--out", tmp_path / "r",
        )  # fmt: skip
        assert "shifted: the classes may be permuted" in ran.stderr
    words = ["report", "gap", tmp_path / "r", "--original", "old", "--new", "new"]
    whole = newtest(*words, "--json")
    assert json.loads(whole.stdout)["models"] == 3
    for name in ("old", "new"):
        assert f"warning: {name}: shifted: evaluate warned of this number, which counts here" in whole.stderr
    rest = newtest(*words, "--exclude", "shi*", "--json")
    assert "shifted" not in rest.stderr and "shifted" not in rest.stdout
    assert json.loads(rest.stdout)["models"] == 2
    assert "names no model" in newtest(*words, "--exclude", "nobody").stderr
