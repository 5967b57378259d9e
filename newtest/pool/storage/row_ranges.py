"""The rows of a whole pool by number, whatever shards they lie in, read where they are and a range at a time.

Ranges are cut so that small shards are read together and large ones in parts: no shard decides how much memory a
worker takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.pool.storage.outside_vectors import outside_fingerprint, outside_rows, outside_vectors
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.vectors import VectorSource

__all__ = ["Range", "VectorRows", "ranges", "shards_of", "starts_of"]

Range = tuple[int, int]
"""The first row of the pool, and the one behind the last."""
_PIECE = 1 << 13
"""Rows that are converted at a time."""


def starts_of(pool: Pool) -> tuple[int, ...]:
    """The first row of each shard, and behind them the number of all rows."""
    ends = np.cumsum([0, *(pool.rows(shard) for shard in pool.shards)])
    return tuple(int(end) for end in ends)


def ranges(starts: Sequence[int], rows: int) -> list[Range]:
    """All rows in order, at most ``rows`` in a range: whole shards together, larger ones in equal parts."""
    cut: list[Range] = []
    for first, behind in pairwise(starts):
        if behind - first > rows:
            edges = np.linspace(first, behind, -(-(behind - first) // rows) + 1).astype(np.int64).tolist()
            cut += pairwise(edges)
        elif cut and behind - cut[-1][0] <= rows:
            cut[-1] = (cut[-1][0], behind)
        elif behind > first:
            cut.append((first, behind))
    return cut


def shards_of(pool: Pool, starts: Sequence[int], wanted: Range) -> Iterator[tuple[int, Shard, int, int]]:
    """(its first row, shard, first and last row wanted of it) of each shard that a range meets."""
    first = max(int(np.searchsorted(starts, wanted[0], "right")) - 1, 0)
    for place in range(first, len(pool.shards)):
        start, stop = starts[place], starts[place + 1]
        if start >= wanted[1]:
            return
        low, high = max(start, wanted[0]) - start, min(stop, wanted[1]) - start
        if low < high:
            yield start, pool.shards[place], low, high


@dataclass(frozen=True)
class VectorRows:
    """The vectors of a pool by row number."""

    pool: Pool
    source: VectorSource
    starts: tuple[int, ...]

    @classmethod
    def of(cls, pool: Pool, source: VectorSource) -> VectorRows:
        return cls(pool, source, starts_of(pool))

    def block(self, wanted: Range) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
        """Unit rows rounded to float16, (n, d), and which of them there are, (n,). Raises PoolError."""
        there = np.zeros(wanted[1] - wanted[0], np.bool_)
        rows: npt.NDArray[np.float16] | None = None
        place = 0
        for piece in self._pieces(wanted):
            if rows is None:
                rows = np.zeros((len(there), piece.shape[1]), np.float16)
            elif rows.shape[1] != piece.shape[1]:
                raise PoolError(
                    f"{self.pool.place.url}: vectors of {rows.shape[1]} and of {piece.shape[1]} numbers in one pool"
                )
            for start in range(0, len(piece), _PIECE):
                some = np.asarray(piece[start : start + _PIECE], np.float32)
                with np.errstate(over="ignore", invalid="ignore"):
                    lengths = np.linalg.norm(some, axis=1)
                known = np.isfinite(lengths) & (lengths > 0)
                at = slice(place, place + len(some))
                there[at] = known
                rows[at][known] = (some[known] / lengths[known, None]).astype(np.float16)
                place += len(some)
        return (np.empty((0, 1), np.float16) if rows is None else rows), there

    def stored(self, wanted: Range) -> npt.NDArray[np.float32]:
        """The rows as they are stored, as float32, (n, d); NaN where there is none. Raises PoolError."""
        pieces = [np.asarray(piece, np.float32) for piece in self._pieces(wanted)]
        widths = sorted({piece.shape[1] for piece in pieces})
        if len(widths) > 1:
            raise PoolError(
                f"{self.pool.place.url}: vectors of {' and of '.join(map(str, widths))} numbers in one pool"
            )
        return np.concatenate(pieces) if pieces else np.empty((0, 1), np.float32)

    def fingerprint(self, wanted: Range) -> str:
        """What the rows are made of, told cheaply."""
        if self.source.outside is not None:
            return fingerprint(self._outside_fingerprint, wanted)
        parts = shards_of(self.pool, self.starts, wanted)
        return fingerprint([(self._shard_fingerprint(shard), low, high) for _, shard, low, high in parts])

    def _pieces(self, wanted: Range) -> Iterator[npt.NDArray[Any]]:
        if self.source.outside is not None:
            yield from outside_rows(self._arrays, *wanted)
            return
        for _, shard, low, high in shards_of(self.pool, self.starts, wanted):
            yield from self.source.pieces(self.pool, shard, low, high)

    @cached_property
    def _arrays(self) -> list[Any]:
        return list(outside_vectors(str(self.source.outside), self.starts[-1]))

    @cached_property
    def _outside_fingerprint(self) -> str:
        return outside_fingerprint(str(self.source.outside))

    @cached_property
    def _known_shards(self) -> dict[str, str]:
        return {}

    def _shard_fingerprint(self, shard: Shard) -> str:
        if shard.name not in self._known_shards:
            self._known_shards[shard.name] = self.source.fingerprint(self.pool, shard)
        return self._known_shards[shard.name]

    def __getstate__(self) -> dict[str, Any]:
        """What travels to workers: no arrays, and nothing that was looked up."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
