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

from newtest.catalog.connections import whole
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


def _questions(connection: sqlite3.Connection) -> None:
    """More kinds of questions: which of several classes, pairs; attention checks; trainings."""
    for statement in (
        "CREATE TABLE hit_questions (hit_id TEXT PRIMARY KEY REFERENCES hits (hit_id), kind TEXT NOT "
        "NULL CHECK (kind IN ('which', 'pairs'))) STRICT, WITHOUT ROWID",
        "CREATE TABLE hit_options (hit_id TEXT NOT NULL REFERENCES hits (hit_id), position INTEGER NOT "
        "NULL CHECK (position > 0), wnid TEXT NOT NULL REFERENCES classes (wnid), PRIMARY KEY (hit_id, "
        "position), UNIQUE (hit_id, wnid)) STRICT, WITHOUT ROWID",
        "CREATE TABLE hit_pairs (hit_id TEXT NOT NULL REFERENCES hits (hit_id), position INTEGER NOT "
        "NULL CHECK (position > 0), image_a TEXT NOT NULL REFERENCES images (image_id), image_b TEXT "
        "NOT NULL REFERENCES images (image_id), control TEXT CHECK (control IN ('same', 'different')), "
        "PRIMARY KEY (hit_id, position), CHECK (image_a < image_b)) STRICT, WITHOUT ROWID",
        "CREATE INDEX hit_pairs_images ON hit_pairs (image_a, image_b)",
        "CREATE TABLE choices (assignment_id TEXT NOT NULL REFERENCES assignments (assignment_id), "
        "image_id TEXT NOT NULL REFERENCES images (image_id), wnid TEXT NOT NULL, PRIMARY KEY "
        "(assignment_id, image_id, wnid)) STRICT, WITHOUT ROWID",
        "CREATE TABLE pair_answers (assignment_id TEXT NOT NULL REFERENCES assignments (assignment_id), "
        "position INTEGER NOT NULL, value TEXT NOT NULL CHECK (value IN ('yes', 'no', 'unseen')), "
        "milliseconds INTEGER, PRIMARY KEY (assignment_id, position)) STRICT, WITHOUT ROWID",
        "CREATE TABLE trainings (worker TEXT NOT NULL, version TEXT NOT NULL, num_right INTEGER NOT "
        "NULL CHECK (num_right BETWEEN 0 AND num_asked), num_asked INTEGER NOT NULL, done_at REAL NOT "
        "NULL, PRIMARY KEY (worker, version)) STRICT, WITHOUT ROWID",
    ):
        connection.execute(statement)
    connection.execute(
        "CREATE TABLE hit_images_now (hit_id TEXT NOT NULL REFERENCES hits (hit_id),"
        " position INTEGER NOT NULL CHECK (position > 0), image_id TEXT NOT NULL REFERENCES images (image_id),"
        " role TEXT NOT NULL CHECK (role IN ('candidate', 'filler', 'positive', 'negative', 'attention', 'pair',"
        " 'example')), PRIMARY KEY (hit_id, position), UNIQUE (hit_id, image_id)) STRICT, WITHOUT ROWID"
    )
    connection.execute("INSERT INTO hit_images_now SELECT hit_id, position, image_id, role FROM hit_images")
    connection.execute("DROP TABLE hit_images")
    connection.execute("ALTER TABLE hit_images_now RENAME TO hit_images")
    connection.execute("CREATE INDEX hit_images_image ON hit_images (image_id)")


def _second_labels(connection: sqlite3.Connection) -> None:
    """Other classes that images may show, as they were proposed."""
    connection.execute(
        "CREATE TABLE second_labels (image_id TEXT NOT NULL REFERENCES images (image_id), wnid TEXT NOT NULL"
        " REFERENCES classes (wnid), source TEXT NOT NULL, proposed_at TEXT NOT NULL,"
        " PRIMARY KEY (image_id, wnid, source)) STRICT, WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX second_labels_wnid ON second_labels (wnid)")


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {
    1: _create,
    2: _consents,
    3: _remember_calls,
    4: _questions,
    5: _second_labels,
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
        with whole(connection):
            if version_of(connection) == found:  # another process may have been first
                migrations[found + 1](connection)
                connection.execute(f"PRAGMA user_version = {found + 1 if found else newest}")


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
