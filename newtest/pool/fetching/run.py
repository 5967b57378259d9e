"""A whole run: groups of shards, each downloaded by workers with hosts of their own, then written.

While one group is downloaded, the group before it is written, by whichever worker has nothing to ask for. At most two
groups lie in journals, and as many rows in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from newtest.download import DownloadConfig
from newtest.download.memory import HostMemory
from newtest.engines import Engine, LocalEngine, MakeWorker, Outcome, Resources
from newtest.errors import PoolError
from newtest.pool.fetch_below import Below
from newtest.pool.fetched_images import Treatment
from newtest.pool.fetching.dealing import Asked, dealt
from newtest.pool.fetching.downloading import Downloads, Learned
from newtest.pool.fetching.shards import Fetched, Shards, Writing
from newtest.pool.fetching.taking import Taken, take
from newtest.pool.journal import alone, journal_folder, next_generation
from newtest.pool.resizing import Resize
from newtest.pool.storage.claims import claim, seen_from
from newtest.pool.storage.location import place_of
from newtest.pool.storage.pool import Pool
from newtest.pool.url_tables import UrlTables, url_tables
from newtest.progress import UNWATCHED, Progress

__all__ = ["fetch_shards"]

_Map = Callable[[Sequence[Any], int], Iterator[Outcome[Any, Any]]]
"""Items and a number of workers to outcomes."""

_GROUP_ROWS = 40_000
"""The fewest rows of a group: connections are opened once for each, and its slowest host is waited for."""
_A_MOMENT = 2_000
"""For fewer downloads no processes are started, unless they were asked for."""


def fetch_shards(
    source: UrlTables | Pool,
    out: str,
    config: DownloadConfig,
    *,
    shard_rows: int = 10_000,
    blur_faces: bool = False,
    resize: Resize | None = None,
    allow_below: Sequence[str] = (),
    engine: Engine | None = None,
    workers: int = 0,
    have: Sequence[str] = (),
    progress: Progress = UNWATCHED,
    told: Callable[[Taken], None] | None = None,
) -> Iterator[Fetched]:
    """Download what is not there; one value per shard, in order. ``allow_below`` names folders and stores that URLs may
    lead to, beside the web. The limits of ``config`` hold for all ``workers`` of the ``engine`` together, and the bytes
    are the same for any number of them (0: one per core of this machine). ``have`` are folders of tars: what lies in
    them is not asked for again, and ``told`` hears what was taken.

    Raises PoolError for tables without URLs, while another process fetches into ``out``, and for a part that no worker
    could do: what came by then is kept.
    """
    below, treatment = Below.of(allow_below), Treatment(blur_faces, resize)
    tables = url_tables(source.address) if isinstance(source, Pool) else source
    first = next(tables.batches(1), None)  # a column that is missing is told before anything is written
    if first is None:
        return
    claim(
        place_of(out), "fetch-pool", {"shard_rows": shard_rows, "resize": resize and resize.describe()},
        "it was fetched from other tables, in shards of another size, or resized in another way",
        {"source": seen_from(place_of(out), tables.place.url), "tables": tables.fingerprint},
    )  # fmt: skip
    folder = journal_folder(place_of(out))
    with alone(folder):
        shards = Shards(out, folder, treatment, below)
        engine = engine or LocalEngine()
        generation = next_generation(folder)
        if have:
            batches = _named(tables.batches(shard_rows))
            taken = take(shards, batches, have, config.max_bytes, generation, progress)
            if told is not None:
                told(taken)
        with _keeping(engine, partial(_worker, shards)) as mapped:
            run = _Run(shards, config, mapped, engine.name == "local", workers, generation)
            yield from _in_order(run.fetched(_named(tables.batches(shard_rows)), shard_rows))


@contextmanager
def _keeping(engine: Engine, make_worker: MakeWorker[Any, Any]) -> Iterator[_Map]:
    """Workers for several maps, where the engine can keep them."""
    if isinstance(engine, LocalEngine):
        with engine.keeping(make_worker) as mapped:
            yield mapped
    else:
        yield lambda items, workers: engine.map(make_worker, items, Resources(workers))


def _named(batches: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    return ((f"{number:08d}", batch) for number, batch in enumerate(batches))


def _in_order(fetched: Iterable[Fetched]) -> Iterator[Fetched]:
    """By number, each as soon as all before it are there."""
    early: dict[int, Fetched] = {}
    due = 0
    for shard in fetched:
        early[int(shard.shard)] = shard
        while due in early:
            yield early.pop(due)
            due += 1


@dataclass
class _Run:
    shards: Shards
    config: DownloadConfig
    mapped: _Map
    here: bool
    """Whether the workers are processes of this machine."""
    workers: int
    generation: str
    paces: dict[str, Any] = field(default_factory=dict)

    def fetched(self, batches: Iterator[tuple[str, pa.Table]], shard_rows: int) -> Iterator[Fetched]:
        """What became of each shard, as they are written."""
        count = Resources(self.workers).count(2**31)
        size = max(count, -(-_GROUP_ROWS // shard_rows))
        trusted = self.generation if self.here else None
        to_write: list[Writing] = []
        while group := list(islice(batches, size)):
            writings, asked = [], {}
            for name, batch in group:
                plan = self.shards.plan(name, batch)
                if isinstance(plan, Fetched):
                    yield plan
                    continue
                writings.append(Writing(name, batch, len(plan), trusted))
                asked[name] = plan
            del group
            downloads = self._downloads(asked, count)
            if self._is_small(asked):
                yield from self._done([*to_write, *downloads], 1)
                yield from self._done(writings, 1)
                to_write = []
            else:
                yield from self._done([*downloads, *to_write], count)
                to_write = writings
        yield from self._done(to_write, count)

    def _is_small(self, asked: dict[str, tuple[Asked, ...]]) -> bool:
        return not self.workers and sum(map(len, asked.values())) < _A_MOMENT

    def _downloads(self, asked: dict[str, tuple[Asked, ...]], workers: int) -> list[Downloads]:
        limits = {"total": self.config.total, "per_host": self.config.per_host}
        hands = dealt(asked, 1 if self._is_small(asked) else workers, below=self.shards.below, **limits)
        return [
            Downloads(
                hand,
                f"{self.generation}-{number:04d}",
                replace(self.config, total=hand.total),
                dict(self.paces),
            )
            for number, hand in enumerate(hands)
        ]

    def _done(self, items: Sequence[Downloads | Writing], workers: int) -> Iterator[Fetched]:
        """Do some items; what was learned of hosts is kept for the next ones. Raises PoolError."""
        for outcome in self.mapped(items, workers):
            if outcome.error is not None:
                raise PoolError(f"{outcome.error}; what came is kept: run it again")
            if isinstance(outcome.value, Fetched):
                yield outcome.value
            elif outcome.value is not None:
                self._learn(outcome.value)

    def _learn(self, paces: Learned) -> None:
        self.paces.update(paces)
        if self.config.remember:
            HostMemory().save(paces)


def _worker(shards: Shards) -> Any:
    return partial(_work, shards)


def _work(shards: Shards, item: Downloads | Writing) -> Learned | Fetched:
    if isinstance(item, Writing):
        return shards.written(item)
    return item.run(Path(shards.folder), shards.below)
