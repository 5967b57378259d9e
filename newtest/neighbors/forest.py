"""A spanning set of the pairs above a threshold: enough to tell all groups, and linear in their size.

k rows that are all close to each other make k (k - 1) / 2 pairs. Of these the spanning forest is reported that
Kruskal's algorithm finds with the pairs in the order of (i, j): k - 1 of them. The order is total, so the forest is
unique, and the forest of a union of sets of pairs is that of the union of their forests. So neither the tile nor who
joined what shows in the result.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from newtest.neighbors.exact import Found, Search, joined, tiles
from newtest.neighbors.rows import similarities

__all__ = ["Forest", "linked", "spanning"]

Ints = npt.NDArray[np.int64]
SIDE = 2048
"""Rows and columns of a crowded tile that are looked at at a time: 16 MB of float32."""
SPARSE = 256
"""A tile is crowded where more than one pair in so many is close."""
PATIENCE = 1 << 20
"""Pairs that are collected before their forest is made, at least."""


def spanning(i: Ints, j: Ints, rows: int | None = None) -> Ints:
    """Places of the pairs of the forest, ascending. Pairs are distinct and sorted by i, then j.

    With ``rows`` i and j number rows of two sets, the first of so many rows; without it both number rows of one.
    """
    if not len(i):
        return np.empty(0, np.int64)
    ends = np.concatenate([i, j if rows is None else j + rows])
    known, places = np.unique(ends, return_inverse=True)
    left, right = places[: len(i)], places[len(i) :]
    ranks = np.arange(1, len(i) + 1, dtype=np.float64)
    graph = csr_array((ranks, (left, right)), shape=(len(known), len(known)))
    # SciPy 1.13 takes 32-bit places alone. A tile has fewer pairs than that.
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
    return np.sort(minimum_spanning_tree(graph).data.astype(np.int64)) - 1


@dataclass
class Forest:
    """Pairs that come in any order and pieces, of which no more are held than a forest has and some that wait."""

    rows: int | None = None
    """As in ``spanning``."""
    _parts: list[Found] = field(default_factory=list)
    _waiting: int = 0
    _held: int = 0

    def add(self, i: Ints, j: Ints, values: npt.NDArray[np.float64]) -> None:
        """More pairs; one that came before has the value that it had."""
        self._parts.append((i, j, values))
        self._waiting += len(i)
        if self._waiting > max(PATIENCE, 2 * self._held):
            self.found()

    def found(self) -> Found:
        """The forest's (i, j, value), sorted by i, then j."""
        i, j, values = joined(self._parts)
        new = np.ones(len(i), np.bool_)
        new[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
        i, j, values = i[new], j[new], values[new]
        chosen = spanning(i, j, self.rows)
        made = i[chosen], j[chosen], values[chosen]
        self._parts, self._waiting, self._held = [made], 0, len(chosen)
        return made


def linked(search: Search, threshold: float) -> Found:
    """The forest of all (i, j, similarity) at or above the threshold; i < j within one set. Sorted by i, then j."""
    within = search.a is search.b
    forest = Forest(None if within else len(search.a))
    for start, left, columns in tiles(search, within=within):
        for offset, right in columns:
            limits = np.full(len(left), threshold - search.margin(left, right))
            most = 4 * (len(left) + len(right)) + len(left) * len(right) // SPARSE
            hits = search.engine.above(left, right, limits, most)
            if hits is None:
                parts = _crowded(search, threshold, (start, len(left)), (offset, len(right)))
                for i, j in parts:
                    forest.add(i, j, similarities(search.a, search.b, i, j))
                continue
            i, j = hits[0] + start, hits[1] + offset
            if within:
                i, j = i[i < j], j[i < j]
            exact = similarities(search.a, search.b, i, j)
            near = exact >= threshold
            forest.add(i[near], j[near], exact[near])
    return forest.found()


def _crowded(
    search: Search, threshold: float, rows: tuple[int, int], columns: tuple[int, int]
) -> list[tuple[Ints, Ints]]:
    """The forests of a tile's parts: (first row, how many), and the same of columns."""
    parts = []
    for top in range(rows[0], sum(rows), SIDE):
        some = np.arange(top, min(top + SIDE, sum(rows)))
        for side in range(columns[0], sum(columns), SIDE):
            others = np.arange(side, min(side + SIDE, sum(columns)))
            if search.a is not search.b or some[0] < others[-1]:
                parts.append(_part(search, threshold, some, others))
    return parts


def _part(search: Search, threshold: float, rows: Ints, columns: Ints) -> tuple[Ints, Ints]:
    """Kruskal's algorithm, a row at a time: of each group that the row is not in yet, it takes the first column.

    float32 products tell which pairs are near but for those within its rounding; these are decided exactly, and
    only where they would join two groups.
    """
    within = search.a is search.b
    lefts = search.a.block(int(rows[0]), int(rows[-1]) + 1)
    products = lefts @ search.b.block(int(columns[0]), int(columns[-1]) + 1).T
    margin = 1.001 * (search.a.width + 8) * 2.0**-24 * search.a.longest * search.b.longest
    # Rounded outwards: numpy would round the limits to float32, to the nearest.
    low = np.nextafter(np.float32(threshold - margin), np.float32(-np.inf))
    high = np.nextafter(np.float32(threshold + margin), np.float32(np.inf))
    near, sure = products >= low, products >= high
    if within:
        near &= rows[:, None] < columns
    known = np.unique(np.concatenate([rows, columns])) if within else np.arange(len(rows) + len(columns))
    of_row = np.searchsorted(known, rows) if within else np.arange(len(rows))
    of_column = np.searchsorted(known, columns) if within else len(rows) + np.arange(len(columns))
    group, merged = np.arange(len(known)), np.zeros(len(known), np.bool_)
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place in np.flatnonzero(near.any(axis=1)):
        own = group[of_row[place]]
        apart = np.flatnonzero(near[place] & (group[of_column] != own))
        unsure = apart[~sure[place, apart]]
        if len(unsure):
            exact = similarities(search.a, search.b, np.full(len(unsure), rows[place]), columns[unsure])
            apart = np.setdiff1d(apart, unsure[exact < threshold], assume_unique=True)
        if not len(apart):
            continue
        groups, first = np.unique(group[of_column[apart]], return_index=True)
        chosen = np.sort(apart[first])
        left.append(np.full(len(chosen), rows[place]))
        right.append(columns[chosen])
        merged[groups] = True
        group[merged[group]] = own
        merged[groups] = False
    return np.concatenate(left), np.concatenate(right)
