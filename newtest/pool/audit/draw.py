"""The draw: of each stratum so many rows, all equally likely and none twice.

Each row has a number of its own, of the seed, its shard and its place; the lowest of a stratum are drawn. So the draw
is the same on any engine, and needs one pass over the column of the strata. Rows that opted out are never drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from newtest.config import fingerprint
from newtest.draws import generator
from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.audit.config import RULE, AuditConfig
from newtest.pool.audit.rows import Considered
from newtest.pool.audit.strata import MOST_STRATA, Labels, column_numbers, edges_of, is_numeric
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.named_scores import named_columns
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset
from newtest.progress import UNWATCHED, Progress

__all__ = ["Item", "Sample", "draw"]

Numbers = npt.NDArray[np.float64]

_FOR_EDGES = 20_000
"""Values of a column of numbers that its ranges are cut by."""


@dataclass(frozen=True)
class Item:
    """A row that was drawn: its shard and place, and its stratum."""

    shard: str
    row: int
    stratum: str


@dataclass(frozen=True)
class Sample:
    """The items in the order in which they are shown, and how many rows each stratum has."""

    items: tuple[Item, ...]
    population: Mapping[str, int]
    opted_out: int
    config: AuditConfig
    made_of: str
    """The fingerprint of the pool and of what was asked."""

    @property
    def drawn(self) -> Counter[str]:
        """The items by stratum."""
        return Counter(item.stratum for item in self.items)


@dataclass
class _Stratum:
    """The rows of a stratum with the lowest numbers, as many as it can bring."""

    rows: int = 0
    lowest: list[tuple[float, int, int]] = field(default_factory=list)
    """(number, shard, row)"""

    def add(self, rows: int, shard: int, keys: Numbers, places: npt.NDArray[np.int64], most: int) -> None:
        self.rows += rows
        self.lowest += zip(keys.tolist(), [shard] * len(keys), places.tolist(), strict=True)
        self.lowest = sorted(self.lowest)[:most]


def draw(
    pool: Pool,
    config: AuditConfig,
    subset: Subset | None = None,
    *,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Sample:
    """Draw a sample of the pool's rows, or of a subset's. Raises UsageError, PoolError."""
    if config.dropped and subset is None:
        raise UsageError("`dropped` takes the rows that a subset leaves out; name the `subset`")
    considered = Considered.of(pool, subset, dropped=config.dropped, by_rule=config.by == RULE)
    layers = named_columns(pool, [config.by] if config.by and config.by != RULE else [])
    resources = Resources(workers, kind="thread")
    labels = (
        None if config.by == RULE else _labels(pool, config, considered, layers, engine, resources, progress)
    )
    strata: dict[str, _Stratum] = {}
    places = {shard.name: number for number, shard in enumerate(pool.shards)}
    work = partial(_drawn, pool, considered, labels, config.seed, config.most)
    opted_out = 0
    for name, out, found in mapped(pool, work, engine, resources, progress, "drawing"):
        opted_out += out
        for label, rows, keys, lowest in found:
            strata.setdefault(label, _Stratum()).add(rows, places[name], keys, lowest, config.most)
        if len(strata) > MOST_STRATA + 1:
            raise PoolError(f"`by` {config.by!r} makes more than {MOST_STRATA} strata; choose another column")
    known = considered.rule_names if labels is None else labels.order
    told = [*(label for label in known if label in strata), *sorted(set(strata) - set(known))]
    population = {label: strata[label].rows for label in told}
    if not population:
        raise PoolError(f"{pool.place.url}: there is no row to draw from")
    counts = _allotted(population, config)
    chosen = sorted(
        (shard, row, label)
        for label, count in counts.items()
        for _, shard, row in strata[label].lowest[:count]
    )
    order = generator(config.seed, "audit", "order").permutation(len(chosen))
    items = tuple(Item(pool.shards[chosen[at][0]].name, *chosen[at][1:]) for at in order)
    made_of = fingerprint(
        pool.fingerprints()["fingerprint"], repr(config), considered.fingerprint, population, repr(items)
    )
    return Sample(items, population, opted_out, config, made_of)


def _labels(
    pool: Pool, config: AuditConfig, considered: Considered, layers: Columns, engine: Engine, resources: Resources,
    progress: Progress,
) -> Labels:  # fmt: skip
    if not config.by or not (config.edges or is_numeric(pool, config.by, layers)):
        return Labels(config.by, layers)
    if config.edges:
        return Labels(config.by, layers, config.edges)
    work = partial(_some_numbers, pool, considered, config.by, layers, config.seed)
    parts = sorted(
        mapped(pool, work, engine, resources, progress, "looking at numbers"), key=lambda part: part[0]
    )
    keys, values = (np.concatenate([part[at] for part in parts]) for at in (1, 2))
    some = values[np.argsort(keys, kind="stable")[:_FOR_EDGES]]
    return Labels(config.by, layers, edges_of(some, config.bins))


def _some_numbers(
    pool: Pool, considered: Considered, column: str, layers: Columns, seed: int, shard: Shard
) -> tuple[str, Numbers, Numbers]:
    rows, _ = considered.rows(pool, shard)
    keys = _keys(pool, shard, seed)
    values = column_numbers(pool, shard, column, layers)
    there = np.flatnonzero(rows & np.isfinite(values))
    there = there[np.argsort(keys[there], kind="stable")[:_FOR_EDGES]]
    return shard.name, keys[there], values[there]


def _drawn(
    pool: Pool, considered: Considered, labels: Labels | None, seed: int, most: int, shard: Shard
) -> tuple[str, int, list[tuple[str, int, Numbers, npt.NDArray[np.int64]]]]:
    """The shard's name, how many of its rows opted out, and of each stratum its rows and those with the lowest keys."""
    rows, opted_out = considered.rows(pool, shard)
    numbered, names = considered.rules(shard) if labels is None else labels.of(pool, shard)
    keys = _keys(pool, shard, seed)
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    for number, name in enumerate(names):
        there = np.flatnonzero(rows & (numbered == number))
        if len(there):
            found.setdefault(name, []).append(there)
    result = []
    for name, parts in found.items():
        there = np.concatenate(parts)
        lowest = there[np.argsort(keys[there], kind="stable")[:most]]
        result.append((name, len(there), keys[lowest], lowest))
    return shard.name, opted_out, result


def _keys(pool: Pool, shard: Shard, seed: int) -> Numbers:
    return generator(seed, "audit", shard.name).random(pool.rows(shard))


def _allotted(population: Mapping[str, int], config: AuditConfig) -> dict[str, int]:
    """How many rows are drawn of each stratum: by largest remainders, at least one and at most all of each."""
    if config.per_stratum is not None:
        return {label: min(rows, config.per_stratum) for label, rows in population.items()}
    labels, total = list(population), sum(population.values())
    size = min(config.size, total)
    if size < len(labels):
        raise UsageError(f"`size` {config.size} is less than one row of each of the {len(labels)} strata")
    shares = [size * population[label] / total for label in labels]
    counts = [min(population[label], max(1, int(share))) for label, share in zip(labels, shares, strict=True)]
    _levelled(counts, shares, [population[label] for label in labels], size)
    return dict(zip(labels, counts, strict=True))


def _levelled(counts: list[int], shares: Sequence[float], rows: Sequence[int], size: int) -> None:
    """Add to those that lack most and take from those that have most above their share, until the sum is right."""
    while (left := size - sum(counts)) != 0:
        step = 1 if left > 0 else -1
        able = [at for at, count in enumerate(counts) if (count < rows[at] if step > 0 else count > 1)]
        at = max(able, key=lambda at: (step * (shares[at] - counts[at]), -at))
        counts[at] += step
