"""The cut of a fraction over a pool: its score column read shard by shard, on any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.engines import Engine, Resources
from newtest.pool.filtering.quantile import Cut, comparable, exact_cut
from newtest.pool.storage import uids as ids
from newtest.pool.storage.columns import PLACE, Columns, Places, Scores, numbers, places, read_batches
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.uids import Uids
from newtest.progress import UNWATCHED, Progress

__all__ = ["HELD_SCORES", "cut_of"]

HELD_SCORES = 1 << 24


def cut_of(
    pool: Pool,
    column: str,
    fraction: float,
    layers: Columns,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Cut:
    """The exact cut of a fraction by a score column. Raises PoolError, UsageError.

    On this machine up to ``HELD_SCORES`` scores of the first pass are held for the second (64 MiB where the column
    is float32, 128 MiB where it is float64); more are read again.
    """
    stream = _Stream(pool, column, layers, engine, workers, progress)
    return exact_cut(stream, stream.tied, fraction)


class _Stream:
    """The scores of a pool, as often as they are required."""

    def __init__(
        self, pool: Pool, column: str, layers: Columns, engine: Engine, workers: int, progress: Progress
    ) -> None:
        self.pool, self.column, self.layers, self.progress = pool, column, layers, progress
        self.engine, self.resources = engine, Resources(workers, kind="thread")
        self.held: dict[Shard, list[Scores]] | None = None

    def __call__(self, reduce: Callable[[Scores], Any]) -> Iterator[Any]:
        if self.held is not None:
            yield from (reduce(scores) for pieces in self.held.values() for scores in pieces)
            return
        holds = self.engine.name == "local"
        held: dict[Shard, list[Scores]] = {}
        number = 0
        work = partial(_reduced, self.pool, self.column, self.layers, reduce, holds=holds)
        for shard, results, pieces in self._mapped(self.pool, work):
            yield from results
            held[shard] = pieces if holds else []
            number += sum(map(len, held[shard]))
            if number > HELD_SCORES:
                holds, held = False, {}
        self.held = held if holds else None

    def tied(self, score: float) -> Iterator[tuple[Uids, Places]]:
        """The uids and places of the rows with this score; only shards that have one are read for uids."""
        pool = self.pool
        if self.held is not None:
            having = [shard for shard in pool.shards if any(map(len, _equal(self.held[shard], score)))]
            pool = replace(pool, shards=tuple(having))
        work = partial(_tied, self.pool, self.column, self.layers, score)
        return self._mapped(pool, work)

    def _mapped(self, pool: Pool, work: Callable[[Shard], Any]) -> Iterator[Any]:
        return mapped(pool, work, self.engine, self.resources, self.progress, "reading scores")


def _reduced(
    pool: Pool, column: str, layers: Columns, reduce: Callable[[Scores], Any], shard: Shard, *, holds: bool
) -> tuple[Shard, list[Any], list[Scores]]:
    """The function's value for each batch of a shard, and the batches' scores where they are to be held."""
    results, held = [], []
    for batch in read_batches(pool, shard, [column], layers):
        scores = numbers(batch[column])
        results.append(reduce(scores))
        held += [scores] if holds else []
    return shard, results, held


def _tied(pool: Pool, column: str, layers: Columns, score: float, shard: Shard) -> tuple[Uids, Places]:
    """The uids and places of a shard's rows with this score."""
    equal = _equal((numbers(batch[column]) for batch in read_batches(pool, shard, [column], layers)), score)
    uids, where = [ids.concatenated(())], [np.empty(0, np.int64)]
    if any(map(len, equal)):
        for batch, rows in zip(read_batches(pool, shard, ["uid", PLACE], layers), equal, strict=True):
            uids.append(ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}", rows))
            where.append(places(batch)[rows])
    return ids.concatenated(uids), np.concatenate(where)


def _equal(pieces: Iterable[Scores], score: float) -> list[npt.NDArray[np.intp]]:
    """The rows of each piece that have just this score, in whatever precision the piece is."""
    return [np.flatnonzero(scores == comparable(score, scores)) for scores in pieces]
