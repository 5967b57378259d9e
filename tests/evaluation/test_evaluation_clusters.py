"""Images in groups: intervals that know it, and the worst of a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.clusters import clustered, differences, worst_of


def drawn(rng: np.random.Generator, groups: int, size: int, shared: float) -> tuple[pd.DataFrame, pd.Series]:
    """Two models on groups of images; a share of the groups is right or wrong as a whole."""
    rows = []
    for _ in range(2):
        whole = np.repeat(rng.random(groups) < 0.7, size)
        alone = rng.random(groups * size) < 0.7
        rows.append(np.where(np.repeat(rng.random(groups) < shared, size), whole, alone))
    column = pd.Series(np.repeat([f"video {at}" for at in range(groups)], size), name="video")
    return pd.DataFrame(np.stack(rows), index=["a", "b"]), column


def test_the_error_is_that_of_a_ratio_by_hand() -> None:
    """Groups of 2, 1 and 3 images with 2, 0 and 2 right: p = 4/6, residuals 2/3, -2/3, 0."""
    correct = pd.DataFrame([[True, True, False, True, True, False]], index=["m"])
    column = pd.Series(["x", "x", "y", "z", "z", "z"], name="g")
    row = clustered(correct, column).iloc[0]
    assert (row["k"], row["n"], row["groups"]) == (4, 6, 3)
    assert row["se"] == pytest.approx(100 * np.sqrt(3 / 2 * (4 / 9 + 4 / 9)) / 6)
    alone = clustered(correct, pd.Series([None] * 6, name="g")).iloc[0]
    share = 4 / 6
    assert alone["se"] == pytest.approx(100 * np.sqrt(share * (1 - share) / 5)), (
        "separate images: the usual error"
    )
    with pytest.raises(EvaluationError, match="'g' has one group"):
        clustered(correct, pd.Series(["x"] * 6, name="g"))


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_intervals_cover_where_images_are_right_together(shared: float) -> None:
    """300 sets of 60 groups of 10; separate images would give intervals that are up to three times too short."""
    rng = np.random.default_rng(0)
    hits, paired = 0, 0
    pair = pd.DataFrame({"better": ["a"], "worse": ["b"]})
    for _ in range(300):
        correct, column = drawn(rng, 60, 10, shared)
        row = clustered(correct, column).iloc[0]
        hits += row["lo"] <= 70 <= row["hi"]
        between = differences(correct, column, pair).iloc[0]
        paired += between["lo"] <= 0 <= between["hi"]
    assert 0.91 <= hits / 300 <= 0.985
    assert 0.91 <= paired / 300 <= 0.985


def test_the_worst_of_a_group_is_pm_k() -> None:
    correct = pd.DataFrame([[True, True, False, True, True, False], [True] * 6], index=["m", "all"])
    column = pd.Series(["x", "x", "y", "z", "z", "z"], name="anchor")
    found = worst_of(correct, column).set_index("model")
    assert found[["k", "n"]].to_numpy().tolist() == [[1, 3], [3, 3]]
    assert found.loc["m", "accuracy"] == pytest.approx(100 / 3)
