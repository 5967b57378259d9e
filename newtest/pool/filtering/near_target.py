"""DataComp's *image-based* rule for any target set: the image lies in a cluster that the target set also uses.

A k-means of the pool's image vectors (DataComp: 100,000 centroids) parts them into clusters. A cluster counts
when it is the nearest one of some image of the target set; samples of those clusters stay, if their caption
is English, has more than one word and more than five characters (DataComp's ``caption_filter``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from newtest.config import fingerprint
from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool.dedup.clusters import assigned, kmeans
from newtest.pool.dedup.target_sets import vectors_of_set
from newtest.pool.filtering.filters import LanguageIs, MinChars, MinWords, Rule, Verdict, verdict
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.vectors import VectorSource, gathered, vector_source

__all__ = ["InCluster", "image_near"]

MOST_CLUSTERS = 100_000
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
    pool: Pool, target: str, encoder: str | None = None, seed: int = 0, vectors: str | None = None
) -> tuple[Rule, Columns]:
    """The rule for a target set, and the layer of cluster numbers that it reads (kept). Raises PoolError,
    UsageError.
    """
    source = vector_source(pool, encoder, vectors)
    _, wanted, _ = vectors_of_set(source, target, encoder, pool.image_col)
    every = gathered(pool, source).vectors
    if wanted.shape[1] != every.shape[1]:
        raise PoolError(
            f"{target}: vectors of {wanted.shape[1]} numbers cannot be compared with the pool's {every.shape[1]}"
        )
    count = max(1, min(MOST_CLUSTERS, len(every) // ROWS_PER_CLUSTER))
    centroids = kmeans(every, count, seed)
    # The pool itself is part of the layer's name: other shards give other centroids.
    shards = fingerprint([pool.shard_fingerprint(shard) for shard in pool.shards])
    layer = Layer("clusters", {"vectors": source.said, "clusters": count, "seed": seed, "pool": shards})
    work = _Assigning(source, centroids)
    complete(build(pool, layer, work, LocalEngine(), Resources(1)), len(pool.shards))
    used, _ = assigned(wanted, centroids)
    rule = Rule(
        "image-near",
        (InCluster(frozenset(used.tolist()), target), MinWords(2), MinChars(6), LanguageIs("fasttext")),
    )
    return rule, {"image_cluster": (layer, "cluster")}


@dataclass(frozen=True)
class _Assigning:
    """Makes the worker that gives each row of a shard its nearest centroid."""

    source: VectorSource
    centroids: Any

    def __call__(self) -> Any:
        return self.table

    def table(self, pool: Pool, shard: Shard) -> pa.Table:
        vectors = self.source.rows(pool, shard)
        lengths = np.linalg.norm(vectors, axis=1)
        known = np.isfinite(lengths) & (lengths > 0)
        labels = np.full(len(vectors), -1, np.int64)
        labels[known] = assigned(vectors[known] / lengths[known, None], self.centroids)[0]
        return pa.table({"cluster": labels})
