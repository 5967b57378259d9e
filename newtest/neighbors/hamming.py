"""All pairs of binary hashes within a Hamming radius: exact, and far from comparing everything with everything.

Few hashes are counted pair by pair. Many go through ``newtest.neighbors.multi_index``, which looks at pairs that agree
in a chunk of their bits and misses none. Which of the two, and how wide a chunk is, follows from the numbers of rows
and the radius: it changes the time, never the result. Memory is bounded by a slab of rows and by what is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.neighbors.multi_index import SLAB, Chunk, chunks, close_by, cost

__all__ = ["hamming", "hamming_pairs"]

BLOCK = 1 << 17
"""Pairs counted bit by bit at a time, which a core's cache holds."""
COUNTED = 1.4
"""Nanoseconds that a word of a pair takes to count; the scale of ``multi_index.cost``."""

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


def hamming(a: Words, b: Words) -> npt.NDArray[np.int64]:
    """Differing bits of hashes (..., words), row by row; smaller is closer."""
    return np.asarray(np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int64))


def hamming_pairs(
    queries: Words, base: Words, radius: int, *, bits: int | None = None
) -> tuple[Ints, Ints, Ints]:
    """Every (i, j, distance) with ``hamming(queries[i], base[j]) <= radius``, sorted by i, then j.

    ``queries`` (n, words) and ``base`` (m, words) are uint64; ``bits`` is how many low bits are in use (default all).
    Exact at any radius, and fast while it stays below a sixth of the bits. Raises UsageError for other shapes.
    """
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        raise UsageError(f"hashes must be (rows, words) of one width, got {queries.shape} and {base.shape}")
    room = 64 * queries.shape[1]
    used = room if bits is None else bits
    if not 1 <= used <= room:
        raise UsageError(f"hashes of {queries.shape[1]} words have 1 to {room} bits, got {used}")
    # Each row that asks looks into many buckets, and each that is asked is sorted a few times: the fewer ask.
    asks, asked = (queries, base) if len(queries) <= len(base) else (base, queries)
    nothing = np.empty(0, np.int64)
    sides = zip((nothing, nothing), *_close(asks, asked, radius, used), strict=True)
    i, j = [np.concatenate(side) for side in sides][:: 1 if asks is queries else -1]
    codes = np.unique(i * len(base) + j)
    rows, columns = np.divmod(codes, max(len(base), 1))
    return rows, columns, hamming(queries[rows], base[columns])


def _close(asks: Words, asked: Words, radius: int, bits: int) -> Iterator[tuple[Ints, Ints]]:
    """Rows of both sides, in pieces; a pair may come several times."""
    slabs = [(start, asked[start : start + SLAB]) for start in range(0, len(asked), SLAB)]
    plan = _plan(len(asks), min(len(asked), SLAB), radius, bits)
    if plan is None:
        for start, slab in slabs:
            for i, j in _counted(asks, slab, radius):
                yield i, j + start
        return

    def one(task: tuple[int, Words, Chunk]) -> tuple[Ints, Ints]:
        start, slab, chunk = task
        i, j = close_by(chunk, asks, slab, radius, bits)
        return i, j + start

    # NumPy and SciPy sort, gather and count without the interpreter's lock.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        yield from pool.map(one, ((start, slab, chunk) for start, slab in slabs for chunk in plan))


def _plan(asks: int, asked: int, radius: int, bits: int) -> list[Chunk] | None:
    """The cheapest chunks; None where counting every pair costs less."""
    words = -(-bits // 64)
    best, least = None, COUNTED * words * asks * asked
    for number in range(1, min(bits, radius + 1) + 1):  # of more chunks some would not be looked at
        plan = chunks(bits, radius, number)
        if plan and (price := cost(plan, asks, asked)) < least:
            best, least = plan, price
    return best


def _counted(asks: Words, asked: Words, radius: int) -> Iterator[tuple[Ints, Ints]]:
    columns = np.ascontiguousarray(asked.T)
    width = min(len(asked), BLOCK)
    step = BLOCK // width
    for start in range(0, len(asks), step):
        rows = asks[start : start + step]
        for left in range(0, len(asked), width):
            block = columns[:, left : left + width]
            distance = np.zeros((len(rows), block.shape[1]), np.uint16)
            for word, column in zip(rows.T, block, strict=True):
                distance += np.bitwise_count(word[:, None] ^ column)
            i, j = np.nonzero(distance <= radius)
            yield i + start, j + left
