"""What a pass over a pool would take, before it is run: rows, bytes and hours, by the command's own work on a few rows.

The work is tried for about a second on the pool's first shard; hours are the rest at that rate. Nothing is written. A
cluster's workers are taken to be like this machine's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from newtest.clip.torch_runtime import gpus
from newtest.engines import Engine
from newtest.engines.base import cores
from newtest.errors import PoolError, UsageError
from newtest.pool.balance import Balancing
from newtest.pool.dedup.hash_layer import HASHES, hashed
from newtest.pool.dedup.planning import H100, H100_READS, Rates, measured
from newtest.pool.dedup.target_sets import vectors_of_set
from newtest.pool.embedding import EmbedConfig, embeddings_layer, encoder_facts
from newtest.pool.filtering.apply import ShardCounts, judged
from newtest.pool.filtering.recipe import Recipe, is_condition, parsed_score, plan_of
from newtest.pool.group_caps import GroupCaps, groups_by
from newtest.pool.query_matches import Drawer
from newtest.pool.row_languages import RowLanguages
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired, require_images
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.vectors import vector_source

__all__ = [
    "PassPlan",
    "plan_balance",
    "plan_decontaminate",
    "plan_embed",
    "plan_filter",
    "plan_groups",
    "plan_hashes",
]

SECOND = 1.0
LEAST = -1e30
"""A score that every row has at least."""


@dataclass(frozen=True)
class PassPlan:
    """``rows`` are to be worked on; ``done`` rows are there from before. ``rate`` is of one worker, in rows per second,
    measured on ``tried`` rows; ``here`` is how many such workers this machine runs at a time. Bytes are of all rows.
    """

    command: str
    shards: int
    rows: int
    done: int
    bytes_read: float
    tried: int
    rate: float
    here: int
    passes: int = 1
    h100_rate: float | None = None
    """Rows per second of one H100 with 16 cores, assumed; None where ``gpu`` says why there is none."""
    gpu: str = "a GPU changes nothing"
    alone: float = 0.0
    """Seconds of work that the command does itself, however many workers there are."""

    def hours(self, workers: int) -> float:
        """Hours of so many workers."""
        return (self.passes * self.rows / self.rate / workers + self.alone) / 3600

    def told(self, workers: int) -> dict[str, Any]:
        """The plan as JSON values."""
        found = asdict(self)
        del found["h100_rate"]
        return found | {
            "hours_here": self.hours(self.here),
            "workers": max(workers, 1),
            "hours_on_workers": self.hours(max(workers, 1)),
            "hours_on_h100": None if self.h100_rate is None else self.rows / self.h100_rate / 3600,
        }


def plan_embed(pool: Pool, config: EmbedConfig) -> PassPlan:
    """Of ``embed-pool``: images are decoded and embedded, captions embedded. Raises PoolError, MissingExtra."""
    from newtest.clip.loading import encoder
    from newtest.errors import ImageError
    from newtest.images import shown

    require_images(pool)
    rows, done = rows_left(pool, embeddings_layer(encoder_facts(config)))
    model, shard = encoder(config.encoder, precision=config.precision), first_shard(pool)
    samples = [sample.image for _, sample in islice(paired(pool, shard), config.batch) if sample.image]
    start, pixels = time.perf_counter(), []
    for data in samples:
        try:
            pixels.append(model.prepare(shown(data)))
        except ImageError:
            continue
    decoding = time.perf_counter() - start
    if not pixels:
        raise PoolError(
            f"{pool.place.url}: none of the first {len(samples)} images can be decoded, so nothing can be measured"
        )
    texts = ["a photo"] * len(pixels)
    if pool.tells(shard, "text"):
        texts = [
            str(text or "") for text in next(pool.batches(shard, ["text"], len(pixels)))["text"].to_pylist()
        ]
    model.look(np.stack(pixels[:1]))  # what the model does once
    start = time.perf_counter()
    model.look(np.stack(pixels))
    model.texts(texts)
    thinking = time.perf_counter() - start
    count = len(pixels)
    on_gpu = gpus() > 0
    # On a GPU decoding runs beside the model; on the CPU both share the cores.
    seconds = max(thinking, decoding / cores()) if on_gpu else thinking + decoding / cores()
    flops = _multiplications(model, np.stack(pixels[:1]))
    h100 = None if flops is None else min(H100 / flops, 16 * count / decoding)
    return PassPlan(
        "embed-pool", len(pool.shards), rows, done, bytes_of(pool, tars=True), count, count / seconds,
        max(gpus(), 1), h100_rate=h100, gpu="not estimated for this model",
    )  # fmt: skip


def plan_hashes(pool: Pool, command: str) -> PassPlan:
    """Of the hashing before a join of hashes or bytes, for pools whose images must be read. Raises PoolError."""
    require_images(pool)
    rows, done = rows_left(pool, HASHES)
    work = (1 for _ in map(hashed, (sample for _, sample in paired(pool, first_shard(pool)))))
    count, rate = tried(work)
    return PassPlan(command, len(pool.shards), rows, done, bytes_of(pool, tars=True), count, rate, cores())


def plan_filter(pool: Pool, recipe: Recipe, engine: Engine) -> PassPlan:
    """Of ``filter-pool``: a pass over the rows, and one or two over the scores for each share that is kept.

    Raises PoolError, and UsageError for rules that first compute something else.
    """
    if recipe.image_near is not None:
        raise UsageError("`image_near` has a plan of its own: its k-means is the work")
    others = tuple(text for text in recipe.scores if is_condition(text))
    scores = [parsed_score(text, recipe) for text in recipe.scores if text not in others]
    shares = sum(least is None for _, _, least in scores)
    shares += int(recipe.clip_score and recipe.min_score is None)
    # Cuts would need the very passes that are planned; without one every row stays, which costs the most.
    whole = replace(
        recipe, fraction=None, dry_run=True, min_score=LEAST if recipe.clip_score else None,
        scores=(*others, *(f"{column}>={LEAST:g}" for column, _, _ in scores)),
    )  # fmt: skip
    plan = plan_of(pool, whole, engine, 1)
    columns = {name.lower() for name in plan.columns if name not in plan.layers}
    batches = (len(each.table) for each in judged(pool, plan, first_shard(pool), ["uid"], ShardCounts()))
    count, rate = tried(batches)
    read = bytes_of(pool, tars=False) * _share(pool, columns | {"uid"})
    return PassPlan("filter-pool", len(pool.shards), rows_of(pool), 0, read, count, rate, cores(), 1 + shares)


def plan_balance(pool: Pool, config: Balancing) -> PassPlan:
    """Of ``balance-pool``: two passes over the captions. Raises PoolError, MissingExtra."""
    languages = RowLanguages(pool, config.language_col) if config.by_language else None
    sure = {name: np.ones(len(queries)) for name, queries in config.queries.items()}
    drawer = Drawer(pool, config.queries, sure, config.seed, languages)
    captions = drawer.captions
    matched = map(captions.matched, captions.rows(first_shard(pool), keep=False))
    count, rate = tried(1 for _ in matched)
    read = 2 * bytes_of(pool, tars=False) * _share(pool, {"uid", "text"})
    return PassPlan("balance-pool", len(pool.shards), rows_of(pool), 0, read, count, rate, cores(), passes=2)


def plan_groups(pool: Pool, config: GroupCaps) -> PassPlan:
    """Of ``balance-pool`` by groups: two passes over their column. Raises PoolError, and UsageError for clusters."""
    groups = groups_by(pool, config.per)
    if groups is None:
        raise UsageError(
            "a plan of `per` cluster is not made: its k-means is that of `prune-pool`, and of `dedup-pool` by meaning"
        )
    shard = first_shard(pool)

    def looked_at() -> Iterator[int]:
        for _, names in groups.of(pool, shard, pool.batches(shard, ["uid", *groups.columns], 1 << 12)):
            names.value_counts()
            yield len(names)

    count, rate = tried(looked_at())
    read = 2 * bytes_of(pool, tars=False) * _share(pool, {"uid", *(name.lower() for name in groups.columns)})
    return PassPlan("balance-pool", len(pool.shards), rows_of(pool), 0, read, count, rate, cores(), passes=2)


def plan_decontaminate(
    pool: Pool, sets: list[str], encoder: str | None, vectors: str | None, device: str, workers: int
) -> dict[str, Any]:
    """Of ``decontaminate-pool`` by vectors: rows x images of the sets x numbers multiplications. Raises PoolError."""
    if not sets:
        raise UsageError("name at least one set with `against`")
    source = vector_source(pool, encoder, vectors)
    rows = VectorRows.of(pool, source)
    total = rows.starts[-1]
    images = sum(len(vectors_of_set(source, address, encoder, pool.image_col)[0]) for address in sets)
    width = rows.block((0, 1))[0].shape[1] if total else 0
    if not total:
        raise UsageError(f"{pool.place.url}: the pool has no rows, so there is nothing to plan")
    operations, read = float(total) * images * width, float(total) * width * 2 * len(sets)
    rates, h100 = measured(rows, width, device), Rates(H100, H100_READS)

    def hours(of: Rates, machines: int = 1) -> float:
        return (operations / of.operations + read / of.bytes_read) / machines / 3600

    return {
        "command": "decontaminate-pool", "rows": total, "sets": len(sets), "images": images, "width": width,
        "operations": operations, "bytes_read": read, "rates": asdict(rates), "hours_here": hours(rates),
        "workers": max(workers, 1), "hours_on_workers": hours(rates, max(workers, 1)), "hours_on_h100": hours(h100),
    }  # fmt: skip


def tried(work: Iterable[int]) -> tuple[int, float]:
    """Rows that were worked on in about a second, and rows per second. Raises PoolError where there are none."""
    start, rows = time.perf_counter(), 0
    steps: Iterator[int] = iter(work)
    for number in steps:
        rows += number
        if time.perf_counter() - start > SECOND:
            break
    if not rows:
        raise PoolError("the pool's first shard with rows gives nothing to measure")
    return rows, rows / max(time.perf_counter() - start, 1e-6)


def rows_of(pool: Pool) -> int:
    return sum(pool.rows(shard) for shard in pool.shards)


def first_shard(pool: Pool) -> Shard:
    """The first shard that has rows. Raises UsageError."""
    for shard in pool.shards:
        if pool.rows(shard):
            return shard
    raise UsageError(f"{pool.place.url}: the pool has no rows, so there is nothing to plan")


def rows_left(pool: Pool, layer: Layer) -> tuple[int, int]:
    """Rows that a layer lacks, and rows that it has."""
    root = getattr(pool.layers, "root", None)
    there = {entry.name for entry in pool.layers.entries()} if root is None or root.is_dir() else set()
    rows = {shard: pool.rows(shard) for shard in pool.shards}
    done = sum(number for shard, number in rows.items() if layer.file(pool, shard) in there)
    return sum(rows.values()) - done, done


def bytes_of(pool: Pool, *, tars: bool) -> float:
    sizes = ((shard.tar.size if tars and shard.tar else 0) + shard.table.size for shard in pool.shards)
    return float(sum(sizes))


def _share(pool: Pool, columns: set[str]) -> float:
    """The share of a table's bytes that these columns have, in the first shard; 1 where they are derived."""
    with pool.parquet(first_shard(pool)) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        own = total = 0
        for group in groups:
            for number in range(group.num_columns):
                column = group.column(number)
                total += column.total_compressed_size
                name = column.path_in_schema.split(".")[0].lower()
                own += column.total_compressed_size if name in columns else 0
    return own / total if own else 1.0


def _multiplications(model: Any, pixels: Any) -> float | None:
    """Multiplications with an addition per image, counted by torch; None for a model that is not torch's."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted:
        model.look(pixels)
    return counted.get_total_flops() / 2 or None
