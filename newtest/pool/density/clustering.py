"""Clusters of a pool's image vectors, and a layer of each row's cluster and its distance from the centroid.

``prune-pool`` keeps shares of them, ``balance-pool`` caps them; equal settings share the layer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import PoolError
from newtest.neighbors.kmeans import Centroids, nearest
from newtest.pool.dedup.clusters import MOST_CLUSTERS, kmeans, picked
from newtest.pool.dedup.copies import copies
from newtest.pool.dedup.joins import block_rows
from newtest.pool.scoring import made_of_vectors
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows, ranges
from newtest.progress import watched

__all__ = ["ROWS_PER_CLUSTER", "UNIT", "clustered"]

RULE = 1
ROWS_PER_CLUSTER = 1000
AT_A_TIME = 1 << 14
UNIT = 2.0**24
"""Distances are added up as whole multiples of 2^-24, so that their order does not matter."""


def clustered(
    keeping: Keeping, rows: VectorRows, considered: npt.NDArray[np.bool_], clusters: int, seed: int
) -> tuple[Layer, Centroids]:
    """The layer of each row's ``cluster`` and ``distance``, which is kept, and the centroids (k, d).

    They are trained on the rows that are ``considered`` (n,), one of equal ones. ``clusters`` 0 is one per 1,000 of
    these. Raises PoolError where none has a vector.
    """
    pool = keeping.pool
    size = block_rows(rows.starts[-1])
    same = copies(keeping, rows, ranges(rows.starts, size))
    there = same.joined
    there[same.right] = True
    among = np.flatnonzero(there & considered)
    if not len(among):
        raise PoolError(f"{pool.place.url}: no row that may stay has a vector")
    count = min(clusters or max(1, len(among) // ROWS_PER_CLUSTER), MOST_CLUSTERS, len(among))
    centroids = kmeans(lambda some: picked(rows, among[some], size), len(among), count, seed)
    made_of = {
        "clusters": count, "seed": seed, "rule": RULE, "vectors": made_of_vectors(pool, rows.source),
        "centroids": hashlib.sha256(centroids.tobytes()).hexdigest()[:32],
    }  # fmt: skip
    layer = Layer("density", made_of)
    outcomes = build(pool, layer, partial(_Assigning, rows, centroids), keeping.engine, keeping.resources)
    total = len(pool.shards)
    complete(watched(keeping.progress, "assigning clusters", outcomes, total), total)
    return layer, centroids


@dataclass(frozen=True)
class _Assigning:
    """In a worker: each row's nearest centroid and its distance from it; -1 and NaN where there is no vector."""

    rows: VectorRows
    centroids: Centroids

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        place = pool.shards.index(shard)
        first, number = self.rows.starts[place], pool.rows(shard)
        cluster, distance = np.full(number, -1, np.int32), np.full(number, np.nan, np.float32)
        for wanted in ranges(self.rows.starts[place : place + 2], AT_A_TIME):
            vectors, known = self.rows.block(wanted)
            own = wanted[0] - first + np.flatnonzero(known)
            labels = nearest(vectors[known], self.centroids)[:, 0]
            nearby = np.multiply(vectors[known].astype(np.float64), self.centroids[labels]).sum(axis=1)
            cluster[own], distance[own] = labels, np.round((1 - nearby) * UNIT) / UNIT
        return pa.table({"cluster": cluster, "distance": distance})
