"""The catalog: ``study.sqlite``, and the only place with SQL.

``open_catalog`` gives a connection in autocommit mode; ``transaction`` makes several statements one fact. One
module a room (``images``, ``votes``, ...) holds functions that take the connection and give records or
DataFrames.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newtest.catalog.connections import connect, whole
from newtest.catalog.foreign import harden, require_our_schema, require_sound
from newtest.catalog.migrations import SCHEMA_VERSION, migrate, version_of
from newtest.errors import StudyError

__all__ = ["SCHEMA_VERSION", "make_durable", "open_catalog", "transaction"]


_NO_ROOM = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}  # fmt: skip
"""What SQLite answers where it cannot write; a file that is damaged gives other codes."""


def open_catalog(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open (or create) a catalog, migrated to the newest version. Raises StudyError, for damage that a later statement
    meets too."""
    if not create and not path.exists():
        raise StudyError(f"{path}: no such catalog")
    connection = connect(path)
    try:
        connection.row_factory = sqlite3.Row
        harden(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        if version_of(connection):
            require_sound(connection, path)
        if version_of(connection) < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
        require_our_schema(connection, path)
    except (
        sqlite3.DatabaseError,
        UnicodeDecodeError,
    ) as error:  # SQLite's message may quote bytes of the file
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) in _NO_ROOM:
            raise StudyError(
                f"{path}: the disk is full or failing ({error}); nothing half-written is kept, free some space and "
                "run again"
            ) from error
        raise StudyError(f"{path}: not a newtest catalog, or damaged ({error})") from error
    except BaseException:
        connection.close()
        raise
    return connection


def make_durable(connection: sqlite3.Connection) -> None:
    """From now on what is committed is on the disk before ``COMMIT`` returns: answers that were acknowledged, and
    money. Without it a power cut may take the last transactions back, whole (``synchronous = NORMAL``)."""
    connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of the block's statements hold, or none does."""
    with whole(connection):
        yield connection
