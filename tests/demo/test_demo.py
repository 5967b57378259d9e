from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import newtest
from tutorials import stale

from newtest.demo import digits
from newtest.demo.scoring import read_scans

pytestmark = pytest.mark.xdist_group("demo")  # one demo serves all of these
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return newtest(*arguments, timeout=200, cwd=cwd)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    ended = run("demo", "--out", str(out), "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["report"] == str(out / "report.html")
    return out


def test_the_demo_draws_four_sets_and_says_what_is_simulated(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert "SIMULATED" in page and "http://" not in page.replace("http://www.w3.org", "")
    results = pd.read_csv(demo / "results.csv")
    assert results["model"].nunique() == 16 and results["group"].nunique() >= 5
    assert results.groupby("set")["n"].first().to_dict() == {
        "original": 450,
        "matched-frequency": 200,
        "matched-corrected": 200,
        "threshold-0.7": 200,
        "top-images": 200,
    }
    for name in ("matched-frequency", "matched-corrected", "threshold-0.7", "top-images"):
        folder = demo / "releases" / name
        assert "SIMULATED" in (folder / "README.md").read_text()
        checked = subprocess.run(
            ["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, capture_output=True
        )
        assert checked.returncode == 0, checked.stderr


def test_matching_beats_taking_the_top_images(demo: Path) -> None:
    """What the demo is there to show: images that everybody selects make a set that is easier than the original."""
    results = pd.read_csv(demo / "results.csv")
    accuracy = (100 * results["k"] / results["n"]).groupby(results["set"]).mean()
    gap = accuracy["original"] - accuracy
    assert gap["top-images"] < -1 < gap["matched-frequency"] < 2


def test_run_again_it_adds_nothing_and_changes_nothing(demo: Path) -> None:
    before = {
        path: path.read_bytes() for path in demo.rglob("*") if path.is_file() and "study" not in path.parts
    }
    ended = run("demo", "--out", str(demo))
    assert ended.returncode == 0, ended.stderr
    assert all(path.read_bytes() == data for path, data in before.items())


def test_the_tutorial_by_hand_shows_what_its_page_says_and_gives_the_same_set(
    demo: Path, tmp_path: Path
) -> None:
    shutil.copytree(demo, tmp_path / "newtest-demo")  # in place of a second `newtest demo`
    page = ROOT / "docs" / "tutorial-digits.md"
    assert not stale(page, tmp_path, instead={"newtest demo\n"})
    columns = ["image_id", "wnid", "file", "sha256", "num_selected", "num_shown"]
    one, two = (
        pd.read_parquet(root / "releases" / "matched-frequency" / "manifest.parquet")[columns]
        for root in (demo, tmp_path / "newtest-demo")
    )
    # Worker ids are hashed with the study's own key, the votes themselves depend on the seed alone.
    pd.testing.assert_frame_equal(one, two)
    assert (tmp_path / "newtest-demo" / "report.html").exists()


def test_a_report_of_the_study_says_what_was_built_in_words(demo: Path, tmp_path: Path) -> None:
    ended = run(
        *(
            "report",
            "html",
            "results.csv",
            "--original",
            "original",
            "--study",
            "study",
            "--out",
            str(tmp_path),
        ),
        cwd=demo,
    )
    assert ended.returncode == 0, ended.stderr
    by_study, by_demo = (json.loads((folder / "report.json").read_text()) for folder in (tmp_path, demo))
    facts = dict(by_study["facts"])
    assert facts["models scored"] == 16 and facts["classes"] == 10
    assert facts["images of original test sets"] == 450
    assert facts["SIMULATED votes"] == 10 * (facts["candidates (pairs of image and class)"] + 450)
    assert [part["set"] for part in by_study["built"]] == [
        "matched-frequency",
        "matched-corrected",
        "threshold-0.7",
        "top-images",
    ]
    assert by_study["built"] == by_demo["built"][1:]
    matched, corrected, threshold, _ = by_study["built"]
    assert matched["how"].startswith(
        "matched-frequency, 20 per class, at least 10 votes per image, bins filled upward"
    )
    assert "bias correction by mixture" in corrected["how"]
    below = [float(part["how"].split("frequency ")[1].split()[0]) for part in (matched, corrected)]
    assert below[1] < below[0], "the correction leaves less of a mismatch"
    assert "points below the original's" in matched["how"]
    assert "frequency at least 0.7" in threshold["how"]
    assert threshold["images"] == 200
    assert (
        sum(number for _, number in threshold["left_out"])
        > sum(number for _, number in matched["left_out"])
        > 0
    )
    page = (tmp_path / "report.html").read_text()
    assert "candidates left out" in page and "seed\N{NO-BREAK SPACE}0" in page


def test_the_scans_survive_their_png_files(tmp_path: Path) -> None:
    scans = digits.load()
    files = []
    for index in (0, 7, 1796):
        files.append(tmp_path / digits.file_name(index))
        files[-1].write_bytes(scans.png(index))
    np.testing.assert_array_equal(read_scans(files), scans.pixels[[0, 7, 1796]])


def test_the_heaps_do_not_overlap_and_the_pool_is_harder() -> None:
    scans = digits.load()
    heaps = digits.deal(scans, seed=0)
    train, original, pool = set(heaps.train), set(heaps.original["index"]), set(heaps.pool["index"])
    assert not train & original and not original & pool and not train & pool
    assert len(train | original | pool) == 1797
    assert scans.ambiguity[sorted(pool)].mean() > scans.ambiguity[sorted(original)].mean()
    chance = digits.tendencies(scans, heaps.pool)
    right = scans.digit[heaps.pool["index"]] == heaps.pool["digit"]
    assert chance[right].mean() > 0.8 > 0.2 > chance[~right].mean()
