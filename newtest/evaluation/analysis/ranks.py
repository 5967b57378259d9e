"""Intervals for ranks: which places a model may really have among the others on a set.

A model's rank is 1 plus the number of models that are better. Those that are surely better bound it from below, those
that are surely worse from above: rank_lo = 1 + #{surely better}, rank_hi = M - #{surely worse}. "Surely" is a paired
test against each of the other M - 1 models, at 5 % over all of them (Holm). So the interval holds a model's true rank
with at least 95 % (Klein, Wright and Wieczorek 2020; Mogstad et al. 2024). Percentiles of bootstrapped ranks do not:
where models are nearly equal they are far too short (Xie, Singh and Zhang 2009).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["rank_intervals"]

Floats = npt.NDArray[np.float64]


def rank_intervals(correct: pd.DataFrame, rows: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """``model``, ``accuracy`` (percent), ``rank`` (ties share the best), ``rank_lo``, ``rank_hi``; best first.

    ``correct`` has models as its index and images as its columns; ``rows`` are all their pairs with ``better``,
    ``worse`` and ``p``, as ``compare.pairs`` gives them, or ``clusters.differences`` for images in groups.
    """
    names = [str(name) for name in correct.index]
    place = {name: at for at, name in enumerate(names)}
    above, below = (rows[side].map(place).to_numpy(dtype=np.int64) for side in ("better", "worse"))
    p = np.ones((len(names), len(names)))
    sign = np.zeros(p.shape, dtype=np.int64)  # 1 where the column's model is better than the row's
    p[above, below] = p[below, above] = rows["p"].to_numpy(dtype=np.float64)
    sign[below, above], sign[above, below] = 1, -1
    sure = _holm_rows(p) < 1 - level
    accuracy = 100 * correct.to_numpy(dtype=np.float64).mean(axis=1)
    found = pd.DataFrame(
        {
            "model": names,
            "accuracy": accuracy,
            "rank": pd.Series(accuracy).rank(ascending=False, method="min").astype(int),
            "rank_lo": 1 + (sure & (sign > 0)).sum(axis=1),
            "rank_hi": len(names) - (sure & (sign < 0)).sum(axis=1),
        }
    )
    return found.sort_values(["rank", "model"], ignore_index=True)


def _holm_rows(p: Floats) -> Floats:
    """Holm's adjusted p-values over the M - 1 others in each row of (M, M); the diagonal stays 1."""
    others = p.copy()
    np.fill_diagonal(others, np.inf)
    order = np.argsort(others, axis=1, kind="stable")
    steps = np.take_along_axis(others, order, axis=1)[:, :-1] * np.arange(len(p) - 1, 0, -1)
    adjusted = np.ones_like(p)
    held = np.minimum(1.0, np.maximum.accumulate(steps, axis=1))
    np.put_along_axis(adjusted, order[:, :-1], held, axis=1)
    return adjusted
