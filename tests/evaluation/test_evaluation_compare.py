"""Comparisons, similarity, shift, and the gap at equal frequencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.compare import (
    holm,
    mcnemar,
    paired_bootstrap,
    pairs,
    power,
    rank_correlations,
)
from newtest.evaluation.analysis.frequency_gap import adjusted, by_frequency
from newtest.evaluation.analysis.shift import (
    cross_dataset,
    fit_softmax,
    name_that_dataset,
    overlap,
    tell_apart,
)
from newtest.evaluation.analysis.similarity import agreement, rankable, similarity, without
from newtest.evaluation.scoring.embeddings import read_embeddings
from newtest.evaluation.scoring.score import Score
from newtest.evaluation.scoring.sets import make_set
from newtest.evaluation.scoring.store import StoredSet, read_store, write_scores
from newtest.frequency.counts import VoteCounts

counts = st.integers(0, 200)


def matrix(models: int = 4, images: int = 500, seed: int = 0) -> pd.DataFrame:
    """Models that share what is hard: correct where an image's ease exceeds the model's weakness."""
    rng = np.random.default_rng(seed)
    ease = rng.random(images)
    weak = np.linspace(0.2, 0.5, models)[:, None]
    return pd.DataFrame(
        (ease + rng.normal(0, 0.1, (models, images))) > weak, index=[f"m{at}" for at in range(models)]
    )


@settings(deadline=None, max_examples=50)
@given(counts, counts)
def test_mcnemar_is_exact_and_symmetric(b: int, c: int) -> None:
    p = float(mcnemar(b, c))
    assert p == pytest.approx(float(mcnemar(c, b)))
    assert p == pytest.approx(binomtest(b, b + c).pvalue if b + c else 1.0, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_is_monotone_and_no_smaller(p: list[float]) -> None:
    adjusted_p = holm(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted_p[order]) >= 0).all()
    assert (adjusted_p >= np.array(p)).all()
    assert adjusted_p.max() <= 1
    assert adjusted_p[order[0]] == pytest.approx(min(1, p[order[0]] * len(p)))


def test_pairs_agree_with_the_general_bootstrap() -> None:
    correct = matrix()
    found = pairs(correct, resamples=300)
    assert len(found) == 6
    assert (found["difference"] >= 0).all()
    row = found.iloc[0]
    right = correct.loc[[row["better"], row["worse"]]].to_numpy()
    assert (row["only_better"], row["only_worse"]) == (
        (right[0] & ~right[1]).sum(),
        (right[1] & ~right[0]).sum(),
    )
    low, high = paired_bootstrap(
        lambda at: 100 * np.diff(right[::-1][:, at].mean(axis=1)), 500, resamples=300
    )
    assert (row["lo"], row["hi"]) == (pytest.approx(low[0], abs=1e-4), pytest.approx(high[0], abs=1e-4))


def test_equal_models_cannot_be_told_apart_by_any_set() -> None:
    one = matrix(1)
    found = pairs(pd.concat([one, one.rename(index={"m0": "twin"})]))
    assert found.loc[0, ["p", "p_holm", "difference", "lo", "hi"]].tolist() == [1, 1, 0, 0, 0]
    strength = power(found, 500)
    assert strength.told_apart == 0
    assert strength.images_for == {"0.5": None, "0.8": None, "0.95": None}
    assert rank_correlations([1, 1], [2, 2]) == {"spearman": None, "kendall": None}


def test_power_needs_more_images_for_smaller_differences() -> None:
    found = pairs(matrix(6), resamples=50)
    sizes = power(found, 500).images_for
    assert sizes["0.5"] is not None
    assert sizes["0.95"] is not None
    assert sizes["0.5"] <= sizes["0.95"]


@pytest.mark.parametrize(
    ("correct", "words"), [(matrix(1), "at least 2"), (matrix(2).iloc[:, :0], "no images")]
)
def test_nothing_to_compare(correct: pd.DataFrame, words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        pairs(correct)


def test_agreement_by_hand() -> None:
    correct = pd.DataFrame([[1, 1, 0, 0], [1, 0, 0, 0]], index=["f", "g"]).astype(bool)
    observed, independent = agreement(correct)
    assert observed.to_numpy().tolist() == [[1, 0.75], [0.75, 1]]
    assert independent.loc["f", "g"] == pytest.approx(0.5 * 0.25 + 0.5 * 0.75)


def test_alike_models_can_be_ranked_in_greater_number() -> None:
    found = similarity(matrix(5, 20_000), margin=1)
    assert found.agreement > found.independent
    assert found.rankable > found.rankable_independent
    assert rankable(10**9, 0.2) == float("inf")
    assert similarity(matrix(2, 20_000), margin=50).to_json()["rankable"] is None
    with pytest.raises(EvaluationError, match="at least 2"):
        similarity(matrix(1))


def test_the_same_distribution_cannot_be_told_apart() -> None:
    inside = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        same = tell_apart(rng.normal(size=(300, 16)), rng.normal(size=(200, 16)), resamples=100)
        inside += same.lo < 0.5 < same.hi
    assert inside >= 7, "a 95 % interval"
    moved = tell_apart(rng.normal(size=(300, 16)), rng.normal(size=(200, 16)) + 0.5)
    assert moved.lo > 0.8


def test_name_that_dataset_and_across() -> None:
    rng = np.random.default_rng(1)
    sets = {name: rng.normal(size=(150, 8)) + at for at, name in enumerate(("a", "b", "c"))}
    named = name_that_dataset(sets)
    assert named.lo > named.chance
    assert named.confusion.sum() == named.n == 450
    labels = {name: rng.integers(0, 3, 150) for name in sets}
    centres = rng.normal(size=(3, 8)) * 3
    table = cross_dataset(
        {n: (x + centres[labels[n]] * (1 if n != "c" else -1), labels[n]) for n, x in sets.items()}
    )
    assert table.loc["a", "a"] > 90
    assert table.loc["c", "drop"] > 30, "c's classes are mirrored"


def test_embeddings_that_do_not_fit(tmp_path: Path) -> None:
    good = np.random.default_rng(0).normal(size=(30, 4))
    for bad, words in ((good[:5], "20 or more"), (good[:, :3], "different widths"), (good * np.nan, "NaN")):
        with pytest.raises(EvaluationError, match=words):
            tell_apart(good, bad)
    np.savez(tmp_path / "x.npz", vectors=good)
    with pytest.raises(EvaluationError, match="no array 'embeddings' in it; there are vectors"):
        read_embeddings(tmp_path / "x.npz")


def test_overlap_with_training() -> None:
    correct = matrix(2)
    seen = np.arange(500) < 100
    correct.loc["m1", list(range(100))] = True
    table = overlap(correct, seen).set_index("model")
    assert table.loc["m1", "overlap"] == 100
    assert table.loc["m1", "p"] < 1e-6
    assert table.loc["m0", "p"] > 1e-3
    assert table.loc["m1", "gain"] > 0
    with pytest.raises(EvaluationError, match="none of the images overlap"):
        overlap(correct, np.zeros(500, dtype=bool))


def stored(root: Path, name: str, k: np.ndarray, correct: np.ndarray) -> StoredSet:
    ids = [f"{name}{at}" for at in range(len(k))]
    evaluated = make_set(
        pd.DataFrame({"image_id": ids, "class": "c", "num_selected": k, "num_shown": 10}), name
    )
    write_scores(
        root, evaluated, [Score("m", name, int(correct.sum()), len(k), evaluated.hash, "f", "", correct)]
    )
    return next(one for one in read_store(root) if one.name == name)


def test_the_false_gap_of_the_closed_form_vanishes_with_the_pool(tmp_path: Path) -> None:
    """Original Beta(4, 1.5), pool Beta(2, 2), P(correct | s) = .15 + .8 s: matching at n = 10 leaves 5.19 points."""
    rng = np.random.default_rng(0)
    s = rng.beta(4, 1.5, 6000)
    k = rng.binomial(10, s)
    pool = rng.beta(2, 2, 120_000)
    kp = rng.binomial(10, pool)
    drawn = np.concatenate(
        [rng.choice(np.flatnonzero(kp == n), (k == n).sum(), replace=False) for n in range(11)]
    )
    original = stored(tmp_path, "original", k, rng.random(6000) < 0.15 + 0.8 * s)
    new = stored(tmp_path, "new", kp[drawn], rng.random(6000) < 0.15 + 0.8 * pool[drawn])
    naive = adjusted(original, new)
    assert naive["observed"] == pytest.approx(5.19, abs=2)
    assert "counts of the pool" in str(naive["warnings"])
    mended = adjusted(original, new, pool=VoteCounts(kp, np.full(len(kp), 10)))
    assert abs(float(str(mended["adjusted"]))) < 3 * float(str(mended["adjusted_error"]))
    bins = by_frequency(original).to_json()["bins"]
    assert isinstance(bins, list)
    assert [row["images"] for row in bins] == np.bincount(np.minimum(k // 2, 4), minlength=5).tolist()


def test_pictures_that_both_sets_hold_are_counted() -> None:
    """The same set twice comes out far below 0.5, which says nothing of a shift."""
    one = np.random.default_rng(0).normal(size=(100, 8))
    same = tell_apart(one, one.astype(np.float32))
    assert (same.shared, same.hi < 0.5) == (100, True)
    assert tell_apart(one, np.random.default_rng(1).normal(size=(100, 8))).shared == 0


def test_rank_correlations_pass_over_holes_and_share_ties() -> None:
    found = rank_correlations([1, 1, 2, np.nan, 5], [1, 2, 2, 9, np.nan])
    assert found == {"spearman": pytest.approx(0.5), "kendall": pytest.approx(0.5)}


def test_fewer_than_six_images_that_differ_tell_nothing_apart() -> None:
    """Connor's formula says 4; the exact test of 5 images that one model alone gets right is at 0.0625."""
    found = pairs(pd.DataFrame([[True] * 5, [False] * 5], index=["a", "b"]), resamples=20)
    assert found["p"].tolist() == [0.0625]
    assert power(found, 5).images_for == {"0.5": 6, "0.8": 6, "0.95": 6}


def test_a_negative_class_is_not_the_last_one() -> None:
    one = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(EvaluationError, match="b: a class is negative"):
        cross_dataset({"a": (one, np.arange(20) % 3), "b": (one, np.arange(20) % 3 - 1)})


def test_models_are_left_out_of_the_similarity_by_pattern() -> None:
    correct = pd.DataFrame(np.eye(4, dtype=bool), index=["vit_b", "vit_l", "cnn", "fv_4k"])
    assert without(correct, ["vit_*", "fv_4k"]).index.tolist() == ["cnn"]
    assert without(correct, []).equals(correct)
    with pytest.raises(EvaluationError, match=r"`exclude` 'bert\*' names no model"):
        without(correct, ["bert*"])


@pytest.mark.parametrize("classes", [2, 4])
def test_the_softmax_of_scikit_learn_is_at_the_minimum_of_our_loss(classes: int) -> None:
    """Mean cross-entropy + penalty / 2 |W|^2: its gradient is 0 there; a class without samples is never answered."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 12))
    labels = (x[:, :classes] + rng.normal(size=(300, classes))).argmax(axis=1)
    weights = fit_softmax(x, labels, classes + 1, penalty=0.05)
    scores = x @ weights[:-1] + weights[-1]
    assert (scores[:, classes] == -np.inf).all()
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    gradient = x.T @ (p - np.eye(classes + 1)[labels]) / len(x) + 0.05 * weights[:-1]
    assert np.abs(gradient).max() < 1e-4
