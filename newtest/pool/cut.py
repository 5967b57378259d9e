"""The cut of a fraction: which score the n-th best row has, found exactly in little memory.

DataComp's own rule keeps every row at or above the value at position n of the sorted scores, so n + 1 rows
and all ties, and one NaN poisons the sort. Here exactly n rows stay, n = floor(fraction x rows of the pool);
among equal scores the lower uid wins; rows without a score are never kept and are counted.

Two passes over the score column alone: a histogram of the upper 16 bits of each score finds the bin that
holds the n-th best, then the values of that one bin are sorted. Only where the cut falls among ties are uids
read as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.pool.uids import Uids, concatenated, order

__all__ = ["Cut", "exact_cut", "keys"]

_BINS = 1 << 16
Scores = npt.NDArray[np.float64]
Stream = Callable[[str, Callable[[Any], Any]], Iterable[Any]]


@dataclass(frozen=True)
class Cut:
    """Keep scores above ``score``, and of those equal to it the ids up to ``(high, low)``; None keeps all equal ones.

    A score of NaN keeps nothing (a fraction so small that no whole row is wanted)."""

    score: float
    last: tuple[int, int] | None = None
    copies: int = 0
    """Of rows that carry the very id ``last`` (a pool may hold a sample twice) only so many are wanted."""
    wanted: int = 0
    rows: int = 0
    without_score: int = 0

    def keep(self, scores: Scores, uids: Uids | None) -> npt.NDArray[np.bool_]:
        """The mask of rows that stay, shape (n,); NaN never stays. ``uids`` are read only where ties are cut."""
        kept: npt.NDArray[np.bool_] = scores > self.score
        equal = np.flatnonzero(scores == self.score)
        if self.last is None:
            kept[equal] = True
        elif len(equal):
            assert uids is not None
            high, low = uids["f0"][equal], uids["f1"][equal]
            kept[equal] = (high < self.last[0]) | ((high == self.last[0]) & (low <= self.last[1]))
        return kept


def exact_cut(stream: Stream, fraction: float) -> Cut:
    """The cut that keeps floor(fraction x rows) rows, or all that have a score where those are fewer.

    ``stream(columns, f)`` gives ``f(scores)`` or ``f((scores, uids))`` for every piece of the pool, in any
    order, with ``columns`` "score" or "score+uid". Raises UsageError for a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"a fraction is more than 0 and at most 1, not {fraction}")
    histogram = np.zeros(_BINS, np.int64)
    rows = missing = 0
    for counts, size, nans in stream("score", _histogram):
        histogram += counts
        rows, missing = rows + size, missing + nans
    wanted = min(_floor(fraction, rows), rows - missing)
    if wanted == 0:
        return Cut(math.nan, None, 0, 0, rows, missing)
    above = np.cumsum(histogram[::-1])[::-1]  # rows in this bin and the higher ones
    bin_ = int(np.flatnonzero(above >= wanted)[-1])
    short = wanted - int(above[bin_] - histogram[bin_])  # rows to take from the bin, at least 1
    values, counts = _merged(stream("score", _Values(bin_)))
    best_first = np.cumsum(counts[::-1])
    position = int(np.searchsorted(best_first, short))
    score = float(values[::-1][position])
    ties = int(counts[::-1][position])
    room = short - int(best_first[position] - ties)
    last, copies = (None, 0) if room == ties else _last_tie(stream, score, room)
    return Cut(score, last, copies, wanted, rows, missing)


def keys(scores: Scores) -> npt.NDArray[np.uint64]:
    """Unsigned integers in the order of the scores: the bits, with the sign turned round. -0.0 counts as 0.0."""
    bits = (scores + 0.0).view(np.uint64)
    negative = (bits >> np.uint64(63)).astype(np.bool_)
    return np.where(negative, ~bits, bits | np.uint64(1 << 63))


def _floor(fraction: float, rows: int) -> int:
    # 0.3 x 10 must be 3 although the float lies a little below or above it.
    return math.floor(round(fraction * rows, 6))


def _histogram(scores: Scores) -> tuple[npt.NDArray[np.int64], int, int]:
    present = scores[~np.isnan(scores)]
    bins = (keys(present) >> np.uint64(48)).astype(np.int64)
    return np.bincount(bins, minlength=_BINS), len(scores), len(scores) - len(present)


@dataclass(frozen=True)
class _Values:
    """The distinct values of one bin, and how often each occurs."""

    bin_: int

    def __call__(self, scores: Scores) -> tuple[Scores, npt.NDArray[np.int64]]:
        present = scores[~np.isnan(scores)]
        inside = present[(keys(present) >> np.uint64(48)) == self.bin_]
        return np.unique(inside + 0.0, return_counts=True)


@dataclass(frozen=True)
class _Equal:
    score: float

    def __call__(self, piece: tuple[Scores, Uids]) -> Uids:
        scores, uids = piece
        equal: Uids = uids[scores == self.score]
        return equal


def _merged(parts: Iterable[tuple[Scores, npt.NDArray[np.int64]]]) -> tuple[Scores, npt.NDArray[np.int64]]:
    pieces = list(parts)
    values, inverse = np.unique(np.concatenate([piece[0] for piece in pieces]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, inverse, np.concatenate([piece[1] for piece in pieces]))
    return values, counts


def _last_tie(stream: Stream, score: float, room: int) -> tuple[tuple[int, int], int]:
    """The ``room``-th lowest id among the rows with this score, and its copies up to there; only so many
    are ever held.
    """
    lowest: Uids = concatenated(())
    pieces: Iterator[Uids] = iter(stream("score+uid", _Equal(score)))
    for piece in pieces:
        lowest = concatenated((lowest, piece))
        lowest = lowest[order(lowest)[:room]]
    high, low = lowest[room - 1].tolist()
    return (high, low), int(np.count_nonzero(lowest == lowest[room - 1]))
