"""Exact binomial intervals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

__all__ = ["clopper_pearson"]


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
