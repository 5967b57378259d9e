"""A round of Lloyd's k-means that looks only where a label may change.

What is known of each row bounds its products with all centroids. A centroid that moved by m changes its product with a
unit row by m at most (Hamerly 2010). So a row is compared again with the centroids that moved at least by its lead, and
only with these: they come first in the order of moves, and rows are sorted by how many they need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from newtest.neighbors.halves import widened
from newtest.neighbors.products import Centroids, Multiplies, slack
from newtest.neighbors.rows import Rows, similarities
from newtest.neighbors.threads import Room, Threads, alone

__all__ = ["Labels", "change_of", "exactly", "in_blocks"]

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
BLOCK = 2048
LONGEST = 1.01
"""No unit row in float16 is longer."""
FEW = 24
"""Clusters up to which a matrix of zeros and ones is multiplied sooner than a sparse one is made."""
MOST = 0.7
"""Share of the centroids from which all are looked at: it costs little more, and tells more for later rounds."""
LOOKUP = 80
"""Products that take as long as finding a row that is not next to the last one."""


def in_blocks(rows: int, multiply: Multiplies, clusters: int) -> list[slice]:
    """Rows in blocks of nearly one size, so large that a block's other work is little beside its products, and so small
    that a cache holds these.
    """
    step = max(multiply.products // max(clusters, 1), multiply.least)
    step = max(min(step, 8 * multiply.products // max(clusters, 1), multiply.most), 64)
    count = -(-rows // step)
    count += count % 2 if count > 1 else 0
    cuts = [rows * place // count for place in range(count + 1)] if count else []
    return [slice(*cut) for cut in pairwise(cuts)]


def exactly(rows: Array, centroids: Centroids, floors: Floats, probe: int) -> Ints:
    """The best centroids of each row by float64 sums, of those whose product is at least the row's floor."""
    i, j = np.nonzero(rows @ centroids.T >= floors[:, None])
    exact = similarities(Rows(rows, 1.0, 1.0), Rows(centroids, 1.0, 1.0), i, j)
    order = np.lexsort((j, -exact, i))
    i, j = i[order], j[order]
    return np.asarray(
        j[np.arange(len(i)) - np.searchsorted(i, i) < probe].reshape(len(rows), probe), np.int64
    )


def change_of(rows: Floats, old: Ints, new: Ints) -> tuple[Ints, Doubles]:
    """Clusters that rows (n, d) leave and enter, and what their sums change by; no cluster is left where -1 stands."""
    left = np.flatnonzero(old >= 0)
    clusters = np.concatenate([new, old[left]])
    order = np.argsort(clusters, kind="stable")
    clusters = clusters[order]
    starts = np.flatnonzero(np.diff(clusters, prepend=-1))
    signs = np.where(order < len(new), 1.0, -1.0)
    which = np.concatenate([np.arange(len(new)), left])[order]
    wide = rows.astype(np.float64)
    if len(starts) <= FEW:
        ones = np.zeros((len(starts), len(new)))
        ones[np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order))), which] = signs
        return clusters[starts], ones @ wide
    matrix = csr_array((signs, which, np.append(starts, len(order))), shape=(len(starts), len(new)))
    return clusters[starts], matrix @ wide


@dataclass(frozen=True)
class _Moves:
    """``sorted`` are the centroids (k, d) from the one that moved farthest to the one that moved least."""

    centroids: Centroids
    sorted: Centroids
    order: Ints
    place: Ints
    reach: Doubles
    limit: float
    """What two float32 products may be off, and once more."""

    @classmethod
    def of(cls, centroids: Centroids, moved: Doubles) -> _Moves:
        order = np.argsort(-moved, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return cls(
            centroids, centroids[order], order, place, LONGEST * moved[order], 2 * LONGEST * slack(centroids)
        )

    def needed(self, leads: Floats) -> npt.NDArray[np.int32]:
        """How many centroids, of those that moved farthest, may have overtaken a row's own."""
        need = np.searchsorted(-self.reach, self.limit - leads, "right").astype(np.int32)
        need[need > MOST * len(self.reach)] = len(self.reach)
        return need

    def exactly(self, rows: Array, floors: Floats) -> Ints:
        """The nearest centroids by float64 sums; of equal ones the lower."""
        return exactly(rows, self.centroids, floors, 1)[:, 0]


@dataclass
class Labels:
    """Labels of unit rows (n, d), -1 at first; the sums and sizes of clusters; and bounds of each row's products, but
    for rounding: at least ``own`` with its own centroid, at most ``other`` with each other one.
    """

    rows: Floats
    labels: Ints
    own: Doubles
    other: Doubles
    sums: Doubles
    counts: Ints
    lock: Any = field(default_factory=threading.Lock)
    room: Room = field(default_factory=Room)

    @classmethod
    def of(cls, rows: Floats, clusters: int) -> Labels:
        size = len(rows)
        return cls(
            rows, np.full(size, -1), np.full(size, -np.inf), np.full(size, np.inf),
            np.zeros((clusters, rows.shape[1])), np.zeros(clusters, np.int64),
        )  # fmt: skip

    def renew(
        self,
        centroids: Centroids,
        moved: Doubles,
        multiplier: Callable[[Centroids, int], Multiplies],
        each: Threads,
    ) -> None:
        """Give each row its nearest centroid; ``moved`` (k,) is how far they moved since the last call."""
        moves, before = _Moves.of(centroids, moved), self.labels.copy()
        self.own -= LONGEST * moved[self.labels]
        some, need = self._todo(moves)
        multiply = multiplier(moves.sorted, len(some))

        def compare(block: slice) -> None:
            self._compare(moves, multiply, some[block], int(need[block.start]))

        share = each if multiply.parallel else alone
        share(compare, in_blocks(len(some), multiply, len(centroids)))
        changed = np.flatnonzero(self.labels != before)
        old, new = before[changed], self.labels[changed]

        def move(start: int) -> None:
            part = slice(start, start + BLOCK)
            met, change = change_of(self._of(changed[part]), old[part], new[part])
            with self.lock:
                self.sums[met] += change

        each(move, range(0, len(changed), BLOCK))
        for sign, labels in ((1, new), (-1, old[old >= 0])):
            self.counts += sign * np.bincount(labels, minlength=len(self.counts))

    def _todo(self, moves: _Moves) -> tuple[Ints, npt.NDArray[np.int32]]:
        """Rows to compare, and with how many centroids, the most first."""
        need = moves.needed(self.own - self.other)
        some = np.flatnonzero(need)
        if need.sum() + LOOKUP * len(some) > need.size * len(moves.reach):
            need[:] = len(moves.reach)
            return np.arange(len(need)), need
        self.other[need == 0] += moves.reach[0]
        order = some[np.argsort(-need[some], kind="stable")]
        return order, need[order]

    def _of(self, some: Ints) -> Array:
        """Rows by number; where they follow each other, without a copy."""
        room = self.room.array(len(some), self.rows.shape[1])
        if some[-1] - some[0] + 1 == len(some) and bool((np.diff(some) == 1).all()):
            return widened(self.rows[some[0] : some[-1] + 1], room)
        if self.rows.dtype == np.float16:
            return widened(self.rows[some], room)
        return np.take(self.rows, some, axis=0, out=room, mode="clip")

    def _compare(self, moves: _Moves, multiply: Multiplies, some: Ints, first: int) -> None:
        """Compare rows with their own centroid and the ``first`` of those that moved."""
        rows, own = self._of(some), None
        if self.labels[some[0]] >= 0:  # after the first round
            own = moves.place[self.labels[some]]
        best = multiply.best(rows, 1, first, own)
        known = best.own
        if own is not None:
            away = np.flatnonzero(own >= first)
            known[away] = np.einsum("nd,nd->n", rows[away], moves.sorted[own[away]])
        value, after = best.values.T
        changed = value > known
        new = np.where(changed, moves.order[best.columns[:, 0]], self.labels[some])
        top, second = np.maximum(value, known), np.where(changed, np.maximum(known, after), value)
        close = np.flatnonzero(top - second <= moves.limit)
        if len(close):
            new[close] = moves.exactly(rows[close], top[close] - moves.limit)
            top[close] -= moves.limit
        rest = self.other[some] + moves.reach[first] if first < len(moves.reach) else -np.inf
        self.labels[some], self.own[some], self.other[some] = new, top, np.maximum(second, rest)
