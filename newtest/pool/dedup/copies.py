"""Rows that are equal to the byte: found by their digests, in linear time, before anything is joined.

k equal rows would make k (k - 1) / 2 pairs. The first of them stands for all in the join, and each other is paired
with it. The driver holds eight bytes per row while it looks for equal digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.row_ranges import Range

__all__ = ["Block", "Copies", "Digests", "RowBlocks", "copies", "equal_digests"]

RULE = 1
Words = npt.NDArray[np.uint64]
Digests = tuple[Words, Words]
"""High and low words of digests of 128 bits, both (n,); two zeros where there is none."""
Block = tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]
"""Rows (n, ...), and which of them there are, (n,)."""


class RowBlocks(Protocol):
    """The rows that are joined, by number in the pool."""

    @property
    def starts(self) -> tuple[int, ...]:
        """The first row of each shard, and behind them the number of all rows."""
        ...

    def block(self, wanted: Range) -> Block:
        """The rows of a range. Raises PoolError."""
        ...

    def fingerprint(self, wanted: Range) -> str:
        """What the rows of a range are made of, told cheaply."""
        ...


@dataclass(frozen=True)
class Copies:
    """``joined`` (n,): the rows that are there, of equal ones the first. ``left`` < ``right``: it, and each other."""

    joined: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    there: int
    """How many rows there are, copies included."""


@dataclass(frozen=True)
class _Digesting:
    wanted: Range
    name: str


@dataclass(frozen=True)
class _Work:
    rows: RowBlocks

    def __call__(self) -> Callable[[_Digesting], pa.Table]:
        return self.table

    def table(self, item: _Digesting) -> pa.Table:
        rows, there = self.rows.block(item.wanted)
        digests = np.zeros((len(there), 2), np.uint64)
        for place in np.flatnonzero(there):
            data = hashlib.blake2b(np.ascontiguousarray(rows[place]).data, digest_size=16).digest()
            digests[place] = np.frombuffer(data, "<u8")
        return pa.table({"high": digests[:, 0], "low": digests[:, 1]})


def copies(keeping: Keeping, rows: RowBlocks, cut: list[Range]) -> Copies:
    """Find the equal rows; their digests are kept, a file for each range. Raises PoolError."""
    folder = f"digests-{fingerprint('digests', RULE)[:16]}"
    items = [_Digesting(wanted, fingerprint(rows.fingerprint(wanted))[:32]) for wanted in cut]
    first = (
        list(keeping.results(folder, _Work(rows), items, "looking for equal rows"))
        if len(items) < 2
        else None
    )

    def parts() -> Iterator[tuple[int, Digests]]:
        found = first or keeping.results(folder, _Work(rows), items, "looking for equal rows")
        for item, table in found:
            yield item.wanted[0], (table["high"].to_numpy(), table["low"].to_numpy())

    return equal_digests(parts, rows.starts[-1])


def equal_digests(parts: Callable[[], Iterable[tuple[int, Digests]]], rows: int) -> Copies:
    """The same of digests in parts, each with its first row; ``parts`` is called twice."""
    highs = np.empty(rows, np.uint64)
    for start, (high, _) in parts():
        highs[start : start + len(high)] = high
    highs.sort()
    twice = np.unique(highs[1:][highs[1:] == highs[:-1]])
    twice = twice[twice != 0]
    del highs
    joined = np.zeros(rows, np.bool_)
    some: list[tuple[npt.NDArray[np.int64], Words, Words]] = []
    for start, (high, low) in parts():
        joined[start : start + len(high)] = (high != 0) | (low != 0)
        if len(twice):
            place = np.minimum(np.searchsorted(twice, high), len(twice) - 1)
            here = np.flatnonzero(twice[place] == high)
            some.append((here + start, high[here], low[here]))
    there = int(np.count_nonzero(joined))
    left, right = _stars(some)
    joined[right] = False
    return Copies(joined, left, right, there)


def _stars(
    some: list[tuple[npt.NDArray[np.int64], Words, Words]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first row of equal ones, each other), sorted by both."""
    if not some:
        nothing = np.empty(0, np.int64)
        return nothing, nothing
    row, high, low = (np.concatenate([part[place] for part in some]) for place in range(3))
    order = np.lexsort((row, low, high))
    row, high, low = row[order], high[order], low[order]
    same = np.zeros(len(row), np.bool_)
    same[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    firsts = row[np.maximum.accumulate(np.where(same, 0, np.arange(len(row))))]
    left, right = firsts[same], row[same]
    order = np.lexsort((right, left))
    return left[order], right[order]
