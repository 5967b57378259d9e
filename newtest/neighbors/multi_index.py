"""Multi-index search of binary hashes (Norouzi, Punjani, Fleet 2012): pairs that agree well enough in a chunk.

Cut each hash into chunks of neighbouring bits. If two hashes differ in at most ``radius`` bits, then some chunk differs
in at most its tolerance, as long as the tolerances, each plus one, add up to radius + 1: otherwise the differing bits
would be too many. So one side is sorted by a chunk's value, each row of the other looks up all values within the
tolerance, and only rows that share a bucket are compared: first 64 bits from outside the chunk, then the whole.
Wide chunks mean more look-ups and fewer comparisons: ``cost`` weighs them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["SLAB", "Chunk", "chunks", "close_by", "cost"]

SLAB = 1 << 22
"""Rows that are sorted at a time."""
WIDEST = 24
"""Bits of the widest chunk: its table of buckets takes 64 MB."""
BLOCK = 1 << 18
"""Look-ups, and comparisons, at a time."""
LOOKED_UP, FILLED, COMPARED, SORTED, BUCKET = 14.0, 36.0, 5.0, 20.0, 5.0
"""Nanoseconds that a look-up takes, what a bucket with rows in it adds, and what a comparison, a row that is sorted and
a bucket of the table take: measured once on one machine, and only their ratios matter."""

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """``width`` bits from bit ``low`` on, of which at most ``tolerance`` differ."""

    low: int
    width: int
    tolerance: int

    @property
    def lookups(self) -> int:
        """How many values lie within the tolerance of one."""
        return sum(math.comb(self.width, flips) for flips in range(self.tolerance + 1))

    def keys(self, words: Words) -> Ints:
        """The chunk's value in each hash (n, words)."""
        return _bits(words, self.low, self.width).astype(np.int64)

    def masks(self) -> Ints:
        """What to flip in a value for each value within the tolerance."""
        flips = range(self.tolerance + 1)
        places = (chosen for count in flips for chosen in itertools.combinations(range(self.width), count))
        return np.fromiter((sum(1 << place for place in chosen) for chosen in places), np.int64, self.lookups)

    def others(self, words: Words, bits: int) -> Words:
        """64 bits of each hash from outside the chunk: those after it, else before it, else what there is."""
        after = self.low + self.width
        return _bits(words, after if after + 64 <= bits else max(self.low - 64, 0), 64)


def chunks(bits: int, radius: int, number: int) -> list[Chunk]:
    """``bits`` cut into ``number`` chunks of nearly one width, with tolerances that miss no pair within the radius.

    Chunks that need not be looked at are left out. Empty where a chunk would be too wide.
    """
    share, rest = divmod(radius + 1, number)
    edges = [bits * place // number for place in range(number + 1)]
    widths = sorted(((high - low, low) for low, high in itertools.pairwise(edges)), reverse=True)
    if widths[0][0] > WIDEST:
        return []
    tolerances = [share + (place < rest) - 1 for place in range(number)]
    cut = zip(widths, tolerances, strict=True)
    return [Chunk(low, width, min(tolerance, width)) for (width, low), tolerance in cut if tolerance >= 0]


def cost(plan: list[Chunk], asks: int, asked: int) -> float:
    """Nanoseconds, about, that a search by these chunks takes if every value is as frequent as any other."""
    total = 0.0
    for chunk in plan:
        load = asked / 2.0**chunk.width
        each = LOOKED_UP + FILLED * -math.expm1(-load) + COMPARED * load
        total += SORTED * asked + BUCKET * 2.0**chunk.width + asks * chunk.lookups * each
    return total


def close_by(chunk: Chunk, asks: Words, asked: Words, radius: int, bits: int) -> tuple[Ints, Ints]:
    """(i, j) of all rows of ``asks`` and ``asked`` that are within the radius, and within the chunk's tolerance.

    ``asked`` has fewer than 2^31 rows.
    """
    index = _Index.of(chunk.keys(asked), chunk.others(asked, bits), 1 << chunk.width)
    probes = chunk.keys(asks)
    near = np.argsort(probes, kind="stable")  # neighbours in memory look up the same buckets
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for rows, places in index.matches(probes[near], chunk.others(asks[near], bits), chunk.masks(), radius):
        i, j = near[rows], index.rows[places].astype(np.int64)
        within = np.bitwise_count(asks[i] ^ asked[j]).sum(axis=1, dtype=np.uint16) <= radius
        found.append((i[within], j[within]))
    left, right = (np.concatenate(side) for side in zip(*found, strict=True))
    return left, right


def _bits(words: Words, low: int, width: int) -> Words:
    """``width`` bits of each hash (n, words) from bit ``low`` on, as one number."""
    word, shift = divmod(low, 64)
    value = words[:, word] >> np.uint64(shift)
    if shift + width > 64:
        value |= words[:, word + 1] << np.uint64(64 - shift)
    return value & np.uint64((1 << width) - 1)


@dataclass(frozen=True)
class _Index:
    """``rows`` in the order of a chunk's value, ``other`` bits of theirs, and where each value's bucket ``starts``."""

    rows: npt.NDArray[np.int32]
    other: Words
    starts: npt.NDArray[np.int32]

    @classmethod
    def of(cls, keys: Ints, other: Words, values: int) -> _Index:
        """A sparse matrix of one entry per row, turned over: a sort in linear time, with the bits beside it."""
        turned = csr_array(
            (other, keys.astype(np.int32), np.arange(len(keys) + 1, dtype=np.int32)),
            shape=(len(keys), values),
        ).tocsc()
        return cls(turned.indices, turned.data, turned.indptr)

    def matches(self, keys: Ints, other: Words, masks: Ints, radius: int) -> Iterator[tuple[Ints, Ints]]:
        """(row, place in the index) of all that share a bucket and differ in at most ``radius`` of the other bits."""
        step = max(BLOCK // len(masks), 1)
        for start in range(0, len(keys), step):
            buckets = (keys[start : start + step, None] ^ masks).ravel()
            first = self.starts[buckets]
            buckets += 1
            size = self.starts[buckets] - first
            full = np.flatnonzero(size)
            size, first, rows = size[full], first[full], full // len(masks) + start
            ends = np.cumsum(size, dtype=np.int64)
            for part in _parts(ends):
                before = ends[part] - size[part]
                place = np.repeat(first[part] - before, size[part])
                place += np.arange(before[0], ends[part.stop - 1])
                own = np.repeat(rows[part], size[part])
                near = np.flatnonzero(np.bitwise_count(self.other[place] ^ other[own]) <= radius)
                yield own[near], place[near]


def _parts(ends: Ints) -> Iterator[slice]:
    """Runs of buckets that hold about BLOCK rows together, or one larger bucket each."""
    begin = 0
    while begin < len(ends):
        limit = (ends[begin - 1] if begin else 0) + BLOCK
        end = max(int(np.searchsorted(ends, limit, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end
