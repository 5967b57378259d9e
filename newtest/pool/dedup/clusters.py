"""SemDeDup's join within clusters of a spherical k-means, as items on an engine, with its recall.

The centroids are trained on at most 256 rows per cluster, drawn with the seed. Each row then goes to its nearest
centroid, or to its ``probe`` nearest ones, and rows that share a cluster are joined. Equal rows were found before, and
one stands for all. Everything is exact (``newtest.neighbors.kmeans``), so no engine, range or device shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.draws import generator
from newtest.neighbors import Forest, pairs_above
from newtest.neighbors.kmeans import Centroids, nearest, trained
from newtest.pool.dedup.copies import Copies, copies
from newtest.pool.dedup.joins import LARGEST, Joined, VectorJoin, block_rows
from newtest.pool.dedup.pairs import Pairs
from newtest.pool.storage.kept_items import Keeping, kept
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import Range, VectorRows, ranges

__all__ = ["MOST_CLUSTERS", "join_in_clusters", "kmeans", "picked"]

Ints = npt.NDArray[np.int64]
RULE = 1
MOST_CLUSTERS = 100_000
"""As many as DataComp's image-based rule has; SemDeDup had half of that for LAION."""
TRAIN_PER_CLUSTER = 256
RECALL_ROWS = 20_000
_PIECE = 2048


def kmeans(
    pick: Callable[[Ints], npt.NDArray[np.float16]], rows: int, clusters: int, seed: int, device: str = "auto"
) -> Centroids:
    """Unit centroids (k, d), trained on rows that are drawn with the seed; ``pick`` gets places, ascending, of so many
    rows and gives theirs, unit rows in float16.
    """
    draw = generator(seed, "kmeans", str(rows), str(clusters))
    chosen = np.sort(draw.choice(rows, min(rows, clusters * TRAIN_PER_CLUSTER), replace=False))
    return trained(pick(chosen), clusters, draw, device=device)


def picked(rows: VectorRows, chosen: Ints, block: int) -> npt.NDArray[np.float16]:
    """Some rows, ascending, shape (n, d); no more than a range is in memory besides them."""
    parts = []
    for wanted in ranges(rows.starts, block):
        first, last = np.searchsorted(chosen, wanted)
        if first < last:
            parts.append(rows.block(wanted)[0][chosen[first:last] - wanted[0]])
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float16)


@dataclass(frozen=True)
class _Assigned:
    wanted: Range
    name: str


@dataclass(frozen=True)
class _Assigning:
    """Gives each row of a range its nearest centroids; -1 where there is no row, or one stands for it."""

    rows: VectorJoin
    centroids: Centroids
    probe: int
    joined: npt.NDArray[np.uint8]

    def __call__(self) -> Callable[[_Assigned], pa.Table]:
        return self.table

    def table(self, item: _Assigned) -> pa.Table:
        vectors, _ = self.rows.block(item.wanted)
        labels = np.full((len(vectors), self.probe), -1, np.int32)
        own = _bits(self.joined, item.wanted)
        labels[own] = nearest(vectors[own], self.centroids, self.probe, self.rows.device)
        return pa.table({f"cluster{place}": labels[:, place] for place in range(self.probe)})


def _bits(packed: npt.NDArray[np.uint8], wanted: Range) -> npt.NDArray[np.bool_]:
    some = packed[wanted[0] // 8 : -(-wanted[1] // 8)]
    return np.unpackbits(some)[wanted[0] % 8 :][: wanted[1] - wanted[0]].astype(np.bool_)


@dataclass(frozen=True)
class _Group:
    """Clusters ``first`` to ``last``, the last left out."""

    first: int
    last: int
    name: str


@dataclass(frozen=True)
class _Joining:
    """Joins the rows of each cluster of a group; the group's rows are gathered from all ranges."""

    pool: Pool
    folder: str
    rows: VectorJoin
    cut: tuple[_Assigned, ...]
    tables: tuple[pa.Table, ...] | None

    def __call__(self) -> Callable[[_Group], pa.Table]:
        return self.table

    def table(self, item: _Group) -> pa.Table:
        label, row, vectors = self._members(item)
        forest = Forest()
        for cluster in range(item.first, item.last):
            own = slice(*np.searchsorted(label, (cluster, cluster + 1)))
            if own.stop - own.start > 1:
                i, j, closeness = self.rows.join(vectors[own], None)
                forest.add(row[own][i], row[own][j], closeness)
        left, right, closeness = forest.found()
        return pa.table({"left": left, "right": right, "closeness": closeness.astype(np.float32)})

    def _members(self, item: _Group) -> tuple[Ints, Ints, npt.NDArray[np.float16]]:
        """Labels, rows and vectors of the group's clusters, by label, then row."""
        labels, rows, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
        for place, part in enumerate(self.cut):
            table = self.tables[place] if self.tables else kept(self.pool, self.folder, part)
            each = np.stack([column.to_numpy() for column in table.columns], axis=1)
            here, which = np.nonzero((each >= item.first) & (each < item.last))
            labels.append(each[here, which].astype(np.int64))
            rows.append(here + part.wanted[0])
            counts.append(len(here))
        label, row = np.concatenate(labels), np.concatenate(rows)
        order = np.lexsort((row, label))
        return label[order], row[order], self._vectors(row, order, counts)

    def _vectors(self, row: Ints, order: Ints, counts: list[int]) -> npt.NDArray[np.float16]:
        """The vectors of rows, of which so many lie in each range, in an order; they are in memory once."""
        goes = np.empty_like(order)
        goes[order] = np.arange(len(order))
        vectors, start = np.empty((0, 1), np.float16), 0
        for part, count in zip(self.cut, counts, strict=True):
            if not count:
                continue
            some = slice(start, start + count)
            read = self.rows.block(part.wanted)[0]
            if not start:
                vectors = np.empty((len(row), read.shape[1]), np.float16)
            vectors[goes[some]] = read[row[some] - part.wanted[0]]
            start += count
        return vectors


def join_in_clusters(
    keeping: Keeping, rows: VectorJoin, clusters: int, probe: int, seed: int, block: int | None = None
) -> tuple[Joined, dict[str, Any]]:
    """A spanning set of the pairs of rows that share a cluster, sorted, and the recall against the exact join, counted
    on the pairs among 20,000 rows drawn with the seed. ``clusters`` 0 is one per 1,000 rows. Raises PoolError.
    """
    size = block_rows(rows.starts[-1], block)
    cut = ranges(rows.starts, size)
    same = copies(keeping, rows, cut)
    count = max(
        1, min(clusters or min(same.there // 1000, MOST_CLUSTERS), int(np.count_nonzero(same.joined)))
    )
    if not same.there:
        return Joined(Pairs(same.left, same.right, np.empty(0, np.float32)), 0), _told(count, None, 0, 0)
    probe = min(probe, count)
    among = np.flatnonzero(same.joined)
    keeping.progress.advance("training centroids", 0, 1)
    centroids = kmeans(lambda some: picked(rows, among[some], size), len(among), count, seed, rows.device)
    keeping.progress.advance("training centroids", 1, 1)
    packed = np.packbits(same.joined)
    made_of = hashlib.sha256(packed.tobytes() + centroids.tobytes()).hexdigest()
    folder = f"clusters-{fingerprint('clusters', RULE, probe, made_of)[:16]}"
    assigned = tuple(_Assigned(wanted, fingerprint(rows.fingerprint(wanted))[:32]) for wanted in cut)
    sizes, tables, recall = np.zeros(count, np.int64), [], _Recall.of(same, seed)
    work = _Assigning(rows, centroids, probe, packed)
    for item, table in keeping.results(folder, work, assigned, "assigning clusters"):
        labels = np.stack([column.to_numpy() for column in table.columns], axis=1)
        sizes += np.bincount(labels[labels >= 0], minlength=count)
        recall.note(item.wanted, labels)
        tables.append(table if len(assigned) == 1 else None)
    forest = Forest()
    joining = _Joining(
        keeping.pool, folder, rows, assigned,
        tuple(tables) if len(assigned) == 1 else None,
    )  # fmt: skip
    joins = f"joins-{fingerprint('clusters', RULE, folder, dict(rows.setting))[:16]}"
    groups = list(_groups(sizes, block or max(size, min(LARGEST, rows.starts[-1] // 8)), folder))
    for _, table in keeping.results(joins, joining, groups, "joining within clusters"):
        forest.add(*(table[name].to_numpy() for name in ("left", "right", "closeness")))
    pairs = _with_copies(forest, same, rows.equal)
    found, together = recall.counted(rows, size)
    return Joined(pairs, same.there), _told(
        count, together / found if found else None, found, len(recall.rows)
    )


def _told(clusters: int, recall: float | None, pairs: int, rows: int) -> dict[str, Any]:
    return {"clusters": clusters, "recall": recall, "recall_pairs": pairs, "recall_rows": rows}


def _with_copies(forest: Forest, same: Copies, equal: float) -> Pairs:
    left, right, closeness = forest.found()
    left, right = np.concatenate([left, same.left]), np.concatenate([right, same.right])
    closeness = np.concatenate([closeness, np.full(len(same.left), equal)])
    order = np.lexsort((right, left))
    return Pairs(left[order], right[order], closeness[order].astype(np.float32))


def _groups(sizes: Ints, most: int, made_of: str) -> Iterator[_Group]:
    """Neighbouring clusters with at most this many rows together, or one larger cluster."""
    first = total = 0
    for cluster, size in enumerate(sizes.tolist()):
        if total and total + size > most:
            yield _Group(first, cluster, fingerprint(made_of, first, cluster)[:32])
            first, total = cluster, 0
        total += size
    yield _Group(first, len(sizes), fingerprint(made_of, first, len(sizes))[:32])


@dataclass
class _Recall:
    """Rows, drawn among those that are joined, and their clusters."""

    rows: Ints
    labels: list[npt.NDArray[np.int32]]

    @classmethod
    def of(cls, same: Copies, seed: int) -> _Recall:
        among = np.flatnonzero(same.joined)
        draw = generator(seed, "recall", str(len(among)))
        return cls(among[np.sort(draw.choice(len(among), min(RECALL_ROWS, len(among)), replace=False))], [])

    def note(self, wanted: Range, labels: npt.NDArray[np.int32]) -> None:
        first, last = np.searchsorted(self.rows, wanted)
        self.labels.append(labels[self.rows[first:last] - wanted[0]])

    def counted(self, rows: VectorJoin, block: int) -> tuple[int, int]:
        """All pairs among the rows, and those that share a cluster."""
        labels, vectors = np.concatenate(self.labels), picked(rows, self.rows, block)
        found = together = 0
        for start in range(0, len(vectors), _PIECE):
            some = vectors[start : start + _PIECE]
            i, j, _ = pairs_above(some, vectors[start:], threshold=rows.threshold, device=rows.device)
            later = i < j
            i, j = i[later] + start, j[later] + start
            found += len(i)
            together += int((labels[i][:, :, None] == labels[j][:, None, :]).any(axis=(1, 2)).sum())
        return found, together
