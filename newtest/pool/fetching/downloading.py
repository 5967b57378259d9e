"""One worker's part of a group of shards: what its hosts have goes into journals that nobody else writes."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import platform
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path

from newtest.download import DownloadConfig, Request
from newtest.download.memory import CarriedMemory, Remembered
from newtest.errors import PoolError
from newtest.pool.fetch_below import Below
from newtest.pool.fetching.dealing import Asked, Hand
from newtest.pool.journal import Journal, part_of

__all__ = ["Downloads", "Learned"]

_READERS = 16
"""Files that are read at once."""

Learned = Mapping[str, Remembered]
"""The paces of hosts that throttle, by host."""


@dataclass(frozen=True)
class Downloads:
    """An item of work: a hand of URLs, and the paces that other hands have learned of its hosts."""

    hand: Hand
    part: str
    """Names the journals of this hand, apart from those of other hands and earlier runs."""
    config: DownloadConfig
    paces: Learned

    def run(self, folder: Path, below: Below) -> Learned:
        """Ask for what the journals in ``folder`` lack; the paces of hosts that throttle, as they are now known.

        Raises PoolError on a machine that has not the folder.
        """
        if not folder.is_dir():
            raise PoolError(
                f"{folder}: there is no such folder on {platform.node()}, where a worker runs; all machines need it "
                "in common (NEWTEST_CACHE names it for a pool in a store)"
            )
        memory = CarriedMemory(self.paces, on_disk=self.config.remember)
        end_with_parent()
        with ExitStack() as stack:
            journals = {
                shard: stack.enter_context(Journal(part_of(folder, shard, self.part)))
                for shard in self.hand.asked
            }
            todo = {
                f"{shard}-{row}": (journals[shard], asked)
                for shard, rows in self.hand.asked.items()
                for row, asked in enumerate(rows)
                if not journals[shard].knows(*asked)
            }
            if multiprocessing.parent_process() is not None:
                gc.freeze()  # in a process of ours, rows by the ten thousand are not looked through again and again
            asyncio.run(_download(todo, self.config, below, memory))
        return memory.learned


async def _download(
    todo: Mapping[str, tuple[Journal, Asked]], config: DownloadConfig, below: Below, memory: CarriedMemory
) -> None:
    here = {key: url for key, (_, (_, url)) in todo.items() if below.takes(url)}
    read = partial(below.read, most=config.max_bytes)
    with ThreadPoolExecutor(_READERS) as threads:
        left = iter(here.items())
        while some := list(islice(left, 4 * _READERS)):  # so that no more are in memory
            for outcome in threads.map(read, *zip(*some, strict=True)):
                journal, asked = todo[outcome.key]
                journal.add(*asked, outcome)
    from newtest.download import (
        download,  # its HTTP client is slow to import, and whoever only deals hands needs none
    )

    wanted = (Request(key, url) for key, (_, (_, url)) in todo.items() if key not in here)
    async with aclosing(download(wanted, config, memory=memory)) as outcomes:
        async for outcome in outcomes:
            journal, asked = todo[outcome.key]
            journal.add(*asked, outcome)


_watched = threading.Event()


def end_with_parent() -> None:
    """Let this process end at once when the one that started it is gone: killed, it is run again, and the new run's
    workers ask the same hosts. A process that nobody started for this is left alone.
    """
    parent = multiprocessing.parent_process()
    if parent is None or _watched.is_set():
        return
    _watched.set()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
