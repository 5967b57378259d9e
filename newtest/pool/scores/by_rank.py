"""Several scores as one, by rank: what counts is how many rows a row beats, not the unit that a score has.

Of each score a row's rank is the share of the rows that it beats, those with an equal score counted half (average
ranks, as in ``scipy.stats.rankdata``), of the rows that have all of the scores. The ranks' mean, or the lowest or
highest of them, is the score: 1 is the best row by all of them. Rows that lack one of the scores get none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WAYS", "Ranked", "by_rank"]

WAYS = ("mean", "worst", "best")
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Ranked:
    """Each score's values, sorted, (n,): what ranks are looked up in."""

    values: tuple[Floats, ...]
    way: str = "mean"

    @classmethod
    def of(cls, columns: Sequence[Floats], way: str = "mean") -> Ranked:
        """Of scores (n,) of the same rows."""
        whole = np.logical_and.reduce([~np.isnan(column) for column in columns])
        return cls(tuple(np.sort(column[whole]) for column in columns), way)

    def scores(self, columns: Sequence[Floats]) -> npt.NDArray[np.float32]:
        """The rows' scores (m,), NaN where one of theirs is missing."""
        whole = np.logical_and.reduce([~np.isnan(column) for column in columns])
        result = np.full(len(whole), np.nan, np.float32)
        ranks = [
            (np.searchsorted(values, column[whole], "left") + np.searchsorted(values, column[whole], "right"))
            / (2 * max(len(values), 1))
            for values, column in zip(self.values, columns, strict=True)
        ]
        stacked = np.stack(ranks)
        worst, best = stacked.min(axis=0), stacked.max(axis=0)
        result[whole] = {"mean": stacked.mean(axis=0), "worst": worst, "best": best}[self.way]
        return result


def by_rank(columns: Sequence[Floats], way: str = "mean") -> npt.NDArray[np.float32]:
    """Scores (n,) of whole columns, as the module says."""
    return Ranked.of(columns, way).scores(columns)
