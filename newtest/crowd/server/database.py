"""The catalog behind an event loop: one thread owns the connection that writes, so that no request waits on SQLite's
locks; what is looked up for every picture is read beside it, and waits for no write and no disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from newtest.catalog import make_durable, open_catalog, transaction

__all__ = ["Database", "StudyBusyError"]

P = ParamSpec("P")
T = TypeVar("T")


BUSY_MILLISECONDS = 250
"""So long a write waits for another process; everybody else waits with it."""


class StudyBusyError(Exception):
    """Another process keeps the study to itself: nothing was changed, and the same may be asked again."""


def _open(path: Path) -> sqlite3.Connection:
    catalog = open_catalog(path, create=False)
    make_durable(catalog)
    catalog.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    return catalog


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Database:
    """Runs functions on a study's catalog, one after the other, in their own thread.

    What a write has returned from is on the disk: people are told that their answer is saved.
    """

    def __init__(self, path: Path) -> None:
        """Open the catalog at ``path``. Raises StudyError."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="newtest-catalog")
        self._catalog: sqlite3.Connection = self._thread.submit(_open, path).result()
        self._path = path
        self._reader: sqlite3.Connection | None = None

    async def look(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """``function(catalog, ...)`` at once, on a connection that only reads: for what takes microseconds, such as a
        row by its key. Sees what was committed before. Raises StudyBusyError."""
        if self._reader is None:
            self._reader = open_catalog(self._path, create=False)
            self._reader.execute("PRAGMA query_only = ON")
            self._reader.execute("PRAGMA busy_timeout = 0")
        try:
            return function(self._reader, *args, **kwargs)
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            return await self.read(function, *args, **kwargs)

    async def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """``function(catalog, ...)`` without a transaction. Raises StudyBusyError."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: function(self._catalog, *args, **kwargs))
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise StudyBusyError from error
            raise

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """``function(catalog, ...)`` in a transaction of its own. Raises StudyBusyError."""

        def run(catalog: sqlite3.Connection) -> T:
            with transaction(catalog):
                return function(catalog, *args, **kwargs)

        return await self.read(run)

    def close(self) -> None:
        """Wait for what runs and close the catalog. Call it where ``look`` was called."""
        if self._reader is not None:
            self._reader.close()
        self._thread.submit(self._catalog.close)
        self._thread.shutdown(wait=True)
