"""The gap in parts: simulated sets whose parts are known, and the arithmetic of the split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import here

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.gap_parts import MeasuredSet, gap_parts
from newtest.evaluation.analysis.measured import by_metric, split_gap
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.loading import load
from newtest.frequency.counts import VoteCounts

IMAGES = 40_000


def simulated(
    rng: np.random.Generator, share: float, ends: tuple[tuple[float, float], tuple[float, float]], loss: float
) -> MeasuredSet:
    """s is even between the ends (of images with one label, with several); P(right) = .2 + .7 s - .2 several - loss."""
    several = rng.random(IMAGES) < share
    low, high = (np.where(several, ends[1][at], ends[0][at]) for at in (0, 1))
    s = low + (high - low) * rng.random(IMAGES)
    right = rng.binomial(10, 0.2 + 0.7 * s - 0.2 * several - loss) / 10
    votes = VoteCounts(rng.binomial(20, s), np.full(IMAGES, 20))
    return MeasuredSet(right, several, votes)


def test_each_part_is_within_three_tenths_of_a_point_of_what_was_simulated() -> None:
    """Shares 10 and 30 %; s is .3 higher in the original; 3 points are lost for no reason.

    By hand, s and the kind of image being independent: several = .2 x (.3 - .1), frequency = .7 x .3, rest = .03.
    """
    rng = np.random.default_rng(5)
    original = simulated(rng, 0.1, ((0.5, 1.0), (0.5, 1.0)), 0.0)
    new = simulated(rng, 0.3, ((0.2, 1.0), (0.2, 1.0)), 0.03)
    found = gap_parts(original, new, replicates=2)
    assert found.frequency is not None
    assert found.several is not None
    assert found.several.points == pytest.approx(4.0, abs=0.3)
    assert found.frequency.points == pytest.approx(70 * 0.15, abs=0.3)
    assert found.rest.points == pytest.approx(3.0, abs=0.3)
    total = found.frequency.points + found.several.points + found.rest.points
    assert found.observed.points == pytest.approx(total)
    assert found.observed.points == pytest.approx(original.accuracy - new.accuracy)
    assert (round(found.share_original or 0), round(found.share_new or 0)) == (10, 30)


def test_what_both_explain_is_dealt_to_both() -> None:
    """Images with several labels have lower frequencies, too: the order of the two plays no part (Shapley)."""
    rng = np.random.default_rng(6)
    original = simulated(rng, 0.1, ((0.6, 1.0), (0.2, 0.6)), 0.0)
    new = simulated(rng, 0.4, ((0.6, 1.0), (0.2, 0.6)), 0.0)
    found = gap_parts(original, new, replicates=2)
    # A_M = A_FM: the kind explains everything, and so does the frequency, for the kinds are s > .6 and s < .6.
    whole = 100 * 0.3 * (0.7 * 0.4 + 0.2)
    assert found.observed.points == pytest.approx(whole, abs=0.4)
    assert found.several is not None
    assert found.frequency is not None
    assert found.rest.points == pytest.approx(0, abs=0.3)
    assert found.several.points == pytest.approx(whole / 2, abs=0.9)
    assert found.frequency.points == pytest.approx(whole / 2, abs=0.9)


def test_only_labels_by_hand_and_the_same_seed_gives_the_same_numbers() -> None:
    """8 of 10 with one label; original 6/6 + 1/4 of 10, new 4/4 + 1/6 of 10: A_M = .6 x 1 + .4 x 1/6."""
    original = MeasuredSet(np.array([1.0] * 6 + [1, 0, 0, 0]), np.array([False] * 6 + [True] * 4))
    new = MeasuredSet(np.array([1.0] * 4 + [1, 0, 0, 0, 0, 0]), np.array([False] * 4 + [True] * 6))
    found = gap_parts(original, new, seed=3)
    assert found.frequency is None
    assert found.several is not None
    assert found.observed.points == pytest.approx(20)
    assert found.several.points == pytest.approx(100 * (0.6 + 0.4 / 6) - 50)
    assert found.rest.points == pytest.approx(70 - 100 * (0.6 + 0.4 / 6))
    assert found == gap_parts(original, new, seed=3)


def test_what_cannot_be_split_is_said() -> None:
    plain = MeasuredSet(np.ones(4))
    with pytest.raises(EvaluationError, match="both sets need votes, or several labels per image"):
        gap_parts(plain, plain)
    one, two = (MeasuredSet(np.ones(4), np.array(kind)) for kind in ([True, False, True, False], [False] * 4))
    with pytest.raises(EvaluationError, match="the new set has no image with several labels"):
        gap_parts(one, two)
    with pytest.raises(EvaluationError, match="one value of each kind per image"):
        MeasuredSet(np.ones(3), np.ones(4, dtype=bool))


def test_clusters_widen_the_intervals() -> None:
    """Groups of 20 that are right or wrong together count as one image each: errors about sqrt(20) times larger."""
    rng = np.random.default_rng(1)
    several = np.repeat(rng.random(200) < 0.3, 20)
    right = np.repeat((rng.random(200) < 0.7).astype(float), 20)
    alone = MeasuredSet(right, several)
    grouped = MeasuredSet(right, several, clusters=np.repeat(np.arange(200), 20))
    errors = [gap_parts(one, one, replicates=200).observed.error for one in (alone, grouped)]
    assert 3.5 < errors[1] / errors[0] < 5.5


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A model on two sets with lists of labels: on images with two it says the second half of the time."""
    rng = np.random.default_rng(2)
    for name, share in (("val", 0.1), ("new", 0.4)):
        given = rng.integers(0, 3, 300)
        several = np.arange(300) < 300 * share
        cells = [[int(g), int((g + 1) % 3)] if m else [int(g)] for g, m in zip(given, several, strict=True)]
        frame = pd.DataFrame(
            {"image_id": [f"{name}{at}" for at in range(300)], "label": cells, "page": np.arange(300) // 10}
        )
        frame.to_parquet(tmp_path / f"{name}.parquet")
        answers = np.where(several & (rng.random(300) < 0.5), (given + 1) % 3, given)
        np.save(tmp_path / "m.npy", answers)
        evaluate(
            str(tmp_path / f"{name}.parquet"), EvaluateConfig((tmp_path / "m.npy",), out=tmp_path / "results")
        )
    return tmp_path / "results"


def test_the_gap_by_the_given_label_is_that_of_multi_label_images(results: Path) -> None:
    loaded = load([results])
    sets = [by_metric(loaded.set(name), "given") for name in ("val", "new")]
    found = split_gap(*sets)
    assert found.several is not None
    assert found.several.points == pytest.approx(15, abs=3)
    assert found.rest.points == pytest.approx(0, abs=3)
    any_of = split_gap(*(by_metric(loaded.set(name), "any_of") for name in ("val", "new")))
    assert any_of.observed.points == 0
    with pytest.raises(EvaluationError, match="is kept for top1, any_of and given alone"):
        by_metric(loaded.set("val"), "map11")


def test_report_gap_prints_the_parts(results: Path) -> None:
    command = ["report", "gap", str(results), "--original", "val", "--new", "new"]
    done = here(*command, "--metric", "given", "--cluster", "page", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["mean"] == pytest.approx(found["parts"]["observed"]["points"])
    assert found["parts"]["share_new"] == pytest.approx(40)
    assert found["parts"]["frequency"] is None
    assert found["by_model"][0]["lo"] < found["mean"] < found["by_model"][0]["hi"]
    shown = here(*command, "--metric", "given")
    assert "share of multi-label images" in shown.stdout
    assert "10.0 % of the original, 40.0 % of the new set" in shown.stdout


def test_a_set_without_labels_beside_one_with_them_is_said(results: Path, tmp_path: Path) -> None:
    pd.DataFrame({"image_id": ["p", "q"], "label": [0, 1]}).to_csv(tmp_path / "plain.csv", index=False)
    np.save(tmp_path / "m.npy", np.array([0, 1]))
    evaluate(str(tmp_path / "plain.csv"), EvaluateConfig((tmp_path / "m.npy",), out=results))
    command = ["report", "gap", str(results), "--original", "val", "--new", "plain"]
    done = here(*command)
    assert "no parts of the gap: both sets need votes, or several labels per image" in done.stderr
