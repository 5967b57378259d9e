"""Prune a pool by density: clusters of its image vectors, how many rows each keeps, and which.

Of a cluster the *hard* rows stay, those farthest from its centroid, or the *easy* ones, or random ones. Equal distances
go by uid, so no shard, worker or engine shows. The driver holds about 30 bytes per row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import UsageError
from newtest.pool.density.clustering import UNIT, clustered
from newtest.pool.density.complexity import allotted, between, shares
from newtest.pool.hashed_order import order_of
from newtest.pool.storage import uids as ids
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.opt_outs import rows_left_out
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.row_uids import uids_of
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.uids import Uids
from newtest.pool.storage.vectors import VectorSource

__all__ = ["KEEP", "PruneConfig", "Pruned", "prune"]

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
KEEP = ("hard", "easy", "random")


@dataclass(frozen=True)
class PruneConfig:
    """``fraction`` of the rows that have a vector; ``clusters`` 0 is one per 1,000 rows. Raises UsageError."""

    fraction: float
    clusters: int = 0
    temperature: float = 0.5
    keep: str = "hard"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise UsageError(f"a fraction is more than 0 and at most 1, not {self.fraction}")
        if not 0 < self.temperature < np.inf:
            raise UsageError(f"a temperature is a number above 0, not {self.temperature}")
        if self.keep not in KEEP:
            raise UsageError(f"`keep` is {', '.join(KEEP)}, not {self.keep!r}")


@dataclass(frozen=True)
class Pruned:
    """The subset, and of each cluster its rows, its two distances, its share, and the rows that stay."""

    subset: Subset
    clusters: pa.Table


@dataclass(frozen=True)
class _Rows:
    """Of each row of the pool its cluster (n,), -1 for none, and the number by which it is kept (n,), largest first.

    ``sizes`` and ``units`` (k,): the rows of each cluster, and the sum of their distances in multiples of 2^-24.
    """

    cluster: npt.NDArray[np.int32]
    rank: npt.NDArray[np.float32]
    sizes: Ints
    units: Ints


def prune(keeping: Keeping, source: VectorSource, config: PruneConfig, within: Mask | None = None) -> Pruned:
    """Prune the pool of ``keeping``, whose engine runs the work. ``within`` (n,) are the rows that count at all.

    Raises PoolError, UsageError.
    """
    pool = keeping.pool
    rows = VectorRows.of(pool, source)
    out = rows_left_out(pool)
    considered = np.ones(rows.starts[-1], np.bool_) if within is None else within.copy()
    if out is not None:
        considered &= ~out
    layer, centroids = clustered(keeping, rows, considered, config.clusters, config.seed)
    found = _read(keeping, layer, considered, config, len(centroids))
    sizes = found.sizes
    total = int(config.fraction * sizes.sum())
    if not total:
        raise UsageError(f"a fraction of {config.fraction:g} of {sizes.sum():,} rows keeps none")
    intra = found.units / np.maximum(sizes, 1) / UNIT
    inter = between(centroids)
    probability = shares(inter * intra, config.temperature)
    counts = allotted(probability, sizes, total)
    stays = _chosen(pool, found, counts, keeping)
    table = pa.table(
        {
            "cluster": np.arange(len(sizes)), "rows": sizes, "d_intra": intra, "d_inter": inter,
            "share": probability, "kept": counts,
        }
    )  # fmt: skip
    without = int(np.count_nonzero(considered & (found.cluster < 0)))
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "prune": {
            "fraction": config.fraction, "clusters": len(sizes), "temperature": config.temperature,
            "keep": config.keep, "seed": config.seed, "vectors": source.said,
        },
        "rows_read": len(considered),
        "rows_opted_out": 0 if out is None else int(np.count_nonzero(out)),
        "rows_outside_the_subset": 0 if within is None else int(np.count_nonzero(~within)),
        "rows_without_a_vector": without,
        "rows_pruned": int(sizes.sum()) - total,
    }  # fmt: skip
    return Pruned(Subset.of(_uids(keeping, stays), manifest, chosen_rows(pool, stays)), table)


def _spans(pool: Pool) -> dict[str, tuple[int, int]]:
    ends = np.cumsum([0, *(pool.rows(shard) for shard in pool.shards)]).tolist()
    return {shard.name: (ends[at], ends[at + 1]) for at, shard in enumerate(pool.shards)}


def _read(keeping: Keeping, layer: Layer, considered: Mask, config: PruneConfig, clusters: int) -> _Rows:
    pool, spans = keeping.pool, _spans(keeping.pool)
    found = _Rows(
        np.full(len(considered), -1, np.int32), np.zeros(len(considered), np.float32),
        np.zeros(clusters, np.int64), np.zeros(clusters, np.int64),
    )  # fmt: skip
    work = partial(_of_shard, pool, layer, config)
    resources = replace(keeping.resources, light=True)
    for name, cluster, distance, rank in mapped(
        pool, work, keeping.engine, resources, keeping.progress, "ranking"
    ):
        span = slice(*spans[name])
        own = considered[span] & (cluster >= 0)
        found.cluster[span] = np.where(own, cluster, -1)
        found.rank[span] = rank
        np.add.at(found.sizes, cluster[own], 1)
        np.add.at(
            found.units, cluster[own], np.round(distance[own].astype(np.float64) * UNIT).astype(np.int64)
        )
    return found


def _of_shard(
    pool: Pool, layer: Layer, config: PruneConfig, shard: Shard
) -> tuple[str, npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A shard's name, and of its rows the cluster, the distance, and the number by which they are kept."""
    table = layer.table(pool, shard, ["cluster", "distance"])
    distance = table["distance"].to_numpy()
    rank = {"hard": distance, "easy": -distance}.get(config.keep)
    if rank is None:
        hashed = order_of(uids_of(pool, shard), "density", config.seed)
        rank = (hashed >> np.uint64(40)).astype(np.float32)  # 24 bits, whole in float32
    return shard.name, table["cluster"].to_numpy().astype(np.int32), distance, rank.astype(np.float32)


def _chosen(pool: Pool, found: _Rows, counts: Ints, keeping: Keeping) -> Mask:
    """The rows that stay, (n,)."""
    there = np.flatnonzero(found.cluster >= 0)
    order = there[np.lexsort((-found.rank[there], found.cluster[there]))]
    sorted_clusters = found.cluster[order]
    first = np.searchsorted(sorted_clusters, np.arange(len(counts)))
    place = np.arange(len(order)) - first[sorted_clusters]
    stays = np.zeros(len(found.cluster), np.bool_)
    stays[order[place < counts[sorted_clusters]]] = True
    _untie(pool, found, counts, order, first, stays, keeping)
    return stays


def _untie(
    pool: Pool, found: _Rows, counts: Ints, order: Ints, first: Ints, stays: Mask, keeping: Keeping
) -> None:
    """Where a cluster's cut falls among equal ranks, let the lowest uids stay, in place."""
    ends = np.append(first[1:], len(order))
    tied: list[Ints] = []
    for cluster in np.flatnonzero((counts > 0) & (counts < ends - first)).tolist():
        members = order[first[cluster] : ends[cluster]]
        ranks = found.rank[members]
        last = ranks[counts[cluster] - 1]
        if ranks[counts[cluster]] == last:
            tied.append(members[ranks == last])
    if not tied:
        return
    among = np.zeros(len(stays), np.bool_)
    among[np.concatenate(tied)] = True
    uids = _uids(keeping, among)
    where = np.cumsum(among) - 1
    for members in tied:
        kept = int(np.count_nonzero(stays[members]))
        own = uids[where[members]]
        by_uid = members[np.lexsort((members, own["f1"], own["f0"]))]
        stays[members] = False
        stays[by_uid[:kept]] = True


def _uids(keeping: Keeping, chosen: Mask) -> Uids:
    """The uids of rows, in the pool's order."""
    pool, spans = keeping.pool, _spans(keeping.pool)
    having = tuple(shard for shard in pool.shards if chosen[slice(*spans[shard.name])].any())
    parts: dict[str, Uids] = {}
    work = partial(_named_uids, pool)
    some = replace(pool, shards=having)
    resources = replace(keeping.resources, light=True)
    for name, uids in mapped(some, work, keeping.engine, resources, keeping.progress, "reading uids"):
        parts[name] = uids[chosen[slice(*spans[name])]]
    return ids.concatenated(parts[shard.name] for shard in having)


def _named_uids(pool: Pool, shard: Shard) -> tuple[str, Uids]:
    return shard.name, uids_of(pool, shard)
