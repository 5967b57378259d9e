"""DataComp's *image-based* rule for any target set: the image lies in a cluster that the target set also uses.

A k-means of the pool's image vectors (DataComp: 100,000 centroids) parts them into clusters. A cluster counts
when it is the nearest one of some image of the target set; samples of those clusters stay, if their caption
is English, has more than one word and more than five characters (DataComp's ``caption_filter``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from newtest.config import fingerprint
from newtest.engines import LocalEngine, Resources
from newtest.neighbors.kmeans import Centroids, nearest
from newtest.pool.dedup.clusters import MOST_CLUSTERS, kmeans, picked
from newtest.pool.dedup.copies import copies
from newtest.pool.dedup.joins import BLOCK, block_rows
from newtest.pool.dedup.references import require_width
from newtest.pool.dedup.target_sets import vectors_of_set
from newtest.pool.filtering.filters import LanguageIs, MinChars, MinWords, Rule, Verdict, verdict
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows, ranges
from newtest.pool.storage.vectors import vector_source
from newtest.progress import UNWATCHED

__all__ = ["InCluster", "image_near"]

ROWS_PER_CLUSTER = 128


@dataclass(frozen=True)
class InCluster:
    """The sample's cluster is one of those that the target set uses; -1 is a sample without a vector."""

    clusters: frozenset[int]
    said: str
    columns: tuple[str, ...] = ("image_cluster",)
    reasons: tuple[str, ...] = ("no image vector", "far from the target set")
    cost: int = 0

    def keep(self, table: pa.Table) -> Verdict:
        column = table["image_cluster"]
        near = np.array(pc.is_in(column, pa.array(sorted(self.clusters), pa.int64())).to_pylist(), np.bool_)
        unknown = np.array(pc.equal(column, -1).to_pylist(), np.bool_)
        return verdict(unknown, ~near)

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"target": self.said, "clusters": len(self.clusters)}


def image_near(
    pool: Pool,
    target: str,
    encoder: str | None = None,
    seed: int = 0,
    vectors: str | None = None,
    keeping: Keeping | None = None,
) -> tuple[Rule, Columns]:
    """The rule for a target set, and the layer of cluster numbers that it reads (kept). ``keeping`` has the engine that
    runs the work. Raises PoolError, UsageError.
    """
    keeping = keeping or Keeping(pool, LocalEngine(), Resources(1), UNWATCHED)
    source = vector_source(pool, encoder, vectors)
    _, wanted, _ = vectors_of_set(source, target, encoder, pool.image_col)
    rows = VectorRows.of(pool, source)
    require_width(rows, target, wanted)
    size = block_rows(rows.starts[-1])
    found = copies(keeping, rows, ranges(rows.starts, size))
    there = found.joined
    there[found.right] = True
    among = np.flatnonzero(there)
    count = max(1, min(MOST_CLUSTERS, len(among) // ROWS_PER_CLUSTER))
    centroids = kmeans(lambda some: picked(rows, among[some], size), len(among), count, seed)
    # The pool itself is part of the layer's name: other shards give other centroids.
    shards = fingerprint([pool.shard_fingerprint(shard) for shard in pool.shards])
    layer = Layer(
        "clusters", {"vectors": source.said, "clusters": count, "seed": seed, "pool": shards, "rule": 2}
    )
    work = partial(_Assigning, rows, centroids)
    complete(build(pool, layer, work, keeping.engine, keeping.resources), len(pool.shards))
    used = nearest(wanted, centroids)
    rule = Rule(
        "image-near",
        (
            InCluster(frozenset(used.ravel().tolist()), target),
            MinWords(2),
            MinChars(6),
            LanguageIs("fasttext"),
        ),
    )
    return rule, {"image_cluster": (layer, "cluster")}


@dataclass(frozen=True)
class _Assigning:
    """In a worker: gives each row of a shard its nearest centroid, a range at a time."""

    rows: VectorRows
    centroids: Centroids

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        place = pool.shards.index(shard)
        labels = []
        for wanted in ranges(self.rows.starts[place : place + 2], BLOCK):
            vectors, known = self.rows.block(wanted)
            own = np.full(len(vectors), -1, np.int64)
            own[known] = nearest(vectors[known], self.centroids)[:, 0]
            labels.append(own)
        return pa.table({"cluster": np.concatenate([np.empty(0, np.int64), *labels])})
