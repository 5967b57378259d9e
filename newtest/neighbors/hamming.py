"""All pairs of binary hashes within a Hamming radius: exact, without comparing everything with everything.

Multi-index search (Norouzi, Punjani, Fleet 2012): cut each hash into chunks of 16 bits. If two hashes differ in at most
``radius`` bits, then at least one chunk i differs in at most t_i bits, as long as the sum of (t_i + 1) exceeds the
radius. So base rows are sorted by each chunk's value, every query looks up its neighbours there, and only those that
share a bucket are counted bit by bit. Nothing is lost; the work is a few thousandths of N x M at small radii.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError

__all__ = ["hamming", "hamming_pairs"]

CHUNK = 16
BUDGET = 1 << 22
"""Pairs counted bit by bit at a time: bounds the memory, never changes the result."""

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
    Exact at any radius, and fast while it stays below a sixth of the bits; above, and for few rows, every pair is
    counted, in blocks. Raises UsageError for other shapes.
    """
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        raise UsageError(f"hashes must be (rows, words) of one width, got {queries.shape} and {base.shape}")
    used = bits if bits is not None else queries.shape[1] * 64
    tolerances = _tolerances(radius, _widths(used))
    found: list[Ints] = []
    for i, j in _proposals(queries, base, tolerances):
        near = hamming(queries[i], base[j]) <= radius
        found.append(i[near] * len(base) + j[near])
    codes = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    rows, columns = (codes // len(base), codes % len(base)) if len(codes) else (codes, codes)
    return rows, columns, hamming(queries[rows], base[columns])


def _proposals(queries: Words, base: Words, tolerances: list[int]) -> Iterator[tuple[Ints, Ints]]:
    """Pieces of pairs, at most a few BUDGET at a time, that hold every pair within the tolerances."""
    looked_up = sum(math.comb(CHUNK, flips) for t in tolerances for flips in range(t + 1)) / (1 << CHUNK)
    if looked_up < 0.25 and len(queries) * len(base) > BUDGET:
        probe, keys = _chunks(queries, len(tolerances)), _chunks(base, len(tolerances))
        for position, tolerance in enumerate(tolerances):
            yield from _candidates(probe[:, position], keys[:, position], tolerance)
        return
    step = max(BUDGET // max(len(base), 1), 1)
    for start in range(0, len(queries), step):
        rows = np.arange(start, min(start + step, len(queries)))
        yield np.repeat(rows, len(base)), np.tile(np.arange(len(base)), len(rows))


def _widths(bits: int) -> list[int]:
    return [min(CHUNK, bits - start) for start in range(0, bits, CHUNK)]


def _chunks(words: Words, count: int) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(words.astype("<u8", copy=False)).view("<u2")[:, :count]


def _tolerances(radius: int, widths: list[int]) -> list[int]:
    """Bits allowed in each chunk (-1: the chunk need not be looked at), such that the sum of (t + 1) is radius + 1."""
    share, rest = divmod(radius + 1, len(widths))
    return [min(share + (place < rest) - 1, width) for place, width in enumerate(widths)]


def _candidates(
    probe: npt.NDArray[np.uint16], keys: npt.NDArray[np.uint16], tolerance: int
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs whose chunk differs in at most ``tolerance`` bits, in pieces of about BUDGET."""
    if tolerance < 0:
        return
    order = np.argsort(keys, kind="stable").astype(np.int64)
    starts = np.searchsorted(keys[order], np.arange((1 << CHUNK) + 1))
    queries = np.argsort(probe, kind="stable").astype(
        np.int64
    )  # neighbours in memory look up the same buckets
    for mask in _masks(tolerance):
        buckets = (probe[queries] ^ mask).astype(np.int64)
        counts = starts[buckets + 1] - starts[buckets]
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(queries):
            limit = (ends[begin - 1] if begin else 0) + BUDGET
            end = max(int(np.searchsorted(ends, limit, side="right")), begin + 1)
            size = counts[begin:end]
            within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
            yield (
                np.repeat(queries[begin:end], size),
                order[np.repeat(starts[buckets[begin:end]], size) + within],
            )
            begin = end


def _masks(tolerance: int) -> Iterator[np.uint16]:
    for flips in range(tolerance + 1):
        for places in itertools.combinations(range(CHUNK), flips):
            yield np.uint16(sum(1 << place for place in places))
