"""Exact intervals of shares: binomial, of draws from a finite population, and upper bounds over strata."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, gammaincinv, gammaln

__all__ = ["clopper_pearson", "finite_upper", "stratified_upper"]

_LARGE = 10_000_000
"""Members of a population beyond which the binomial bound is taken: the differences of logarithms lose digits."""


def clopper_pearson(
    num_successes: npt.ArrayLike, num_trials: npt.ArrayLike, *, level: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The Clopper-Pearson interval of a binomial proportion: two arrays in [0, 1], of the inputs' broadcast shape.

    lo = BetaInv(a/2; k, n-k+1) and hi = BetaInv(1-a/2; k+1, n-k), with lo = 0 at k = 0 and hi = 1 at k = n
    (Clopper and Pearson 1934). Where n = 0 nothing is known: the interval is [0, 1]. Raises ValueError unless
    0 <= k <= n and 0 < level < 1.
    """
    k, n = np.broadcast_arrays(
        np.asarray(num_successes, dtype=np.float64), np.asarray(num_trials, dtype=np.float64)
    )
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    if not np.all((k >= 0) & (k <= n)):  # so written, NaN is refused too
        raise ValueError("successes must lie between 0 and the number of trials")
    tail = (1 - level) / 2
    lo, hi = np.zeros(k.shape), np.ones(k.shape)
    inside = k > 0
    lo[inside] = betaincinv(k[inside], n[inside] - k[inside] + 1, tail)
    inside = k < n
    hi[inside] = betaincinv(k[inside] + 1, n[inside] - k[inside], 1 - tail)
    return lo, hi


def finite_upper(found: int, drawn: int, population: int, *, level: float = 0.95) -> float:
    """The one-sided exact upper bound of the share of a population that has a property, of which ``drawn`` members
    were drawn without replacement and ``found`` have it.

    Clopper and Pearson's construction with the hypergeometric distribution: the largest K / N with
    P(X <= k | N, K, n) >= 1 - level. It is at most 1 / N above theirs, and the share itself where everything was drawn.
    Where nothing was drawn it is 1. Raises ValueError unless 0 <= found <= drawn <= population and 0 < level < 1.
    """
    if not 0 <= found <= drawn <= population or not 0 < level < 1:
        raise ValueError("0 <= found <= drawn <= population and 0 < level < 1 must hold")
    if not drawn:
        return 1.0
    if population > _LARGE:
        return float(clopper_pearson(found, drawn, level=2 * level - 1)[1]) if level > 0.5 else 1.0
    low, high = found, population - drawn + found  # low is possible, and so may be high
    while low < high:
        middle = (low + high + 1) // 2
        if _at_most(found, drawn, middle, population) > (1 - level) * (1 - 1e-7):  # rounding never narrows it
            low = middle
        else:
            high = middle - 1
    return low / population


def stratified_upper(
    found: npt.ArrayLike, drawn: npt.ArrayLike, population: npt.ArrayLike, *, level: float = 0.95
) -> float:
    """The one-sided upper bound of the share in a whole population, by draws within its strata; arrays of shape (h,).

    The upper limit of Fay and Feuer (1997, Statistics in Medicine 16, 791-801) for a weighted sum of Poisson counts,
    which lies above that of binomial ones: with y the weighted share, v the sum of w^2 k, and m the largest weight
    w = N_h / (N n_h), it is (v + m^2) / (y + m) * G(level; (y + m)^2 / (v + m^2)), G the quantile of a gamma
    distribution. Strata that were drawn as a whole are known; one of which nothing was drawn may have any share. Where
    a single stratum is left, the exact bound is taken. Raises ValueError as ``finite_upper`` does.
    """
    k, n, size = (np.asarray(each, np.int64) for each in (found, drawn, population))
    if not np.all((k >= 0) & (k <= n) & (n <= size)) or not 0 < level < 1 or not size.sum():
        raise ValueError("0 <= found <= drawn <= population and 0 < level < 1 must hold")
    share = size / size.sum()
    known, open_ = n == size, (n > 0) & (n < size)
    settled = float((share[known] * k[known] / np.maximum(n[known], 1)).sum() + share[n == 0].sum())
    if np.count_nonzero(open_) == 1:
        (at,) = np.flatnonzero(open_)
        settled += share[at] * finite_upper(int(k[at]), int(n[at]), int(size[at]), level=level)
    elif open_.any():
        weights = share[open_] / n[open_]
        largest = weights.max()
        mean = float((weights * k[open_]).sum() + largest)
        variance = float((weights**2 * k[open_]).sum() + largest**2)
        limit = variance / mean * float(gammaincinv(mean**2 / variance, level))
        settled += min(limit, float(share[open_].sum()))
    good = float(((n - k) / size.sum()).sum())  # what was seen not to have it
    return min(settled, 1 - good)


def _at_most(found: int, drawn: int, having: int, population: int) -> float:
    """P(X <= found) where ``drawn`` of ``population`` members are drawn, of which ``having`` have the property."""
    x = np.arange(max(0, drawn - (population - having)), found + 1)
    if not len(x):
        return 0.0
    ways = _log_ways(having, x) + _log_ways(population - having, drawn - x) - _log_ways(population, drawn)
    return float(np.exp(ways).sum())


def _log_ways(of: npt.ArrayLike, taken: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The logarithm of the binomial coefficient; -inf where more are taken than there are."""
    of, taken = np.broadcast_arrays(np.asarray(of, np.float64), np.asarray(taken, np.float64))
    ways = np.full(of.shape, -np.inf)
    there = taken <= of
    a, b = of[there], taken[there]
    ways[there] = gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)
    return ways
