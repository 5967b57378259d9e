"""The cut of a fraction: which score the n-th best row has, found exactly in little memory.

DataComp's own rule keeps every row at or above the value at position n of the sorted scores, so n + 1 rows
and all ties. NaN counts as a row there, and a cut that falls among NaN keeps nothing. Here exactly n rows stay,
n = floor(fraction x rows of the pool); among equal scores the lower uid wins, among copies of one uid the first
in the pool; rows without a score are never kept and are counted.

Two passes over the score column alone: a histogram of the upper 16 bits of each score as a float32 finds the bin
that holds the n-th best, then the values of that one bin are sorted. Only where the cut falls among ties are their
uids read as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.pool.storage.columns import Places, Scores
from newtest.pool.storage.uids import Uids, concatenated

__all__ = ["Cut", "Stream", "Tied", "bounds", "comparable", "exact_cut", "halves"]

_HALVES = 1 << 16
_ZERO, _MINUS_ZERO = 0x0000, 0x8000
_RISING = np.concatenate([np.arange(0xFFFF, 0x7FFF, -1), np.arange(0x8000)])
"""The upper halves of float32 numbers in the order of the numbers: from -inf to inf, NaNs at both ends."""

_HELD_TIES = 1 << 20
Stream = Callable[[Callable[[Scores], Any]], Iterable[Any]]
"""``stream(f)`` gives ``f(scores)`` for every piece of the pool, in any order."""
Tied = Callable[[float], Iterable[tuple[Uids, Places]]]
"""``tied(score)`` gives the uids and places of the rows that have just this score, piece by piece in any order."""


@dataclass(frozen=True)
class Cut:
    """Keep scores above ``score``, and of those equal to it the ids up to ``(high, low)``; None keeps all equal ones.

    A score of NaN keeps nothing (a fraction so small that no whole row is required)."""

    score: float
    last: tuple[int, int] | None = None
    place: int = 0
    """Of rows that carry the very id ``last`` (a pool may hold a sample twice), those up to this place in the pool."""
    wanted: int = 0
    rows: int = 0
    without_score: int = 0

    def keep(
        self, scores: Scores, identified: Callable[[npt.NDArray[np.intp]], tuple[Uids, Places]]
    ) -> npt.NDArray[np.bool_]:
        """The mask of rows that stay, shape (n,); NaN never stays.

        ``identified(rows)`` gives the uids and places of those rows; it is asked only where ties are cut.
        """
        limit = comparable(self.score, scores)
        if self.last is None:
            everything: npt.NDArray[np.bool_] = scores >= limit
            return everything
        kept: npt.NDArray[np.bool_] = scores > limit
        equal = np.flatnonzero(scores == limit)
        if len(equal):
            uids, places = identified(equal)
            high, low = uids["f0"], uids["f1"]
            same = (high == self.last[0]) & (low == self.last[1])
            below = (high < self.last[0]) | ((high == self.last[0]) & (low < self.last[1]))
            kept[equal] = below | (same & (places <= self.place))
        return kept


def exact_cut(stream: Stream, tied: Tied, fraction: float) -> Cut:
    """The cut that keeps floor(fraction x rows) rows, or all that have a score where those are fewer.

    Raises UsageError for a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"a fraction is more than 0 and at most 1, not {fraction}")
    histogram = np.zeros(_HALVES, np.int64)
    rows = missing = 0
    for counts, size, nans in stream(_histogram):
        histogram += counts
        rows, missing = rows + size, missing + nans
    wanted = min(_floor(fraction, rows), rows - missing)
    if wanted == 0:
        return Cut(math.nan, None, 0, 0, rows, missing)
    histogram[_ZERO] += histogram[_MINUS_ZERO]  # -0.0 is 0.0
    histogram[_MINUS_ZERO] = 0
    above = np.cumsum(histogram[_RISING][::-1])[::-1]  # rows in this bin and the higher ones
    place_of_bin = int(np.flatnonzero(above >= wanted)[-1])
    half = int(_RISING[place_of_bin])
    short = wanted - int(above[place_of_bin] - histogram[half])  # rows to take from the bin, at least 1
    values, counts = _merged(stream(_Values(*bounds(half))))
    best_first = np.cumsum(counts[::-1])
    position = int(np.searchsorted(best_first, short))
    score = float(values[::-1][position])
    ties = int(counts[::-1][position])
    room = short - int(best_first[position] - ties)
    last, place = (None, 0) if room == ties else _last_tie(tied(score), room)
    return Cut(score, last, place, wanted, rows, missing)


def halves(scores: Scores) -> npt.NDArray[np.uint16]:
    """The upper half of each score's bits as a float32, shape (n,): sign, exponent and seven bits.

    Rounding to float32 keeps the order, so pieces of both precisions share one scale.
    """
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float32, copy=False)
    upper: npt.NDArray[np.uint16] = np.ascontiguousarray(rounded).astype("<f4", copy=False).view("<u2")[1::2]
    return upper


def bounds(half: int) -> tuple[np.float32, np.float32]:
    """The lowest and the highest float32 whose bits have this upper half; both zeros share theirs."""
    ends = (half << 16, half << 16 | 0xFFFF)
    if half in (_ZERO, _MINUS_ZERO):
        ends = (_MINUS_ZERO << 16 | 0xFFFF, _ZERO << 16 | 0xFFFF)
    numbers = np.array(ends, np.uint32).view(np.float32)
    low, high = np.sort(np.where(np.isnan(numbers), numbers[0], numbers))  # the half of inf holds NaNs too
    return low, high


def comparable(score: float, scores: Scores) -> np.float32 | np.float64:
    """A score to compare others with: in their own precision, which is faster, where nothing is lost by it.

    A Python float would always be rounded to theirs.
    """
    with np.errstate(over="ignore"):
        rounded = np.float32(score)
    return rounded if scores.dtype == np.float32 and rounded == np.float64(score) else np.float64(score)


def _floor(fraction: float, rows: int) -> int:
    # 0.3 x 10 must be 3 although the float lies a little below or above it.
    return math.floor(round(fraction * rows, 6))


def _histogram(scores: Scores) -> tuple[npt.NDArray[np.int64], int, int]:
    missing = np.isnan(scores)
    nans = int(np.count_nonzero(missing))
    present = scores[~missing] if nans else scores
    return np.bincount(halves(present), minlength=_HALVES), len(scores), nans


@dataclass(frozen=True)
class _Values:
    """The distinct values of one bin, and how often each occurs."""

    low: np.float32
    high: np.float32

    def __call__(self, scores: Scores) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        with np.errstate(over="ignore"):
            rounded = scores.astype(np.float32, copy=False)
        inside = scores[np.flatnonzero((rounded >= self.low) & (rounded <= self.high))]  # NaN never is
        return np.unique(inside.astype(np.float64) + 0.0, return_counts=True)


def _merged(
    parts: Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    pieces = list(parts)
    values, inverse = np.unique(np.concatenate([piece[0] for piece in pieces]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, inverse, np.concatenate([piece[1] for piece in pieces]))
    return values, counts


def _last_tie(tied: Iterable[tuple[Uids, Places]], room: int) -> tuple[tuple[int, int], int]:
    """The id and the place of the ``room``-th among the rows of one score; about twice as many are ever held."""
    uids, places = concatenated(()), np.empty(0, np.int64)
    pieces: list[tuple[Uids, Places]] = []
    held = 0
    for piece in tied:
        pieces.append(piece)
        held += len(piece[0])
        if held > room + _HELD_TIES:
            uids, places = _lowest([(uids, places), *pieces], room)
            pieces, held = [], 0
    uids, places = _lowest([(uids, places), *pieces], room)
    high, low = uids[room - 1].tolist()
    return (high, low), int(places[room - 1])


def _lowest(pieces: list[tuple[Uids, Places]], room: int) -> tuple[Uids, Places]:
    uids, places = (np.concatenate(each) for each in zip(*pieces, strict=True))
    first = np.lexsort((places, uids["f1"], uids["f0"]))[:room]
    return uids[first], places[first]
