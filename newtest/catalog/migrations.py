"""The schema's versions: plain functions, each from one version to the next, each in one transaction.

``schema.sql`` is the newest layout, and what a new study gets. Studies are on users' disks, so whoever changes it

1. edits ``schema.sql``;
2. writes a function here that makes the new layout out of the one before, under the next number of ``MIGRATIONS``.

``tests/archives`` opens studies of earlier versions and compares what becomes of them, table by table, with a new
study: a change of ``schema.sql`` without its function fails there. A function is never changed once it has landed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from importlib.resources import files

from newtest.errors import StudyError

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "migrate", "version_of"]


def _create(connection: sqlite3.Connection) -> None:
    """The newest layout in an empty file."""
    script = files("newtest.catalog").joinpath("schema.sql").read_text(encoding="utf-8")
    for statement in _statements(script):
        connection.execute(statement)


def _consents(connection: sqlite3.Connection) -> None:
    """Texts that people agreed to, and who agreed to which."""
    connection.execute(
        "CREATE TABLE consents (version TEXT PRIMARY KEY, text TEXT NOT NULL, first_given_at TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TABLE consents_given (worker TEXT NOT NULL, version TEXT NOT NULL REFERENCES consents (version),"
        " given_at TEXT NOT NULL, PRIMARY KEY (worker, version)) STRICT, WITHOUT ROWID"
    )


def _remember_calls(connection: sqlite3.Connection) -> None:
    """Signed calls of requesters are remembered in the study."""
    connection.execute(
        "CREATE TABLE market_calls (call_id TEXT PRIMARY KEY, made_at REAL NOT NULL, answer TEXT) STRICT, WITHOUT ROWID"
    )


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {
    1: _create,
    2: _consents,
    3: _remember_calls,
}
"""Version -> the function that makes it out of the version before; of an empty file, 1 makes the newest at once."""

SCHEMA_VERSION = max(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of a catalog; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    connection: sqlite3.Connection,
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]] = MIGRATIONS,
) -> None:
    """Bring a catalog to the newest version; raises StudyError when it is newer than this newtest."""
    newest = max(migrations)
    if (found := version_of(connection)) > newest:
        raise StudyError(
            f"this study was made by a newer newtest (catalog version {found}; this one knows up to {newest}): "
            "upgrade newtest, nothing was changed"
        )
    while (found := version_of(connection)) < newest:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version_of(connection) == found:  # another process may have been first
                migrations[found + 1](connection)
                connection.execute(f"PRAGMA user_version = {found + 1 if found else newest}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _statements(script: str) -> list[str]:
    """Split a script at complete statements (``executescript`` would commit the transaction that it runs
    in)."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
