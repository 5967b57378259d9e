"""How many rows each cluster keeps: Abbas et al. 2024 (arXiv 2401.04578), density-based pruning.

With unit vectors and d(a, b) = 1 - a . b, of each cluster j:

    d_intra(j)  mean distance of its rows to its centroid
    d_inter(j)  mean distance of its centroid to the 20 nearest other centroids
    C(j) = d_inter(j) d_intra(j),   P(j) = exp(C(j) / t) / sum over i of exp(C(i) / t)

The numbers of rows that stay minimise the sum of (N(j) - P(j) N)^2 with sum N(j) = N and 1 <= N(j) <= M(j), M(j) being
the cluster's rows. The authors give this to a quadratic solver; its solution is N(j) = P(j) N + s, cut to the bounds,
with the s at which the sum is N. Whole numbers by the largest remainders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NEIGHBOURS", "allotted", "between", "shares"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
NEIGHBOURS = 20
"""Nearest centroids that d_inter is a mean over, in the authors' code."""
_HALVINGS = 200


def between(centroids: Floats, neighbours: int = NEIGHBOURS) -> npt.NDArray[np.float64]:
    """d_inter of each unit centroid (k, d), shape (k,); 0 where there is only one."""
    wide = centroids.astype(np.float64)
    count = min(neighbours, len(wide) - 1)
    result = np.zeros(len(wide))
    step = max((1 << 24) // max(len(wide), 1), 1)
    for start in range(0, len(wide) if count > 0 else 0, step):
        away = 1 - wide[start : start + step] @ wide.T
        own = np.arange(start, min(start + step, len(wide)))
        away[own - start, own] = np.inf
        result[own] = np.sort(np.partition(away, count - 1, axis=1)[:, :count], axis=1).mean(axis=1)
    return result


def shares(complexity: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """P of each cluster's C, (k,)."""
    scaled = complexity / temperature
    powers = np.exp(scaled - scaled.max())
    return np.asarray(powers / powers.sum(), np.float64)


def allotted(probability: Floats, sizes: Ints, total: int) -> Ints:
    """N of each cluster, whole numbers (k,) with this sum; ``total`` is at most the sum of the sizes.

    Where there are more clusters than rows to keep, the lower bound is 0.
    """
    low = np.minimum(sizes, 1) if total >= np.count_nonzero(sizes) else np.zeros_like(sizes)
    wanted = np.asarray(probability, np.float64) * total
    least, most = -float(wanted.max(initial=0.0)) - 1, float(sizes.max(initial=0)) + 1
    for _ in range(_HALVINGS):  # the sum rises with the shift
        shift = (least + most) / 2
        if np.clip(wanted + shift, low, sizes).sum() < total:
            least = shift
        else:
            most = shift
    exact = np.clip(wanted + most, low, sizes)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    lacking = total - int(counts.sum())
    room = counts < sizes
    order = np.lexsort((np.arange(len(counts)), -np.where(room, exact - counts, -1.0)))
    counts[order[:lacking]] += 1
    return counts
