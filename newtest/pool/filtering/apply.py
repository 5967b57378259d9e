"""Judge rows by rules: which stay, which rules drop the others and why.

Rules that cost a model or Python code per row are asked only about rows whose fate is still open (under "and": kept
by everything cheaper), and the counts say how many rows each rule saw. Languages are found, and kept, for those rows
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.pool.filtering.filters import Mask, Rule
from newtest.pool.filtering.language_layer import LANGUAGES, ShardLanguages, languages_of
from newtest.pool.storage.columns import Columns, arrow, read_batches
from newtest.pool.storage.places import Entry
from newtest.pool.storage.pool import Pool, Shard

__all__ = ["FilterPlan", "Judged", "Pattern", "ShardCounts", "judged"]

Pattern = npt.NDArray[np.uint8] | npt.NDArray[np.int64]
"""For each row a bit for each rule that drops it."""


@dataclass(frozen=True)
class FilterPlan:
    """The rules, how they combine, and which layers their columns come from."""

    rules: tuple[Rule, ...]
    combine: Literal["and", "or"] = "and"
    layers: Columns = field(default_factory=dict)
    exhaustive: bool = False
    """Ask every rule about every row, for complete counts; costs more and changes no result."""
    keeps_rules: bool = False
    """Whether the subset tells which rule dropped each row, a byte per row."""
    keeps_languages: bool = True
    """Whether languages that were found become a layer of the pool; a dry run writes nothing."""
    listed: Mapping[str, Entry] | None = None
    """The files of the pool's layers by name, so that no worker asks a store which there are; None: each is asked."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rules read, each once."""
        return tuple(
            dict.fromkeys(name for rule in self.rules for each in rule.filters for name in each.columns)
        )

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
    languages: Counter[tuple[str, str]] = field(default_factory=Counter)
    """For each detector the captions that it was "asked" about and those that were "known"."""
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    """What files of layers of languages hold, by name; shards that have none are left out."""
    not_kept: str | None = None
    """Why languages that were found could not be kept."""

    def add(self, other: ShardCounts) -> None:
        """Sum, in place."""
        self.rows += other.rows
        self.kept += other.kept
        for mine, theirs in (
            (self.seen, other.seen), (self.dropped, other.dropped), (self.reasons, other.reasons),
            (self.patterns, other.patterns), (self.languages, other.languages),
        ):  # fmt: skip
            mine.update(theirs)  # type: ignore[arg-type]
        self.files |= other.files
        self.not_kept = self.not_kept or other.not_kept


@dataclass(frozen=True)
class Judged:
    """A batch of a shard's rows, for each the rules that drop it (as far as they were asked), and whether it stays."""

    table: pa.Table
    pattern: Pattern
    stays: Mask


def judged(
    pool: Pool, plan: FilterPlan, shard: Shard, columns: Sequence[str], counts: ShardCounts
) -> Iterator[Judged]:
    """A shard's batches with these columns and the plan's, judged. Adds to the counts, keeps the languages found."""
    names = dict.fromkeys([*columns, *plan.columns])
    languages = languages_of(pool, shard, names, plan.listed)
    start = 0
    for table in read_batches(pool, shard, [name for name in names if name not in LANGUAGES], plan.layers):
        pattern, stays = _judge(_Rows(table, start, languages), plan, counts)
        counts.rows += len(table)
        counts.kept += int(np.count_nonzero(stays))
        start += len(table)
        yield Judged(table, pattern, stays)
    for each in languages.values():
        counts.languages[each.detector, "asked"] += each.asked
        counts.languages[each.detector, "known"] += each.known
        if plan.keeps_languages:
            counts.not_kept = each.keep() or counts.not_kept
            counts.files |= each.held()


@dataclass(frozen=True)
class _Rows:
    """A batch of a shard's rows from row ``start`` on; languages are found for the rows that are asked about alone."""

    table: pa.Table
    start: int
    languages: Mapping[str, ShardLanguages]

    def part(self, columns: Sequence[str], rows: npt.NDArray[np.intp] | None) -> pa.Table:
        """These columns of some rows, None for all."""
        table = self.table.select([name for name in columns if name not in self.languages])
        if rows is not None:
            table = table.take(arrow(rows))
        for name in columns:
            if name in self.languages:
                places = self.start + (np.arange(len(table)) if rows is None else rows)
                table = table.append_column(name, self.languages[name].column(places, table["text"]))
        return table


def _judge(batch: _Rows, plan: FilterPlan, counts: ShardCounts) -> tuple[Pattern, Mask]:
    """The pattern (bit k is rule k) and whether each row stays; adds to the counts of rules, reasons and overlaps."""
    in_turn = plan.combine == "and" and not plan.exhaustive
    everyone = np.ones(len(batch.table), np.bool_)
    fate_open = everyone
    word = np.dtype(np.uint8 if len(plan.rules) <= 8 else np.int64)
    pattern: Pattern = np.zeros(len(everyone), word)
    for bit, rule in sorted(enumerate(plan.rules), key=lambda each: max(f.cost for f in each[1].filters)):
        asked = fate_open if in_turn else everyone
        kept = _ask(batch, rule, asked, counts)
        dropped = asked ^ kept
        pattern |= np.left_shift(dropped, bit, dtype=word)
        counts.seen[rule.name] += int(np.count_nonzero(asked))
        counts.dropped[rule.name] += int(np.count_nonzero(dropped))
        fate_open = fate_open & kept
    counts.patterns.update(_occurring(pattern, len(plan.rules), alone=in_turn))
    stays: Mask = fate_open if plan.combine == "and" else _some_keep(pattern, plan.rules)
    return pattern, stays


def _some_keep(pattern: Pattern, rules: Sequence[Rule]) -> Mask:
    """The rows that one of the rules keeps, and each rule that always counts."""
    always = sum(1 << bit for bit, rule in enumerate(rules) if rule.always)
    others = ((1 << len(rules)) - 1) ^ always
    kept: Mask = pattern & always == 0
    return kept & (pattern & others != others) if others else kept


def _occurring(pattern: Pattern, rules: int, *, alone: bool) -> dict[int, int]:
    """How often each pattern occurs; rules that were asked in turn drop a row ``alone``, so only their bits occur."""
    if not alone:
        numbers = np.bincount(pattern)
        return {value: int(numbers[value]) for value in np.flatnonzero(numbers).tolist()}
    found = {
        value: int(np.count_nonzero(pattern == value)) for value in (0, *(1 << bit for bit in range(rules)))
    }
    return {value: number for value, number in found.items() if number}


def _ask(batch: _Rows, rule: Rule, asked: Mask, counts: ShardCounts) -> Mask:
    """The rows of ``asked`` that every filter of the rule keeps; each filter sees what the cheaper ones kept."""
    kept = asked
    for each in rule.filters:
        left = np.count_nonzero(kept)
        if not left:
            break
        rows = None if left == len(kept) else np.flatnonzero(kept)
        verdict = each.keep(batch.part(each.columns, rows))
        if rows is None:
            kept = verdict.kept
        else:
            kept = np.zeros_like(kept)
            kept[rows[verdict.kept]] = True
        for reason, number in zip(each.reasons, verdict.dropped, strict=True):
            if number:
                counts.reasons[rule.name, type(each).__name__, reason] += number
    return kept
