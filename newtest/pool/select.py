"""Choose rows by rules, in one streaming pass over the columns that the rules need.

Shards go through an engine; in each, one batch of rows at a time is read. Rules that cost a model or Python
code a row are asked only about rows whose fate is still open (under "and": kept by everything cheaper), and
the report says how many rows each rule saw. A fraction needs its cut first: two more passes over the score
column alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool import uids as ids
from newtest.pool.cut import Cut, exact_cut
from newtest.pool.filters import Mask, Rule, described, numbers
from newtest.pool.layers import Layer
from newtest.pool.pool import Pool, Shard
from newtest.pool.subset import Subset
from newtest.pool.uids import Uids

__all__ = [
    "Columns", "Plan", "ShardCounts", "cut_of", "judge", "manifest", "merged", "read_batches", "select", "select_shard",
]  # fmt: skip

HELD_SCORES = 1 << 24

Columns = dict[str, tuple[Layer, str]]
"""Columns that come from layers: the name that filters use -> (layer, its column). Others come from the shards."""


@dataclass(frozen=True)
class Plan:
    """The rules, how they combine, and which layers their columns come from."""

    rules: tuple[Rule, ...]
    combine: Literal["and", "or"] = "and"
    layers: Columns = field(default_factory=dict)
    exhaustive: bool = False
    """Ask every rule about every row, for complete counts; costs more and changes no result."""

    @property
    def kind(self) -> Literal["process", "thread"]:
        """What its workers should be: rules that run Python or a model on each row hold the interpreter's lock."""
        return "process" if any(each.cost for rule in self.rules for each in rule.filters) else "thread"


@dataclass
class ShardCounts:
    """What happened to a shard's rows (or, summed, to a pool's)."""

    rows: int = 0
    kept: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    patterns: Counter[int] = field(default_factory=Counter)

    def add(self, other: ShardCounts) -> None:
        """Sum, in place."""
        self.rows += other.rows
        self.kept += other.kept
        for mine, theirs in (
            (self.seen, other.seen), (self.dropped, other.dropped), (self.reasons, other.reasons),
            (self.patterns, other.patterns),
        ):  # fmt: skip
            mine.update(theirs)  # type: ignore[arg-type]


def select(pool: Pool, plan: Plan, engine: Engine, resources: Resources | None = None) -> Subset:
    """The subset that the plan keeps, with a manifest of rules and counts.

    Raises UsageError for a plan without rules and PoolError that names every shard that could not be read;
    then nothing is selected, for a subset that silently lacks a shard would be wrong.
    """
    if not plan.rules:
        raise UsageError("no rule was given; name at least one, such as --clip-score or --basic")
    counts, parts = ShardCounts(), []
    for uids, shard_counts in merged(
        pool, _Giving(_Selecting(pool, plan)), engine, resources or Resources(kind=plan.kind)
    ):
        parts.append(uids)
        counts.add(shard_counts)
    uids = ids.concatenated(parts)
    kept = _trimmed(Subset.of(uids), plan)
    return Subset(kept.uids, manifest(pool, plan, counts))


def cut_of(
    pool: Pool, column: str, fraction: float, layers: Columns, engine: Engine, workers: int = 0
) -> Cut:
    """The exact cut of a fraction by a score column. Raises PoolError, UsageError.

    Up to ``HELD_SCORES`` scores read by the first pass are held for the second (128 MiB); more are read again.
    """
    held: list[Any] | None = [] if engine.name == "local" else None
    read_once = False

    def stream(columns: str, reduce: Callable[[Any], Any]) -> Iterator[Any]:
        nonlocal held, read_once
        if columns == "score" and read_once and held is not None:
            yield from map(reduce, held)
            return
        names = (column,) if columns == "score" else (column, "uid")
        work = _Reducing(pool, names, layers, reduce, holds=held is not None and not read_once)
        for pieces in merged(pool, _Giving(work), engine, Resources(workers, kind="thread")):
            for result, scores in pieces:
                if held is not None and scores is not None:
                    held.append(scores)
                    held = held if sum(map(len, held)) <= HELD_SCORES else None
                yield result
        read_once = True

    return exact_cut(stream, fraction)


def merged(pool: Pool, make_worker: Any, engine: Engine, resources: Resources) -> Iterator[Any]:
    """The values of all shards, as they come; raises PoolError at the end if any shard failed, naming them."""
    failures = []
    for outcome in engine.map(make_worker, pool.shards, resources):
        if outcome.error is not None:
            failures.append(outcome.error)
        else:
            yield outcome.value
    if failures:
        failures.sort()
        more = f" (and {len(failures) - 3} more)" if len(failures) > 3 else ""
        raise PoolError(
            f"{len(failures)} of {len(pool.shards)} shards failed, so nothing was written: "
            f"{'; '.join(failures[:3])}{more}"
        )


def read_batches(pool: Pool, shard: Shard, columns: Sequence[str], layers: Columns) -> Iterator[pa.Table]:
    """A shard's batches with columns of its own and of layers side by side."""
    own = [name for name in columns if name not in layers]
    from_layers = {
        name: layers[name][0].table(pool, shard, [layers[name][1]])[layers[name][1]]
        for name in columns
        if name in layers
    }
    start = 0
    for batch in pool.batches(shard, own or ["uid"]):
        for name, column in from_layers.items():
            batch = batch.append_column(name, column.slice(start, len(batch)))
        start += len(batch)
        yield batch


def select_shard(pool: Pool, plan: Plan, shard: Shard) -> tuple[Uids, ShardCounts]:
    """The ids that stay of one shard, in row order, and the counts."""
    names = list(
        dict.fromkeys(
            ["uid", *(name for rule in plan.rules for each in rule.filters for name in each.columns)]
        )
    )
    counts, parts = ShardCounts(), []
    for batch in read_batches(pool, shard, names, plan.layers):
        _, kept = judge(batch, plan, counts)
        counts.rows += len(batch)
        counts.kept += int(np.count_nonzero(kept))
        parts.append(ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}")[kept])
    return ids.concatenated(parts), counts


def manifest(pool: Pool, plan: Plan, counts: ShardCounts) -> dict[str, Any]:
    """What a subset's manifest says of its making."""
    names = [rule.name for rule in plan.rules]
    return {
        "pool": pool.place.url,
        "inputs": {
            "shards": len(pool.shards),
            "fingerprint": fingerprint([pool.shard_fingerprint(shard) for shard in pool.shards]),
            "layers": {
                name: {"folder": layer.folder, **dict(layer.config)}
                for name, (layer, _) in sorted(plan.layers.items())
            },
        },
        "combine": plan.combine,
        "rules": [{"name": rule.name, "filters": described(rule.filters)} for rule in plan.rules],
        "rows_read": counts.rows,
        "rows_kept": counts.kept,
        "rules_saw": {name: counts.seen[name] for name in names},
        "dropped_by_rule": {name: counts.dropped[name] for name in names},
        "dropped_by_reason": [
            {"rule": rule, "filter": filter_, "reason": reason, "rows": rows}
            for (rule, filter_, reason), rows in sorted(counts.reasons.items())
        ],
        "overlaps": [
            {"dropped_by": [name for bit, name in enumerate(names) if pattern >> bit & 1], "rows": rows}
            for pattern, rows in sorted(counts.patterns.items())
        ],
    }


def judge(batch: pa.Table, plan: Plan, counts: ShardCounts) -> tuple[npt.NDArray[np.int64], Mask]:
    """For each row the rules that drop it (bit k is rule k, as far as they were asked), and whether it stays.

    Adds to the counts of rules, reasons and overlaps.
    """
    rows = len(batch)
    pattern = np.zeros(rows, np.int64)
    fate_open = np.ones(rows, np.bool_)
    for bit, rule in sorted(enumerate(plan.rules), key=lambda each: max(f.cost for f in each[1].filters)):
        asked = np.ones(rows, np.bool_) if plan.exhaustive or plan.combine == "or" else fate_open.copy()
        kept = _ask(batch, rule, asked, counts)
        pattern[asked & ~kept] |= 1 << bit
        counts.seen[rule.name] += int(np.count_nonzero(asked))
        counts.dropped[rule.name] += int(np.count_nonzero(asked & ~kept))
        fate_open &= kept | ~asked
    everything = (1 << len(plan.rules)) - 1
    numbers_of = np.bincount(pattern)
    counts.patterns.update({value: int(numbers_of[value]) for value in np.flatnonzero(numbers_of).tolist()})
    stays: Mask = pattern == 0 if plan.combine == "and" else pattern != everything
    return pattern, stays


def _ask(batch: pa.Table, rule: Rule, asked: Mask, counts: ShardCounts) -> Mask:
    """The rows of ``asked`` that every filter of the rule keeps; each filter sees what the cheaper ones kept."""
    kept = asked.copy()
    for each in rule.filters:
        if not kept.any():
            break
        part = batch.select(list(each.columns))
        if kept.all():
            kept, reasons = each.keep(part)
        else:
            rows = np.flatnonzero(kept)
            mask, reasons = each.keep(part.take(pa.array(rows)))
            kept[rows[~mask]] = False
        numbers = np.bincount(reasons[reasons >= 0], minlength=len(each.reasons))
        for reason, number in zip(each.reasons, numbers, strict=True):
            if number:
                counts.reasons[rule.name, type(each).__name__, reason] += int(number)
    return kept


def _trimmed(subset: Subset, plan: Plan) -> Subset:
    """Take away what copies of one sample at the very cut are too many."""
    for each in (each for rule in plan.rules for each in rule.filters):
        cut: Cut | None = getattr(each, "cut", None)
        if plan.combine == "and" and cut is not None and cut.last is not None:
            copies = np.flatnonzero((subset.uids["f0"] == cut.last[0]) & (subset.uids["f1"] == cut.last[1]))
            subset = Subset(np.delete(subset.uids, copies[cut.copies :]))
    return subset


@dataclass(frozen=True)
class _Giving:
    """Makes a worker that needs nothing loaded: it is what it makes."""

    work: Any

    def __call__(self) -> Any:
        return self.work


@dataclass(frozen=True)
class _Selecting:
    pool: Pool
    plan: Plan

    def __call__(self, shard: Shard) -> tuple[Uids, ShardCounts]:
        return select_shard(self.pool, self.plan, shard)


@dataclass(frozen=True)
class _Reducing:
    """Apply a function to the scores of each batch of a shard."""

    pool: Pool
    columns: tuple[str, ...]
    layers: Columns
    reduce: Callable[[Any], Any]
    holds: bool
    """Whether the scores come along with each result, or None."""

    def __call__(self, shard: Shard) -> list[tuple[Any, Any]]:
        results = []
        for batch in read_batches(self.pool, shard, self.columns, self.layers):
            scores = numbers(batch[self.columns[0]])
            piece: Any = scores
            if len(self.columns) > 1:
                piece = scores, ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}")
            results.append((self.reduce(piece), scores if self.holds else None))
        return results
