"""What commands that score, prune, search, reshard or fetch would take, before they are run.

As in ``newtest.pool.pass_plans`` the command's own work is tried for about a second, and nothing is written.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.encoder import unit_rows
from newtest.download import DownloadConfig
from newtest.download.urls import host_of
from newtest.engines import Engine
from newtest.engines.base import cores
from newtest.errors import PoolError, UsageError
from newtest.neighbors.kmeans import ROUNDS
from newtest.pool.dedup.clusters import MOST_CLUSTERS, TRAIN_PER_CLUSTER
from newtest.pool.dedup.planning import H100, H100_READS, Rates, measured
from newtest.pool.density.clustering import ROWS_PER_CLUSTER
from newtest.pool.filtering import near_target
from newtest.pool.filtering.recipe import Recipe
from newtest.pool.pass_plans import PassPlan, bytes_of, first_shard, plan_filter, rows_left, rows_of, tried
from newtest.pool.reshard import plan_reshard as settle_reshard
from newtest.pool.reshard import written_parts
from newtest.pool.scores.by_rank import Ranked
from newtest.pool.scores.layers import scores_of, scores_read
from newtest.pool.scores.neg_clip_loss import NegClipLoss, References, neg_clip_loss
from newtest.pool.scoring import Scoring
from newtest.pool.search import Mentions, SearchConfig, definition_of
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.row_uids import uids_of
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.vectors import VectorSource, vector_source
from newtest.pool.url_tables import URL, UrlTables
from newtest.records import Class

__all__ = [
    "plan_clusters", "plan_fetch", "plan_filtering", "plan_neg_clip_loss", "plan_ranks", "plan_reshard_work",
    "plan_scoring", "plan_search",
]  # fmt: skip

Vectors = npt.NDArray[np.float16]
PER_IMAGE = 0.5
"""Seconds that a download is taken to need. Assumed."""
BYTES_PER_IMAGE = 1e5
"""Bytes that an image on the web is taken to have. Assumed."""
_AT_A_TIME = 1 << 10
_FEW = 128
_RANKED = 1 << 20
"""Rows that are ranked to learn how long that takes."""


def plan_scoring(scoring: Scoring) -> PassPlan:
    """Of ``score-pool`` by a function of the image vectors, or by NormSim: its first shard. Raises PoolError."""
    pool, shard, worker = scoring.pool, first_shard(scoring.pool), scoring.make()
    count, rate = tried(len(worker(pool, shard)) for _ in range(1 << 10))
    rows, done = rows_left(pool, scoring.layer)
    read = bytes_of(pool, tars=False)
    return PassPlan(
        "score-pool",
        len(pool.shards),
        rows,
        done,
        read,
        count,
        rate,
        max(scoring.resources.workers, 1),
        gpu="not estimated",
    )


def plan_neg_clip_loss(pool: Pool, source: VectorSource, config: NegClipLoss) -> PassPlan:
    """Of ``score-pool`` by negCLIPLoss: rows against one batch of made vectors. Raises PoolError."""
    rows, total = VectorRows.of(pool, source), _some_rows(pool)
    batch, width = min(config.batch, total), _width(rows)
    drawn = np.random.default_rng(0).standard_normal((batch, width), dtype=np.float32)
    made: Vectors = unit_rows(drawn).astype(np.float16)
    draw, few = References(np.arange(batch), made, made), min(total, _FEW)
    vectors, known = rows.block((0, few))
    some = vectors[known] if known.any() else made[:few]

    def work() -> Iterator[int]:
        while True:
            neg_clip_loss(some, some, np.arange(len(some)), [draw], config)
            yield len(some)

    count, rate = tried(work())
    operations = (
        2.0 * config.batches * batch * width
    )  # per row: images with captions, and captions with images
    return PassPlan(
        "score-pool", len(pool.shards), total, 0, 4.0 * total * width, count, rate / config.batches, 1,
        h100_rate=H100 / operations,
    )  # fmt: skip


def plan_ranks(pool: Pool, columns: Sequence[str], way: str) -> PassPlan:
    """Of ``score-pool`` by ranks: the scores are read, ranked by the command itself, and read again to be written.

    Raises PoolError, UsageError.
    """
    read, layers = scores_read(pool, columns)
    shard, total = first_shard(pool), _some_rows(pool)
    count, rate = tried(len(scores_of(pool, read, layers, shard)[0]) for _ in range(1 << 10))
    some = [column[:_RANKED] for column in scores_of(pool, read, layers, shard)]
    start = time.perf_counter()
    Ranked.of(some, way).scores(some)
    alone = (time.perf_counter() - start) * total / max(len(some[0]), 1)
    return PassPlan(
        "score-pool",
        len(pool.shards),
        total,
        0,
        16.0 * total * len(read),
        count,
        rate,
        cores(),
        passes=2,
        alone=alone,
    )


def plan_filtering(pool: Pool, recipe: Recipe, engine: Engine, workers: int) -> dict[str, Any]:
    """Of ``filter-pool``: its passes, or with ``image_near`` the k-means before them, which takes most.

    Raises PoolError, UsageError.
    """
    if recipe.image_near is None:
        return plan_filter(pool, recipe, engine).told(workers)
    clusters = max(1, min(rows_of(pool) // near_target.ROWS_PER_CLUSTER, MOST_CLUSTERS))
    return plan_clusters(pool, "filter-pool", vector_source(pool, recipe.arch, recipe.vectors), clusters)


def plan_clusters(
    pool: Pool, command: str, source: VectorSource, clusters: int = 0, device: str = "auto"
) -> dict[str, Any]:
    """Of commands whose work is the k-means of the pool's vectors: ``prune-pool``, ``balance-pool`` by clusters, and
    ``filter-pool`` by ``image_near``.

    Operations are an upper bound: the k-means leaves out what cannot change. Raises PoolError, UsageError.
    """
    rows, total = VectorRows.of(pool, source), _some_rows(pool)
    width = _width(rows)
    count = clusters or max(1, min(total // ROWS_PER_CLUSTER, MOST_CLUSTERS))
    sample = min(total, count * TRAIN_PER_CLUSTER)
    operations, read = (ROUNDS * sample + total) * float(count) * width, 2.0 * width * (2 * total + sample)
    rates, h100 = measured(rows, width, device), Rates(H100, H100_READS)

    def hours(of: Rates, machines: int = 1) -> float:
        return (operations / of.operations + read / of.bytes_read) / machines / 3600

    return {
        "command": command, "rows": total, "clusters": count, "width": width, "operations": operations,
        "bytes_read": read, "rates": {"operations": rates.operations, "bytes_read": rates.bytes_read},
        "hours_here": hours(rates), "workers": 1, "hours_on_workers": hours(rates), "hours_on_h100": hours(h100),
    }  # fmt: skip


def plan_search(
    pool: Pool, classes: Sequence[Class], others: Sequence[Class], config: SearchConfig
) -> PassPlan:
    """Of ``search-pool``: captions are read for mentions, candidates compared with definitions where that is asked for,
    and chosen. Raises PoolError, UsageError, MissingExtra.
    """
    if not classes:
        raise UsageError("name a class to search for: `wnids`")
    mentions, shard = Mentions([*classes, *others]), first_shard(pool)
    named: list[str] = []

    def work() -> Iterator[int]:
        for batch in pool.batches(shard, ["text"], _AT_A_TIME):
            named.extend(text for text in batch["text"].to_pylist() if text and mentions.of(text))
            yield len(batch)

    count, rate = tried(work())
    if config.compares and named:
        from newtest.clip.loading import encoder

        model = encoder(config.encoder, precision=config.precision)
        model.texts([definition_of(cls) for cls in classes[:1]])  # what the model does once
        start = time.perf_counter()
        model.texts(named[:_FEW])
        per_text = (time.perf_counter() - start) / len(named[:_FEW])
        rate = 1 / (
            1 / rate + per_text * len(named) / count * cores() / 2
        )  # all cores compare; two passes read
    read = 2 * bytes_of(pool, tars=False)
    return PassPlan("search-pool", len(pool.shards), rows_of(pool), 0, read, count, rate, cores(), passes=2)


def plan_reshard_work(pool: Pool, subset: Subset | None, shard_rows: int, form: str) -> PassPlan:
    """Of ``reshard-pool``: the command itself chooses rows, and workers write them. Both are tried on the first shard
    that has a row of the subset, in a scratch folder. Bytes are of all tars, which are read from front to back.

    Raises PoolError where no shard has one, UsageError for a pool of bare tars alone.
    """
    if not pool.shards:
        raise UsageError(
            f"{pool.place.url}: no tar has a table, and a plan counts rows of tables; a real run makes them"
        )
    some, own = _with_rows(pool, subset)
    start = time.perf_counter()
    todo = settle_reshard(some, own, min(shard_rows, _AT_A_TIME), form)
    alone = (time.perf_counter() - start) * rows_of(pool) / rows_of(some)
    with TemporaryDirectory(prefix="newtest-plan-") as scratch:
        count, rate = tried(part["written"] for part in written_parts(some, todo, scratch))
    rows, read = rows_of(pool) if subset is None else len(subset), bytes_of(pool, tars=True)
    return PassPlan("reshard-pool", len(pool.shards), rows, 0, read, count, rate, cores(), alone=alone)


def _with_rows(pool: Pool, subset: Subset | None) -> tuple[Pool, Subset | None]:
    """The pool with one shard alone that has rows of the subset, and these, with their copies."""
    if subset is None:
        return replace(pool, shards=(first_shard(pool),)), None
    for shard in pool.shards:
        uids = uids_of(pool, shard)
        there = np.zeros(len(subset.distinct()), np.bool_)
        there[subset.places(uids[subset.copies(uids) > 0])] = True
        if there.any():
            own = Subset.of(subset.uids[there[subset.places(subset.uids)]])
            return replace(pool, shards=(shard,)), own
    raise PoolError(f"{pool.place.url}: not one row has a uid of the subset; it was made of another pool")


def plan_fetch(tables: UrlTables, config: DownloadConfig, workers: int) -> dict[str, Any]:
    """Of ``fetch-pool``, without asking anybody: rows, hosts of the first rows, and hours at assumed times and sizes.

    The limits per host hold for all workers together, so the host with the most rows may decide. Raises PoolError.
    """
    total = tables.shards(1)
    hosts: Counter[str] = Counter()

    def work() -> Iterator[int]:
        for batch in tables.batches(_AT_A_TIME):
            hosts.update(host for url in batch[URL].to_pylist() if (host := host_of(url or "")))
            yield len(batch)

    if not total:
        raise UsageError(f"{tables.place.url}: the tables have no rows, so there is nothing to plan")
    count, _ = tried(work())
    busiest = max(hosts.values(), default=0) / count
    hours = max(total / config.total, total * busiest / config.per_host) * PER_IMAGE / 3600
    return {
        "command": "fetch-pool", "rows": total, "hosts": len(hosts), "share_of_the_largest_host": busiest,
        "tried": count, "connections": config.total, "per_host": config.per_host, "seconds_per_image": PER_IMAGE,
        "bytes_per_image": BYTES_PER_IMAGE, "bytes_read": total * BYTES_PER_IMAGE, "hours_here": hours,
        "workers": max(workers, 1), "hours_on_workers": hours, "hours_on_h100": None, "gpu": "a GPU changes nothing",
    }  # fmt: skip


def _some_rows(pool: Pool) -> int:
    first_shard(pool)
    return rows_of(pool)


def _width(rows: VectorRows) -> int:
    return int(rows.block((0, 1))[0].shape[1])
