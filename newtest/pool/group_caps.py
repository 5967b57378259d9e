"""Balance a pool by groups that each row is in one of: the host of its URL, its cluster, or its value in a column.

A group of n rows with a cap of t keeps each with probability min(1, t / n), as a query does in ``balance-pool``. With
a power p below 1 the cap is soft: (t / n)^p, so that a group of n > t rows keeps t^p n^(1 - p) of them on average.
Each draw is made of the seed and the uid alone, so neither shards nor workers show, and copies share theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.download.urls import host_of
from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.dedup.joins import keeping_for
from newtest.pool.density.clustering import clustered
from newtest.pool.hashed_order import order_of
from newtest.pool.scoring import vectors_for
from newtest.pool.storage import uids as ids
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.opt_outs import known, rows_left_out
from newtest.pool.storage.passes import merged
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.vectors import VectorSource
from newtest.progress import UNWATCHED, Progress

__all__ = ["CLUSTER", "HOST", "Capped", "GroupCaps", "Groups", "balance_per", "capped", "groups_by"]

HOST, CLUSTER = "host", "cluster"
Mask = npt.NDArray[np.bool_]
_USUAL = {"http:/": ":80", "https:": ":443"}


@dataclass(frozen=True)
class GroupCaps:
    """``cap`` rows per group, on average; ``power`` 1 is a hard cap, a lower one a soft one.

    ``per`` is ``host``, ``cluster`` or a column of the tables; ``clusters`` 0 is one per 1,000 rows. Raises UsageError.
    """

    per: str
    cap: int = 20_000
    power: float = 1.0
    seed: int = 0
    clusters: int = 0

    def __post_init__(self) -> None:
        if self.cap < 1:
            raise UsageError(f"the cap is at least 1 sample per group, not {self.cap}")
        if not 0 < self.power <= 1:
            raise UsageError(f"`power` is above 0 and at most 1, not {self.power}")


@dataclass(frozen=True)
class Groups:
    """What the groups are: values of ``column``, hosts of ``url``, or a layer of clusters."""

    by: str
    column: str | None = None
    layer: Layer | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest says of them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What must be read of a table for them."""
        return ("url",) if self.by == HOST and self.column is None else (self.column,) if self.column else ()

    def of(
        self, pool: Pool, shard: Shard, batches: Iterator[pa.Table]
    ) -> Iterator[tuple[pa.Table, pa.Array]]:
        """The batches, each with its rows' groups as strings, null where a row is in none. Raises PoolError."""
        clusters = None if self.layer is None else self.layer.table(pool, shard, ["cluster"])["cluster"]
        start = 0
        for batch in batches:
            if clusters is not None:
                own = clusters.slice(start, len(batch)).combine_chunks()
                yield batch, pc.cast(pc.if_else(pc.less(own, 0), None, own), pa.string())
            elif self.column is None:
                hosts = [_site(url) if url else None for url in batch["url"].to_pylist()]
                yield batch, pa.array(hosts, pa.string())
            else:
                yield batch, _texts(batch[self.column].combine_chunks(), self.column, pool, shard)
            start += len(batch)


def _site(url: str) -> str | None:
    """The host of a URL, with its port where that is not the usual one; None where there is none."""
    host = host_of(url)
    if host.count(":") > 1:  # IPv6
        return host
    name, _, port = host.removesuffix(_USUAL.get(url[:6].lower(), ":")).partition(":")
    return f"{name.rstrip('.')}:{port}" if port else name.rstrip(".") or None


@dataclass(frozen=True)
class Capped:
    """The subset, and a table of the groups: ``group``, ``count`` of its rows, ``probability``; large ones first."""

    subset: Subset
    groups: pa.Table


def groups_by(pool: Pool, by: str) -> Groups | None:
    """The groups that ``by`` names: a column of the tables where there is one of this name, else hosts; None for
    clusters, which must be made. Raises PoolError where shards lack what is needed.
    """
    lacking = [shard for shard in pool.shards if by not in pool.schema(shard).names]
    if len(lacking) < len(pool.shards):
        if lacking:
            raise PoolError(
                f"{pool.place.url}: shard {lacking[0].name} has no column {by!r}, while others have"
            )
        return Groups(by, by, said={"of": "column"})
    if by == CLUSTER:
        return None
    if by == HOST:
        if without := next((shard for shard in pool.shards if not pool.tells(shard, "url")), None):
            raise PoolError(
                f"{pool.place.url}: shard {without.name} has no column of URLs, so there are no hosts"
            )
        return Groups(by, said={"of": "host of the URL"})
    raise PoolError(
        f"{pool.place.url}: there is no column {by!r}; `per` is host, cluster or a column of the tables"
    )


def balance_per(
    pool: Pool,
    config: GroupCaps,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
    encoder: str | None = None,
    vectors: str | None = None,
) -> Capped:
    """Cap the groups of a pool. Clusters are those of ``prune-pool``: of an encoder's stored vectors, or of a file's.

    Raises PoolError, UsageError.
    """
    groups = groups_by(pool, config.per)
    if groups is None:
        groups = _clusters(pool, config, engine, workers, progress, vectors_for(pool, encoder, vectors))
    elif encoder or vectors or config.clusters:
        raise UsageError("`clusters`, `model`, `like` and `vectors` go with `per` cluster")
    return capped(pool, groups, config, engine, workers, progress)


def _clusters(
    pool: Pool, config: GroupCaps, engine: Engine, workers: int, progress: Progress, source: VectorSource
) -> Groups:
    rows = VectorRows.of(pool, source)
    keeping = keeping_for(pool, rows.starts[-1], "auto", progress, engine, workers)
    out = rows_left_out(pool)
    considered = np.ones(rows.starts[-1], np.bool_) if out is None else ~out
    layer, centroids = clustered(keeping, rows, considered, config.clusters, config.seed)
    said = {"of": "clusters of the image vectors", "clusters": len(centroids), "vectors": source.said}
    return Groups(CLUSTER, layer=layer, said=said)


def capped(
    pool: Pool, groups: Groups, config: GroupCaps, engine: Engine, workers: int, progress: Progress
) -> Capped:
    """Two passes over the rows: count, then draw. The driver holds every group with its count. Raises PoolError."""
    resources = Resources(workers, light=True)
    counts: Counter[str] = Counter()
    for own in merged(pool, partial(_Counting, pool, groups), engine, resources, progress, "counting"):
        counts.update(own)
    if not counts:
        raise PoolError(f"{pool.place.url}: no row has a {groups.by}, so there is nothing to balance by")
    over = {
        name: (config.cap / count) ** config.power for name, count in counts.items() if count > config.cap
    }
    sums = {"rows": 0, "opted_out": 0, "without": 0}
    uids: list[ids.Uids] = []
    stays: dict[str, npt.NDArray[np.uint8]] = {}
    for drawn in merged(
        pool, partial(_Drawing, pool, groups, over, config.seed), engine, resources, progress, "drawing"
    ):
        uids.append(drawn.kept)
        stays[drawn.shard] = drawn.stays
        sums = {name: sums[name] + getattr(drawn, name) for name in sums}
    kept = sum(map(len, uids))
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "balance": {
            "per": groups.by, **groups.said, "cap": config.cap, "power": config.power, "seed": config.seed,
            "groups": len(counts),
        },
        "rows_read": sums["rows"],
        "rows_opted_out": sums["opted_out"],
        "rows_without_a_group": sums["without"],
        "rows_not_drawn": sums["rows"] - sums["opted_out"] - sums["without"] - kept,
        "head": {"groups": len(over), "rows": sum(counts[name] for name in over)},
        "tail": {"groups": len(counts) - len(over), "rows": sum(n for n in counts.values() if n <= config.cap)},
    }  # fmt: skip
    rows = np.concatenate([stays[shard.name] for shard in pool.shards])
    return Capped(Subset.of(ids.concatenated(uids), manifest, rows), _table(counts, over))


def _table(counts: Mapping[str, int], over: Mapping[str, float]) -> pa.Table:
    table = pa.table(
        {
            "group": pa.array(list(counts), pa.string()),
            "count": pa.array(list(counts.values()), pa.int64()),
            "probability": pa.array([over.get(name, 1.0) for name in counts], pa.float64()),
        }
    )
    return table.sort_by([("count", "descending"), ("group", "ascending")])


def _texts(column: pa.Array, name: str, pool: Pool, shard: Shard) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    fits = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    if not (fits or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise PoolError(
            f"{pool.place.url}: column {name!r} of shard {shard.name} holds {column.type}; groups are texts, whole "
            "numbers or booleans"
        )
    return pc.cast(column, pa.string())


class _Rows:
    """In a worker: a shard's rows, batch by batch, with their groups and who opted out."""

    def __init__(self, pool: Pool, groups: Groups) -> None:
        self.pool, self.groups, self.opt_outs = pool, groups, known(pool)

    def of(self, shard: Shard) -> Iterator[tuple[ids.Uids, pa.Array, Mask]]:
        columns = list(dict.fromkeys(("uid", *self.groups.columns, *self.opt_outs.columns)))
        for batch, names in self.groups.of(self.pool, shard, self.pool.batches(shard, columns)):
            uids = ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}")
            gone = len(self.opt_outs) > 0
            out = np.logical_or(*self.opt_outs.found(batch)) if gone else np.zeros(len(batch), np.bool_)
            yield uids, names, np.asarray(out, np.bool_)


class _Counting(_Rows):
    """In a worker: the rows of each group in a shard."""

    def __call__(self, shard: Shard) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for _, names, out in self.of(shard):
            for each in names.filter(pa.array(~out)).drop_null().value_counts().to_pylist():
                counts[each["values"]] += each["counts"]
        return dict(counts)


@dataclass
class _Drawn:
    shard: str
    kept: ids.Uids
    stays: npt.NDArray[np.uint8]
    rows: int
    opted_out: int
    without: int


class _Drawing(_Rows):
    """In a worker: which rows of a shard stay; ``over`` has the probability of groups above the cap."""

    def __init__(self, pool: Pool, groups: Groups, over: Mapping[str, float], seed: int) -> None:
        super().__init__(pool, groups)
        self.over, self.seed = over, seed

    def __call__(self, shard: Shard) -> _Drawn:
        kept, stays, opted_out, without = [], [np.empty(0, np.bool_)], 0, 0
        for uids, names, out in self.of(shard):
            coded = names.dictionary_encode()
            chances = np.array([self.over.get(name, 1.0) for name in coded.dictionary.to_pylist()] or [1.0])
            has = np.asarray(names.is_valid().to_numpy(zero_copy_only=False), np.bool_)
            codes = coded.indices.fill_null(0).to_numpy()
            drawn = order_of(uids, "caps", self.seed) / 2.0**64 < chances[codes]
            stay = drawn & has & ~out
            kept.append(uids[stay])
            stays.append(stay)
            opted_out += int(np.count_nonzero(out))
            without += int(np.count_nonzero(~has & ~out))
        whole = np.concatenate(stays)
        return _Drawn(shard.name, ids.concatenated(kept), np.packbits(whole), len(whole), opted_out, without)
