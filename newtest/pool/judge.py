"""Judge rows by rules: which stay, which rules drop the others and why.

Rules that cost a model or Python code a row are asked only about rows whose fate is still open (under "and": kept
by everything cheaper), and the counts say how many rows each rule saw.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.pool.columns import Columns
from newtest.pool.filters import Mask, Rule

__all__ = ["Pattern", "Plan", "ShardCounts", "judge"]

Pattern = npt.NDArray[np.uint8] | npt.NDArray[np.int64]
"""For each row a bit for each rule that drops it."""


@dataclass(frozen=True)
class Plan:
    """The rules, how they combine, and which layers their columns come from."""

    rules: tuple[Rule, ...]
    combine: Literal["and", "or"] = "and"
    layers: Columns = field(default_factory=dict)
    exhaustive: bool = False
    """Ask every rule about every row, for complete counts; costs more and changes no result."""

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

    def add(self, other: ShardCounts) -> None:
        """Sum, in place."""
        self.rows += other.rows
        self.kept += other.kept
        for mine, theirs in (
            (self.seen, other.seen), (self.dropped, other.dropped), (self.reasons, other.reasons),
            (self.patterns, other.patterns),
        ):  # fmt: skip
            mine.update(theirs)  # type: ignore[arg-type]


def judge(batch: pa.Table, plan: Plan, counts: ShardCounts) -> tuple[Pattern, Mask]:
    """For each row the rules that drop it (bit k is rule k, as far as they were asked), and whether it stays.

    Adds to the counts of rules, reasons and overlaps.
    """
    rows = len(batch)
    word = np.dtype(np.uint8 if len(plan.rules) <= 8 else np.int64)
    pattern: Pattern = np.zeros(rows, word)
    fate_open = np.ones(rows, np.bool_)
    for bit, rule in sorted(enumerate(plan.rules), key=lambda each: max(f.cost for f in each[1].filters)):
        asked = np.ones(rows, np.bool_) if plan.exhaustive or plan.combine == "or" else fate_open.copy()
        kept = _ask(batch, rule, asked, counts)
        dropped = asked & ~kept
        pattern |= np.left_shift(dropped, bit, dtype=word)
        counts.seen[rule.name] += int(np.count_nonzero(asked))
        counts.dropped[rule.name] += int(np.count_nonzero(dropped))
        fate_open &= ~dropped
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
        numbers = np.bincount(reasons + np.int8(1), minlength=len(each.reasons) + 1)[1:]
        for reason, number in zip(each.reasons, numbers.tolist(), strict=True):
            if number:
                counts.reasons[rule.name, type(each).__name__, reason] += number
    return kept
