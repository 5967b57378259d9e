"""Connections whose errors name the file: damage that is met after a catalog was opened is a StudyError, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from newtest.errors import StudyError
from newtest.files import NotAFile, require_regular

__all__ = ["BUSY_SECONDS", "Connection", "connect", "whole"]

BUSY_SECONDS = 30.0
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT}
_NO_TEXT = "Could not decode to UTF-8"
_ROWS = 1000


class Connection(sqlite3.Connection):
    """A connection that knows its file. Statements and rows raise StudyError for damage, else sqlite3's errors."""

    path: Path

    def cursor(self, factory: Any = None) -> Any:
        made = super().cursor(factory or _Cursor)
        if isinstance(made, _Cursor):
            made.path = self.path
        return made

    def execute(self, *arguments: Any) -> Any:  # sqlite3's own makes a plain cursor
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self.cursor().executemany(*arguments)


class _Cursor(sqlite3.Cursor):
    path: Path

    def execute(self, *arguments: Any) -> _Cursor:
        with _named(self.path):
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> _Cursor:
        with _named(self.path):
            return super().executemany(*arguments)

    def fetchone(self) -> Any:
        with _named(self.path):
            return super().fetchone()

    def fetchmany(self, size: int | None = _ROWS) -> list[Any]:
        with _named(self.path):
            return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        with _named(self.path):
            return super().fetchall()

    def __next__(self) -> Any:
        with _named(self.path):
            return super().__next__()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # in blocks: a check per row would cost more
        while rows := self.fetchmany():
            yield from rows


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)  # set where SQLite itself failed
        if (code is not None and code & 0xFF in _DAMAGE) or str(error).startswith(_NO_TEXT):
            raise StudyError(f"{path}: the catalog is damaged ({error}); take it from a copy") from error
        raise


@contextmanager
def whole(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """One transaction: all of the block's statements hold, or none does. SQLite itself rolls back on a full disk."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def connect(path: Path) -> Connection:
    """A connection in autocommit mode. Raises StudyError where the file cannot be opened, or is a link to elsewhere."""
    try:
        require_regular(path)
    except NotAFile as error:
        raise StudyError(str(error)) from error
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise StudyError(f"{path}: a link leads out of the study; take it away")
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, factory=Connection)
    except sqlite3.OperationalError as error:
        raise StudyError(f"{path}: cannot be opened ({error})") from error
    connection.path = path
    return connection
