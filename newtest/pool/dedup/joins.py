"""The join of a pool with itself as a list of items: a range of rows against a range of rows.

An item's result is a spanning set of its pairs (``newtest.neighbors.forest``), which is small whatever it finds. The
spanning set of all is that of the items' union, so neither the ranges nor who computed what shows in the result.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.clip.torch_runtime import gpus
from newtest.config import fingerprint
from newtest.engines import Engine, LocalEngine, Resources
from newtest.neighbors import Forest, linked_above
from newtest.pool.dedup.copies import Block, Copies, RowBlocks, copies
from newtest.pool.dedup.pairs import Pairs
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import Range, VectorRows, ranges
from newtest.progress import Progress
from newtest.reading.arrays import array_rows

__all__ = [
    "BLOCK",
    "JoinRows",
    "Joined",
    "VectorJoin",
    "block_rows",
    "join_within",
    "joined_with",
    "keeping_for",
]

RULE = 1
"""The version of what an item computes; part of its name."""
BLOCK = 1 << 16
"""Rows of a range, at least; 64 MiB of 512 numbers."""
LARGEST = 1 << 20
RANGES = 200
"""Ranges that larger pools are cut into, until a range is ``LARGEST``: 20,100 items, enough for a thousand workers."""
Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]


class JoinRows(RowBlocks, Protocol):
    """Rows, and how two ranges of them are joined."""

    @property
    def setting(self) -> Mapping[str, Any]:
        """What decides the pairs besides the rows; JSON values."""
        ...

    def join(self, left: npt.NDArray[Any], right: npt.NDArray[Any] | None) -> Found:
        """(i, j, closeness) of close rows, i < j where ``right`` is None: all, or a spanning set of them."""
        ...

    @property
    def equal(self) -> float:
        """The closeness of equal rows."""
        ...


@dataclass(frozen=True)
class VectorJoin(VectorRows):
    """Unit rows whose inner product is at least the threshold."""

    threshold: float = 0.95
    device: str = "auto"

    @property
    def setting(self) -> Mapping[str, Any]:
        return {"join": "vectors", "threshold": self.threshold}

    def join(self, left: npt.NDArray[Any], right: npt.NDArray[Any] | None) -> Found:
        return linked_above(left, right, threshold=self.threshold, device=self.device)

    @property
    def equal(self) -> float:
        return 1.0


@dataclass(frozen=True)
class Joined:
    """A spanning set of pairs in rows of the pool, and how many rows were compared."""

    pairs: Pairs
    compared: int


@dataclass(frozen=True)
class _Tile:
    left: Range
    right: Range
    name: str


@dataclass(frozen=True)
class _Bits:
    """Which rows are joined: a bit each, in a file of the layers, or at hand."""

    name: str | None
    bits: npt.NDArray[np.uint8] | None = None

    def of(self, pool: Pool, wanted: Range) -> npt.NDArray[np.bool_]:
        first, last = wanted[0] // 8, -(-wanted[1] // 8)
        if self.bits is not None:
            some = self.bits[first:last]
        else:
            with pool.layers.open(str(self.name)) as handle:
                size = handle.seek(0, 2)
                handle.seek(0)
                some = array_rows(handle, size, first, last)
        return np.unpackbits(some)[wanted[0] - 8 * first :][: wanted[1] - wanted[0]].astype(np.bool_)


def block_rows(rows: int, block: int | None = None) -> int:
    """Rows of a range for a pool of so many; ``block`` is a choice of one's own."""
    return block or min(max(BLOCK, math.ceil(rows / RANGES)), LARGEST)


def keeping_for(
    pool: Pool, rows: int, device: str, progress: Progress, engine: Engine | None = None, workers: int = 0
) -> Keeping:
    """Where items are kept and what runs them: one worker per GPU, else as many as were asked for, else this process,
    which multiplies on all cores.
    """
    on_gpu = rows > BLOCK and device != "cpu" and gpus() > 0
    resources = Resources(workers, gpus=1.0 if on_gpu else 0.0, share_cores=not on_gpu, alone=not on_gpu)
    return Keeping(pool, engine or LocalEngine(), resources, progress)


def join_within(keeping: Keeping, rows: JoinRows, block: int | None = None) -> Joined:
    """A spanning set of all pairs of the pool's rows, sorted. Raises PoolError, UsageError."""
    cut = ranges(rows.starts, block_rows(rows.starts[-1], block))
    same = copies(keeping, rows, cut)
    forest = Forest()
    for left, right, closeness in joined_with(keeping, rows, cut, same):
        forest.add(left, right, closeness)
    left, right, closeness = forest.found()
    left, right = np.concatenate([left, same.left]), np.concatenate([right, same.right])
    closeness = np.concatenate([closeness, np.full(len(same.left), rows.equal)])
    order = np.lexsort((right, left))
    return Joined(Pairs(left[order], right[order], closeness[order].astype(np.float32)), same.there)


def joined_with(keeping: Keeping, rows: JoinRows, cut: list[Range], same: Copies) -> Iterator[Found]:
    """(left, right, closeness) of each item, in rows of the pool."""
    folder = f"joins-{fingerprint('joins', RULE, dict(rows.setting))[:16]}"
    packed = np.packbits(same.joined)
    names = [_name(rows, wanted, same.joined) for wanted in cut]
    items = [
        _Tile(a, b, fingerprint(names[i], names[j])[:32])
        for i, a in enumerate(cut)
        for j, b in enumerate(cut)
        if i <= j
    ]
    bits = _Bits(None, packed)
    if len(items) > 1:
        bits = _Bits(f"{folder}/rows-{hashlib.sha256(packed.tobytes()).hexdigest()[:32]}.npy")
        if not keeping.pool.layers.exists(str(bits.name)):
            with keeping.pool.layers.writing(str(bits.name)) as path, open(path, "wb") as handle:
                np.lib.format.write_array(handle, packed)
    for item, table in keeping.results(folder, _Work(keeping.pool, rows, bits), items, "joining"):
        yield (
            table["left"].to_numpy().astype(np.int64) + item.left[0],
            table["right"].to_numpy().astype(np.int64) + item.right[0],
            table["closeness"].to_numpy(),
        )


def _name(rows: JoinRows, wanted: Range, joined: npt.NDArray[np.bool_]) -> str:
    """What a range's rows are, and which of them are joined."""
    some = np.packbits(joined[wanted[0] : wanted[1]]).tobytes()
    return fingerprint(rows.fingerprint(wanted), hashlib.sha256(some).hexdigest())


@dataclass(frozen=True)
class _Work:
    pool: Pool
    rows: JoinRows
    bits: _Bits

    def __call__(self) -> Callable[[_Tile], pa.Table]:
        return _Joining(self)


class _Joining:
    """In a worker; it holds the range on the left, because the next item often has the same."""

    def __init__(self, work: _Work) -> None:
        self.work = work
        self.held: tuple[Range, Block] | None = None

    def __call__(self, item: _Tile) -> pa.Table:
        if self.held is None or self.held[0] != item.left:
            self.held = (item.left, self._load(item.left))
        left, of_left = self.held[1]
        right, of_right = (None, of_left) if item.right == item.left else self._load(item.right)
        i, j, closeness = self.work.rows.join(left, right)
        return pa.table(
            {
                "left": np.flatnonzero(of_left)[i].astype(np.uint32),
                "right": np.flatnonzero(of_right)[j].astype(np.uint32),
                "closeness": closeness.astype(np.float32),
            }
        )

    def _load(self, wanted: Range) -> Block:
        rows, _ = self.work.rows.block(wanted)
        joined = self.work.bits.of(self.work.pool, wanted)
        return (rows if joined.all() else rows[joined]), joined
