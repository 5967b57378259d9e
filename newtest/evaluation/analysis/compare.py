"""Which models a set can tell apart: exact McNemar with Holm's correction, paired bootstrap, rank correlations, power.

Models are compared on the same images, so the comparison is paired. An original and a new set hold different images:
they are never compared here (see ``gap``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betainc, ndtri
from scipy.stats import kendalltau, spearmanr

from newtest.draws import generator
from newtest.errors import EvaluationError

__all__ = ["Power", "holm", "mcnemar", "paired_bootstrap", "pairs", "power", "rank_correlations"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_MODELS = 1500
"""All pairs of so many are a million tests; more are a mistake."""


@dataclass(frozen=True)
class Power:
    """What a set of this size can tell apart, among the pairs of models as they were observed."""

    images: int
    pairs: int
    told_apart: int
    """Pairs with a Holm-corrected p below ``alpha``."""
    images_for: dict[str, int | None]
    """Share of the pairs ("0.5", "0.8", "0.95") -> images at which so many would be told apart one by one with the
    power wanted; None where pairs without any observed difference make that impossible."""
    alpha: float
    wanted: float


def mcnemar(only_f: npt.ArrayLike, only_g: npt.ArrayLike) -> Floats:
    """Two-sided exact McNemar p-values: ``only_f`` images that f alone gets right, ``only_g`` that g alone does.

    p = min(1, 2 P[Bin(b + c, 1/2) <= min(b, c)]); 1 where nothing differs. Symmetric in f and g.
    """
    b, c = np.broadcast_arrays(np.asarray(only_f, dtype=np.float64), np.asarray(only_g, dtype=np.float64))
    low, total = np.minimum(b, c), b + c
    # P[Bin(n, 1/2) <= k] is the regularised incomplete beta function I_{1/2}(n - k, k + 1).
    tail = betainc(np.maximum(total - low, 1), low + 1, 0.5)
    return np.where(total == 0, 1.0, np.minimum(1.0, 2 * tail))


def holm(p: npt.ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values (1979), in the order given: monotone in p, never below it, at most 1."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def pairs(
    correct: pd.DataFrame, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """All pairs of models on one set, surest first.

    ``correct`` has models as its index and images as its columns. Columns: ``better``, ``worse``, ``difference`` with
    ``lo`` and ``hi`` (points; paired bootstrap over images, percentile), ``only_better``, ``only_worse``
    (images), ``p`` (exact McNemar) and ``p_holm``. Raises EvaluationError for fewer than 2 models, no images
    or too many models.
    """
    names = [str(name) for name in correct.index]
    if len(names) < 2:
        raise EvaluationError(f"nothing to compare: {len(names)} models on this set, at least 2 are needed")
    if len(names) > MOST_MODELS:
        raise EvaluationError(
            f"{len(names)} models are too many pairs; choose up to {MOST_MODELS} with `models`"
        )
    if correct.shape[1] == 0:
        raise EvaluationError("nothing to compare: the set has no images")
    right = correct.to_numpy(dtype=np.float32)
    k = right.sum(axis=1).round().astype(np.int64)
    both = (right @ right.T).round().astype(np.int64)
    one, two = np.triu_indices(len(names), 1)
    one, two = np.where(k[one] >= k[two], one, two), np.where(k[one] >= k[two], two, one)
    only_one, only_two = k[one] - both[one, two], k[two] - both[one, two]
    p = mcnemar(only_one, only_two)
    low, high = _difference_intervals(right, one, two, resamples, level, seed)
    found = pd.DataFrame(
        {
            "better": np.array(names)[one],
            "worse": np.array(names)[two],
            "difference": 100 * (k[one] - k[two]) / right.shape[1],
            "lo": low,
            "hi": high,
            "only_better": only_one,
            "only_worse": only_two,
            "p": p,
            "p_holm": holm(p),
        }
    )
    return found.sort_values(["p", "better", "worse"], kind="stable", ignore_index=True)


def paired_bootstrap(
    metric: Callable[[Ints], Floats],
    images: int,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Percentile interval of any metric by resampling images: two arrays of the shape that ``metric`` answers.

    ``metric`` takes positions of images (N,), with repeats, and answers what is to be bounded: the difference of two
    models' mAP, every pair's difference of F1. The same images are drawn for all, which is what makes it paired.
    """
    rng = generator(seed, "paired-bootstrap")
    values = np.stack([np.asarray(metric(rng.integers(images, size=images))) for _ in range(resamples)])
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return low, high


def power(found: pd.DataFrame, images: int, *, alpha: float = 0.05, wanted: float = 0.8) -> Power:
    """How many of the ``pairs`` are told apart, and how large the set would have to be for half, most, nearly all.

    For a pair with discordance d and difference e (shares), images = (z_{1-a/2} sqrt(d) + z_w sqrt(d - e^2))^2 / e^2
    (Connor 1987, paired proportions), each pair by itself at level ``alpha``; and so many that enough images differ for
    an exact test to be below ``alpha`` at all (6 for 0.05).
    """
    discordance = (found["only_better"] + found["only_worse"]).to_numpy(dtype=np.float64) / images
    difference = (found["only_better"] - found["only_worse"]).to_numpy(dtype=np.float64) / images
    needed = np.full(len(found), np.inf)
    some = difference > 0
    d, e = discordance[some], difference[some]
    needed[some] = (ndtri(1 - alpha / 2) * np.sqrt(d) + ndtri(wanted) * np.sqrt(d - e**2)) ** 2 / e**2
    needed[some] = np.maximum(needed[some], np.ceil(np.log2(2 / alpha)) / d)
    sizes: dict[str, int | None] = {}
    for share in (0.5, 0.8, 0.95):
        size = np.sort(needed)[max(0, int(np.ceil(share * len(needed))) - 1)]
        sizes[f"{share:g}"] = int(np.ceil(size)) if np.isfinite(size) else None
    return Power(images, len(found), int((found["p_holm"] < alpha).sum()), sizes, alpha, wanted)


def rank_correlations(one: npt.ArrayLike, two: npt.ArrayLike) -> dict[str, float | None]:
    """Spearman's rho and Kendall's tau-b of two sets' accuracies over the same models; None where all are equal.

    Models without one of the accuracies (NaN) do not count.
    """
    a, b = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    known = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[known], b[known]
    if len(a) < 2 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return {"spearman": None, "kendall": None}
    return {"spearman": float(spearmanr(a, b).statistic), "kendall": float(kendalltau(a, b).statistic)}


def _difference_intervals(
    right: npt.NDArray[np.float32], one: Ints, two: Ints, resamples: int, level: float, seed: int
) -> tuple[Floats, Floats]:
    """As ``paired_bootstrap``, for all differences of accuracy at once: counts of draws times correctness."""
    images = right.shape[1]
    rng = generator(seed, "paired-bootstrap")
    accuracy = np.empty((resamples, len(right)), dtype=np.float32)
    for start in range(0, resamples, 50):
        count = min(50, resamples - start)
        draws = np.stack(
            [np.bincount(rng.integers(images, size=images), minlength=images) for _ in range(count)]
        )
        accuracy[start : start + count] = (right @ draws.T.astype(np.float32)).T * (100 / images)
    by_model = np.ascontiguousarray(accuracy.T)
    bounds = np.array([(1 - level) / 2, (1 + level) / 2]) * (resamples - 1)
    below = np.floor(bounds).astype(np.int64)
    above, share = np.minimum(below + 1, resamples - 1), bounds - below
    found = np.empty((2, len(one)))
    for start in range(0, len(one), 2048):
        part = slice(start, start + 2048)
        difference = by_model[one[part]] - by_model[two[part]]
        difference.sort(
            axis=1
        )  # rows that lie together are sorted five times faster than quantiles are selected
        low, high = difference[:, below].astype(np.float64), difference[:, above]
        found[:, part] = (low + share * (high - low)).T
    return found[0], found[1]
