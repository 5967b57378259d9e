"""Somebody else's study is data, not code: what is looked at before a catalog is believed.

A database file can carry views, triggers, generated columns and indexes on expressions, which run when we read or
write, and pages that are malformed. So a catalog's schema must be ours, object by object, and a file that this machine
has not seen before is checked page by page (SQLite's ``quick_check``). See sqlite.org/security.html.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from newtest.catalog.migrations import migrate
from newtest.errors import StudyError
from newtest.files import state_folder, write_atomic

__all__ = ["harden", "require_our_schema", "require_sound"]

SECONDS = 60.0
"""How long the checks of one file may take."""
_STEPS = 50_000
MOST_CLAIMS = 100
_NULL = re.compile(r"NULL value in (\w+)\.(\w+)")
_ORDINARY = 0
"""``hidden`` of PRAGMA table_xinfo: 2 and 3 are generated columns."""


def harden(connection: sqlite3.Connection) -> None:
    """Nothing that the file's schema names may do more than read and write tables."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Check a file that this machine has not checked yet. Raises StudyError for damage, or after a minute."""
    seen = _seen(path)
    if seen is None or seen.exists():
        return
    with _deadline(connection, path):
        found = _damage(connection)
    if found:
        raise StudyError(f"{path}: the catalog is damaged ({found}); take it from a copy")
    _remember(seen)


def _damage(connection: sqlite3.Connection) -> str:
    """The first thing that is wrong with the file, or "".

    SQLite 3.40 takes columns of a WITHOUT ROWID table for others where the key's columns do not come first (ours of
    votes and counts), and finds missing values that are there: such a claim is believed when a query finds one too.
    Damage of pages is listed before claims about rows, so claims cannot crowd it out.
    """
    for (text,) in connection.execute(f"PRAGMA quick_check({MOST_CLAIMS})").fetchall():
        claim = _NULL.fullmatch(text)
        if claim is not None:
            table, column = claim.groups()
            if (
                connection.execute(f'SELECT 1 FROM "{table}" WHERE "{column}" IS NULL LIMIT 1').fetchone()
                is None
            ):
                continue
        if text != "ok":
            return str(text)
    return ""


def require_our_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Every object of the file is one that newtest made. Raises StudyError that names the first that is not."""
    with _deadline(connection, path):
        found, ours = _objects(connection), _expected()
    for name, shape in sorted(found.items()):
        if ours.get(name) != shape:
            raise StudyError(
                f"{path}: {name} is not of newtest's making, so this file is not opened: a study is data, not code"
            )
    missing = sorted(ours.keys() - found.keys())
    if missing:
        raise StudyError(f"{path}: not a newtest catalog, or damaged ({missing[0]} is missing)")


@cache
def _expected() -> dict[str, object]:
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    fresh.row_factory = sqlite3.Row
    try:
        migrate(fresh)
        return _objects(fresh)
    finally:
        fresh.close()


def _objects(connection: sqlite3.Connection) -> dict[str, object]:
    """ "table votes" -> its columns, "index votes_worker" -> what it is on. Views, triggers and the like have no shape
    that could equal one of ours."""
    found: dict[str, object] = {}
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchall()
    for kind, name, table, sql in rows:
        if str(name).startswith("sqlite_"):
            continue  # SQLite's own
        if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
            columns = connection.execute(
                "SELECT name, type, hidden FROM pragma_table_xinfo(?)", (name,)
            ).fetchall()
            ordinary = all(column[2] == _ORDINARY for column in columns)
            found[f"table {name}"] = {(c[0], c[1]) for c in columns} if ordinary else "generated columns"
        elif kind == "index":
            parts = connection.execute("SELECT cid, name FROM pragma_index_info(?)", (name,)).fetchall()
            found[f"index {name}"] = (table, tuple((part[0] >= 0, part[1]) for part in parts))
        else:
            found[f"{kind} {name}"] = str(sql)
    return found


@contextmanager
def _deadline(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Queries of the block are ended after ``SECONDS``."""
    end = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise StudyError(
                f"{path}: looking it over takes longer than {SECONDS:.0f} s; it is not opened"
            ) from None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _seen(path: Path) -> Path | None:
    """Where it is noted that this very file was checked; None for a file that cannot be told apart."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return state_folder() / "catalogs" / f"{facts.st_dev:x}-{facts.st_ino:x}-{_born(facts)}"


def _born(facts: object) -> str:
    """Inodes are used again: the file's birth tells two files apart where the system keeps it."""
    return f"{getattr(facts, 'st_birthtime', 0):.0f}"


def _remember(seen: Path) -> None:
    try:
        seen.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(seen, b"")
    except OSError:
        return  # then it is checked again the next time
