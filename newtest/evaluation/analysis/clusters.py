"""Images that come in groups (photographer, class, video, page): intervals that know it, and the worst of a group.

Images of one group are right or wrong together, so they tell less than as many images by themselves. The standard error
of an accuracy over G groups of n_g images is cluster-robust "CR2" (Bell and McCaffrey 2002), which for a mean is

    se^2 = sum_g (k_g - p n_g)^2 / (1 - n_g / n) / n^2,

and its interval has a t quantile with Satterthwaite's degrees of freedom, for images of a group that are correlated by
the rho found in them (Imbens and Kolesar 2016). With groups of one size these are G / (G - 1) and G - 1; with groups of
unlike sizes the large ones count most, and the degrees of freedom are fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.compare import holm
from newtest.evaluation.analysis.tables import image_column
from newtest.evaluation.scoring.store import StoredSet
from newtest.intervals import clopper_pearson

__all__ = ["clustered", "codes_of", "differences", "gaps", "over_sets", "worst_of"]

Floats = npt.NDArray[np.float64]
_FEW = 2


def clustered(correct: pd.DataFrame, column: pd.Series, *, level: float = 0.95) -> pd.DataFrame:
    """Accuracy of each model in percent with clustered intervals: ``model``, ``k``, ``n``, ``groups``, ``accuracy``,
    ``se`` (points), ``freedom`` (degrees of freedom of its t quantile), ``lo``, ``hi``, and ``design``: the variance
    over that of as many separate images.

    ``correct`` has models as its index and images as its columns; ``column`` names the group of each image. Images
    without a group are groups by themselves. Raises EvaluationError for fewer than two groups.
    """
    sums, sizes = _sums(correct.to_numpy(dtype=np.float64), codes_of(column))
    n, groups = int(sizes.sum()), len(sizes)
    share = sums.sum(axis=1) / n
    se, freedom = _errors(sums - share[:, None] * sizes, sizes, n * share * (1 - share))
    half = t.ppf((1 + level) / 2, freedom) * se
    plain = share * (1 - share) / n
    return pd.DataFrame(
        {
            "model": correct.index,
            "k": sums.sum(axis=1).astype(np.int64),
            "n": n,
            "groups": groups,
            "accuracy": 100 * share,
            "se": 100 * se,
            "freedom": freedom,
            "lo": 100 * np.clip(share - half, 0, 1),
            "hi": 100 * np.clip(share + half, 0, 1),
            "design": np.divide(se**2, plain, out=np.full(len(se), np.nan), where=plain > 0),
        }
    )


def differences(
    correct: pd.DataFrame, column: pd.Series, pairs: pd.DataFrame, *, level: float = 0.95
) -> pd.DataFrame:
    """``pairs`` (``better``, ``worse``) with ``lo`` and ``hi`` (points) of each paired difference, ``p`` of a t test of
    it, and ``p_holm`` over all pairs, clustered: a McNemar test takes images as separate.
    """
    codes = codes_of(column)
    right = correct.astype(np.float64)
    found = right.loc[pairs["better"]].to_numpy() - right.loc[pairs["worse"]].to_numpy()
    sums, sizes = _sums(found, codes)
    n = int(sizes.sum())
    mean = sums.sum(axis=1) / n
    squares = ((found - mean[:, None]) ** 2).sum(axis=1)
    error, freedom = _errors(sums - mean[:, None] * sizes, sizes, squares)
    half = t.ppf((1 + level) / 2, freedom) * error
    score = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
    p = 2 * t.sf(score, freedom)
    return pairs.assign(lo=100 * (mean - half), hi=100 * (mean + half), p=p, p_holm=holm(p))


def gaps(
    rows: pd.DataFrame, original: tuple[pd.DataFrame, pd.Series], new: tuple[pd.DataFrame, pd.Series]
) -> pd.DataFrame:
    """``rows`` (``model``, ``gap`` in points) with clustered 95 % intervals ``lo`` and ``hi``; the sets are given by
    correctness and groups. The sets hold different images, so the variances add up, with Welch's degrees of freedom.
    """
    found = [
        clustered(correct.loc[rows["model"]], column).reset_index(drop=True)
        for correct, column in (original, new)
    ]
    variances = [one["se"].to_numpy() ** 2 for one in found]
    freedom = [one["freedom"].to_numpy() for one in found]
    total = variances[0] + variances[1]
    below = sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    degrees = np.divide(total**2, below, out=np.minimum(*freedom), where=below > 0)
    half = t.ppf(0.975, degrees) * np.sqrt(total)
    return rows.assign(lo=rows["gap"].to_numpy() - half, hi=rows["gap"].to_numpy() + half)


def worst_of(correct: pd.DataFrame, column: pd.Series) -> pd.DataFrame:
    """The share of groups in which a model is right on every image, in percent, with exact 95 % intervals: ``model``,
    ``k``, ``n`` (groups), ``accuracy``, ``lo``, ``hi``.

    With a group per anchor frame i that holds the frames N_k(i) up to k before and behind it, this is pm-k of the video
    sets: acc_pmk = 1 - mean_i max_{j in N_k(i)} [f(x_j) wrong] (Shankar et al. 2021, "Do image classifiers generalize
    across time?", section 3). An image without a group is a group by itself. The interval takes groups as separate.
    """
    codes = codes_of(column)
    sums, sizes = _sums(correct.to_numpy(dtype=np.float64), codes)
    k, n = (sums == sizes).sum(axis=1), len(sizes)
    low, high = clopper_pearson(k, n)
    return pd.DataFrame(
        {"model": correct.index, "k": k, "n": n, "accuracy": 100 * k / n, "lo": 100 * low, "hi": 100 * high}
    )


def over_sets(
    sets: Sequence[StoredSet], column: str, measure: Callable[[pd.DataFrame, pd.Series], pd.DataFrame]
) -> pd.DataFrame:
    """``clustered`` or ``worst_of`` of several sets, with a column ``set``. Raises EvaluationError as these do,
    and for a column that a set's images lack.
    """
    parts = []
    for stored in sets:
        part = measure(stored.correct, image_column(stored, column))
        part.insert(0, "set", stored.name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def codes_of(column: pd.Series) -> npt.NDArray[np.int64]:
    """The group of each image as a number; images without a group are groups by themselves. Raises EvaluationError for
    fewer than two groups.
    """
    codes = pd.factorize(column.to_numpy(dtype=object), use_na_sentinel=True)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    if len(np.unique(codes)) < _FEW:
        raise EvaluationError(f"{column.name!r} has one group; an interval over groups needs more")
    return codes


def _sums(rows: Floats, codes: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Sums a group (M, G) of rows (M, N), and the sizes of the groups (G,)."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.add.reduceat(rows[:, order], starts, axis=1), np.diff(np.append(starts, len(codes))).astype(
        np.float64
    )


def _errors(residuals: Floats, sizes: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """The standard errors (M,) of means by CR2, and their degrees of freedom (M,): ``residuals`` (M, G) are sums of the
    deviations per group, ``squares`` (M,) sums of the squared deviations per image.
    """
    n = sizes.sum()
    weight = 1 / (1 - sizes / n)
    error = np.sqrt((weight * residuals**2).sum(axis=1)) / n
    together = (sizes * (sizes - 1)).sum()
    scale = squares * together / n
    rho = np.divide((residuals**2).sum(axis=1) - squares, scale, out=np.zeros(len(squares)), where=scale > 0)
    return np.asarray(error, dtype=np.float64), _freedom(sizes, weight, np.clip(rho, 0, 1))


def _freedom(sizes: Floats, weight: Floats, rho: Floats) -> Floats:
    """tr(B)^2 / tr(B^2) of the covariance B (G, G) of the weighted residuals, (M,), where sums of groups have variances
    d_g = n_g (1 + (n_g - 1) rho): B = W (D - u n' - n u' + c n n') W, u = d / n, c = sum(d) / n^2. B is never made.
    """
    n = sizes.sum()
    d = sizes * (1 + (sizes - 1) * rho[:, None])
    u, c = d / n, d.sum(axis=1) / n**2
    low = c[:, None] * sizes**2 - 2 * u * sizes
    trace = (weight * (d + low)).sum(axis=1)
    uu, un, nn = (weight * u**2).sum(axis=1), (weight * u * sizes).sum(axis=1), (weight * sizes**2).sum()
    rank_two = 2 * uu * nn + 2 * un**2 + (c * nn) ** 2 - 4 * c * un * nn
    squared = (weight**2 * d * (d + 2 * low)).sum(axis=1) + rank_two
    return np.asarray(trace**2 / squared, dtype=np.float64)
