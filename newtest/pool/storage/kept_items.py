"""Items of a large piece of work, run by an engine, whose results are kept below the layers: a killed run resumes.

A result is a table, a Parquet file named by a fingerprint of what it was made of, that appears by rename. Whoever asks
for the same again finds it. A single item is computed here and keeps nothing: there is nothing to resume. The folders
hold no ``layer.json``; they may be removed when nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.engines import Engine, Resources
from newtest.errors import PoolError
from newtest.pool.storage.pool import Pool
from newtest.progress import Progress, watched
from newtest.reading.failures import Unreadable
from newtest.reading.parquet import open_parquet

__all__ = ["Item", "Keeping", "Work", "kept"]


class Item(Protocol):
    """Something to do; ``name`` tells what its result is made of."""

    @property
    def name(self) -> str:
        """A fingerprint; equal names have equal results."""
        ...


Work = Callable[[], Callable[[Any], pa.Table]]
"""Called once in a worker, gives the function of an item. It must be picklable."""


@dataclass(frozen=True)
class Keeping:
    """Where results are kept, what runs the items, and who watches."""

    pool: Pool
    engine: Engine
    resources: Resources
    progress: Progress

    def results(
        self, folder: str, work: Work, items: Sequence[Any], what: str
    ) -> Iterator[tuple[Any, pa.Table]]:
        """Every item with its table, in the order of the items. Raises PoolError that names what failed."""
        if len(items) <= 1:
            if items and self.engine.name != "local":
                self.progress.say(f"{what}: one piece of work, so it is done on this machine")
            for item in watched(self.progress, what, items, len(items)):
                yield item, work()(item)
            return
        there = self._there(folder)
        todo = [item for item in items if f"{folder}/{item.name}.parquet" not in there]
        done = len(items) - len(todo)
        self.progress.advance(what, done, len(items))
        self._compute(folder, work, todo, what, len(items))
        for item in items:
            table = _read(self.pool, folder, item)
            if table is None:  # damaged: as good as none
                self.pool.layers.remove(f"{folder}/{item.name}.parquet")
                self._compute(folder, work, [item], what, None)
                table = kept(self.pool, folder, item)
            yield item, table

    def _compute(self, folder: str, work: Work, todo: Sequence[Any], what: str, total: int | None) -> None:
        make = partial(_Writer, self.pool, folder, work)
        errors = []
        outcomes = self.engine.map(make, todo, self.resources) if todo else iter(())
        for outcome in watched(self.progress, what, outcomes, total):
            if outcome.error is not None:
                errors.append(outcome.error)
        if errors:
            errors.sort()
            raise PoolError(
                f"{len(errors)} of {len(todo)} items failed ({what}), the others are kept; run again when this is "
                f"mended: {'; '.join(errors[:3])}"
            )

    def _there(self, folder: str) -> set[str]:
        root = getattr(self.pool.layers, "root", None)
        if root is not None and not root.is_dir():
            return set()
        return {entry.name for entry in self.pool.layers.entries() if entry.name.startswith(f"{folder}/")}


def kept(pool: Pool, folder: str, item: Item) -> pa.Table:
    """The result of an item that was computed before. Raises PoolError."""
    table = _read(pool, folder, item)
    if table is None:
        raise PoolError(f"{pool.layers.url}: {folder}/{item.name}.parquet cannot be read; run again")
    return table


def _read(pool: Pool, folder: str, item: Item) -> pa.Table | None:
    name = f"{folder}/{item.name}.parquet"
    try:
        with pool.layers.open(name) as handle, open_parquet(handle) as file:
            return file.read()
    except FileNotFoundError as error:
        raise PoolError(
            f"{pool.layers.url}: {name} was written by a worker and is not here; workers and this process "
            "must see the same folder"
        ) from error
    except (Unreadable, OSError):
        return None


class _Writer:
    """In a worker: computes an item's table and puts it in its place."""

    def __init__(self, pool: Pool, folder: str, work: Work) -> None:
        self.pool, self.folder, self.run = pool, folder, work()

    def __call__(self, item: Item) -> None:
        table = self.run(item)
        try:
            with self.pool.layers.writing(f"{self.folder}/{item.name}.parquet") as path:
                pq.write_table(table, path, compression="zstd")
        except PermissionError as error:
            raise PoolError(
                f"{self.pool.layers.url}: results of the work cannot be kept here ({error.strerror}); name a folder "
                "for them with `layers`"
            ) from error
