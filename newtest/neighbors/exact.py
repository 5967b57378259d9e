"""Exact search by tiles: a fast engine proposes in low precision, float64 sums decide.

A row that an engine holds is off by a vector whose length is measured, so a similarity is off by at most
``error_a * |b| + (|a| + error_a) * error_b`` (Cauchy-Schwarz) and the rounding of the sum. Everything within that
margin of the limit is proposed, and rescored from the rows as they were given. Nothing is lost, and neither the tile,
nor the engine, nor the device shows in the result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from newtest.neighbors.engines import Engine, Tile
from newtest.neighbors.rows import Rows, similarities

__all__ = ["Found", "Search", "joined", "pairs", "tiles", "top"]

Ints = npt.NDArray[np.int64]
Found = tuple[Ints, Ints, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Search:
    """Two sets of rows (the same object twice for a join within one), an engine, and the tile."""

    a: Rows
    b: Rows
    engine: Engine
    tile: tuple[int, int]

    def margin(self, left: Tile, right: Tile) -> float:
        """How far a computed similarity of these tiles can be from the true one."""
        lost = left.error * self.b.longest + (self.a.longest + left.error) * right.error
        return 1.001 * (
            lost + self.engine.roundoff * (self.a.longest + left.error) * (self.b.longest + right.error)
        )


def pairs(search: Search, threshold: float) -> Found:
    """(i, j, similarity) of every pair at or above the threshold; i < j within one set. Sorted by i, then j."""
    within, parts = search.a is search.b, []
    for start, left, columns in tiles(search, within=within):
        for offset, right in columns:
            limits = np.full(len(left), threshold - search.margin(left, right))
            i, j = _all(search.engine.above(left, right, limits))
            i, j = i + start, j + offset
            if within:
                i, j = i[i < j], j[i < j]
            exact = similarities(search.a, search.b, i, j)
            near = exact >= threshold
            parts.append((i[near], j[near], exact[near]))
    return joined(parts)


def top(search: Search, k: int) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The k most similar rows of b for each row of a: (indices, similarities), (n, k), best first, ties by index."""
    indices = np.empty((len(search.a), k), dtype=np.int64)
    values = np.empty((len(search.a), k), dtype=np.float64)
    for start, left, columns in tiles(search, within=False):
        count, best = len(left), joined([])
        floor = np.full(count, -np.inf)
        for offset, right in columns:
            # A tile's own k-th bounds what may enter, and so does the k-th that is known already.
            margin = search.margin(left, right)
            limits = floor - margin
            if len(right) >= k:
                limits = np.maximum(limits, search.engine.kth(left, right, k) - 2 * margin)
            i, j = _all(search.engine.above(left, right, limits))
            exact = similarities(search.a, search.b, i + start, j + offset)
            best = _best_of(joined([best, (i, j + offset, exact)]), k)
            floor = _kth_known(best, count, k)
        indices[start : start + count] = best[1].reshape(count, k)
        values[start : start + count] = best[2].reshape(count, k)
    return indices, values


def joined(parts: list[Found]) -> Found:
    """All parts in one, sorted by i, then j."""
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
    i, j, values = (np.concatenate([part[place] for part in parts]) for place in range(3))
    order = np.lexsort((j, i))
    return i[order], j[order], values[order]


def tiles(search: Search, *, within: bool) -> Iterator[tuple[int, Tile, Iterator[tuple[int, Tile]]]]:
    """(first row, rows of a, column tiles of b) one after another; within one set the upper triangle alone."""
    rows, columns = search.tile
    held: dict[int, Tile] = {}
    room = search.engine.resident // max(2 * search.b.width * columns, 1)

    def loaded(offset: int) -> Tile:
        if offset in held:
            return held[offset]
        tile = search.engine.load(search.b.block(offset, offset + columns), search.b)
        if len(held) < room:
            held[offset] = tile
        return tile

    for start in range(0, len(search.a), rows):
        first = start // columns * columns if within else 0
        corner: list[tuple[int, Tile]] = []
        if within and start + rows <= first + columns:  # the rows are among the columns of the first tile
            corner = [(first, loaded(first))]
            left = corner[0][1].part(start - first, start - first + rows)
        else:
            left = search.engine.load(search.a.block(start, start + rows), search.a)
        others = range(first + columns * len(corner), len(search.b), columns)
        yield start, left, chain(corner, _ahead(others, loaded))


def _all(hits: tuple[Ints, Ints] | None) -> tuple[Ints, Ints]:
    """Of an engine that was given no limit."""
    assert hits is not None
    return hits


def _ahead(offsets: range, loaded: Callable[[int], Tile]) -> Iterator[tuple[int, Tile]]:
    """(first row, tile) in order; each is read and copied to the device while the one before it is multiplied."""
    with ThreadPoolExecutor(1) as pool:
        coming: deque[tuple[int, Future[Tile]]] = deque()
        for offset in offsets:
            coming.append((offset, pool.submit(loaded, offset)))
            if len(coming) > 1:
                ready, tile = coming.popleft()
                yield ready, tile.result()
        for ready, tile in coming:
            yield ready, tile.result()


def _best_of(found: Found, k: int) -> Found:
    """The k largest of each i, best first, ties by j."""
    i, j, values = found
    order = np.lexsort((j, -values, i))
    i, j, values = i[order], j[order], values[order]
    rank = np.arange(len(i)) - np.searchsorted(i, i)
    return i[rank < k], j[rank < k], values[rank < k]


def _kth_known(best: Found, count: int, k: int) -> npt.NDArray[np.float64]:
    """The k-th best similarity of each of ``count`` rows, -inf where fewer are known."""
    floor = np.full(count, -np.inf)
    last = np.arange(len(best[0])) - np.searchsorted(best[0], best[0]) == k - 1
    floor[best[0][last]] = best[2][last]
    return floor
