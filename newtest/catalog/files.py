"""The bytes of images: which are required, which are there, and why the others are not."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from newtest.catalog import transaction
from newtest.catalog.images import clean

__all__ = [
    "FileRow",
    "Removal",
    "StoredFile",
    "Wanted",
    "failures",
    "file_of",
    "left_out",
    "record",
    "refused_bytes",
    "same_bytes",
    "stored_files",
    "take_down",
    "unstore",
    "wanted",
    "with_bytes",
]

_SHOULD_HAVE_BYTES = "(i.url IS NOT NULL OR i.source NOT LIKE 'reference:%')"  # a reference may be ids alone


@dataclass(frozen=True)
class Wanted:
    """An image without bytes that may be tried (again)."""

    image_id: str
    source: str
    url: str | None


@dataclass(frozen=True)
class FileRow:
    """What became of one image's bytes. ``width`` and ``height`` in pixels as shown."""

    image_id: str
    state: str
    fetched_at: str
    sha256: str | None = None
    num_bytes: int | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    kind: str | None = None
    reason: str | None = None
    attempt: bool = True
    """Whether a failure counts as an attempt: one that says nothing of the image (its host throttles) does not."""


@dataclass(frozen=True)
class StoredFile:
    """Bytes that are there; several images may share them."""

    sha256: str
    num_bytes: int


def wanted(
    catalog: sqlite3.Connection, max_attempts: int, image_ids: Sequence[str] | None = None
) -> list[Wanted]:
    """Images without bytes, by id: never tried, or failed in fewer than ``max_attempts`` runs."""
    rows = catalog.execute(
        "SELECT i.image_id, i.source, i.url FROM images i LEFT JOIN files f USING (image_id)"
        f" WHERE {_SHOULD_HAVE_BYTES} AND (f.image_id IS NULL OR (f.state = 'failed' AND f.attempts < ?))"
        " ORDER BY i.image_id",
        (max_attempts,),
    )
    chosen = None if image_ids is None else set(image_ids)
    return [Wanted(*row) for row in rows if chosen is None or row[0] in chosen]


def record(catalog: sqlite3.Connection, rows: Sequence[FileRow]) -> None:
    """Store outcomes in one transaction; a failure counts one more attempt, and bytes that are there stay."""
    with transaction(catalog):
        catalog.executemany(
            "INSERT INTO files"
            " (image_id, state, fetched_at, sha256, num_bytes, format, width, height, kind, reason, attempts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (image_id) DO UPDATE SET state = excluded.state, fetched_at = excluded.fetched_at,"
            " sha256 = excluded.sha256, num_bytes = excluded.num_bytes, format = excluded.format,"
            " width = excluded.width, height = excluded.height, kind = excluded.kind, reason = excluded.reason,"
            " attempts = attempts + excluded.attempts WHERE files.state = 'failed'",
            [
                (
                    *(row.image_id, row.state, row.fetched_at, row.sha256, row.num_bytes, row.format),
                    *(row.width, row.height, row.kind, row.reason, int(row.attempt)),
                )
                for row in rows
            ],
        )


def file_of(catalog: sqlite3.Connection, image_id: str) -> FileRow | None:
    """The file row of one image, None before its first try."""
    row = catalog.execute(
        "SELECT image_id, state, fetched_at, sha256, num_bytes, format, width, height, kind, reason"
        " FROM files WHERE image_id = ?",
        (image_id,),
    ).fetchone()
    return None if row is None else FileRow(*row)


def with_bytes(catalog: sqlite3.Connection) -> list[str]:
    """The images whose bytes are here, by id. An empty file does not count."""
    rows = catalog.execute(
        "SELECT image_id FROM files WHERE state = 'ok' AND num_bytes IS NOT 0 ORDER BY image_id"
    )
    return [row[0] for row in rows]


def failures(catalog: sqlite3.Connection) -> list[tuple[str, str, str, int, str, str | None]]:
    """Images without bytes: (image_id, state, kind, attempts, reason, url), by kind and id."""
    rows = catalog.execute(
        "SELECT f.image_id, state, kind, attempts, reason, url FROM files f JOIN images USING (image_id)"
        " WHERE state <> 'ok' ORDER BY kind, f.image_id"
    )
    return [(*row[:5], clean(row[5])) for row in rows]


def left_out(
    catalog: sqlite3.Connection, max_attempts: int, image_ids: Sequence[str] | None = None
) -> dict[str, dict[str, int]]:
    """Images without bytes by what becomes of them, and why: ``next_run`` (asked for again), ``given_up`` (failed in
    ``max_attempts`` runs), ``gone`` -> kind -> images. Empty where nothing is left out."""
    rows = catalog.execute(
        "SELECT CASE WHEN state = 'gone' THEN 'gone' WHEN attempts >= ? THEN 'given_up' ELSE 'next_run' END,"
        " coalesce(kind, 'unknown'), f.image_id FROM files f JOIN images i USING (image_id)"
        f" WHERE state <> 'ok' AND {_SHOULD_HAVE_BYTES}",
        (max_attempts,),
    )
    chosen = None if image_ids is None else set(image_ids)
    counted = Counter((what, kind) for what, kind, key in rows if chosen is None or key in chosen)
    found: dict[str, dict[str, int]] = {}
    for (what, kind), number in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        found.setdefault(what, {})[kind] = number
    return found


def stored_files(catalog: sqlite3.Connection) -> list[StoredFile]:
    """All bytes that rows speak of, by hash."""
    rows = catalog.execute("SELECT DISTINCT sha256, num_bytes FROM files WHERE state = 'ok' ORDER BY sha256")
    return [StoredFile(*row) for row in rows]


def unstore(
    catalog: sqlite3.Connection, sha256: str, kind: str, reason: str, *, attempts: int | None = None
) -> int:
    """Make failures of the images with these bytes, ``attempts`` set anew where given; gives their number."""
    with transaction(catalog):
        cursor = catalog.execute(
            "UPDATE files SET state = 'failed', sha256 = NULL, num_bytes = NULL, format = NULL, width = NULL,"
            " height = NULL, kind = ?, reason = ?, attempts = coalesce(?, attempts) WHERE sha256 = ?",
            (kind, reason, attempts, sha256),
        )
        return cursor.rowcount


def same_bytes(catalog: sqlite3.Connection, image: str) -> tuple[list[str], list[str]]:
    """An image (an id, or the sha256 of bytes) and all with the same bytes: their ids, and the hashes of their bytes.

    Both are empty when no image has this name.
    """
    rows = catalog.execute(
        "SELECT i.image_id, f.sha256 FROM images i LEFT JOIN files f USING (image_id) WHERE i.image_id = ?1"
        " OR f.sha256 = ?1 OR f.sha256 = (SELECT sha256 FROM files WHERE image_id = ?1) ORDER BY i.image_id",
        (image,),
    ).fetchall()
    return [str(row[0]) for row in rows], sorted({str(row[1]) for row in rows if row[1] is not None})


def refused_bytes(catalog: sqlite3.Connection) -> dict[str, str]:
    """sha256 of bytes that were taken down -> the reason."""
    return dict(catalog.execute("SELECT sha256, reason FROM refused_bytes").fetchall())


@dataclass(frozen=True)
class Removal:
    """Who asked, or acted, and why."""

    reason: str
    by: str
    at: str


def take_down(
    catalog: sqlite3.Connection, ids: Sequence[str], hashes: Sequence[str], removal: Removal
) -> None:
    """Take images out of the study.

    In one transaction they are blocked in every class with the reason, their files become ``gone``, what their
    source said of title, owner and addresses is forgotten, and the hashes of their bytes are refused from now on.
    """
    reason, by, at = removal.reason, removal.by, removal.at
    with transaction(catalog):
        catalog.executemany(
            "INSERT OR IGNORE INTO refused_bytes VALUES (?, ?, ?)",
            [(sha256, reason, at) for sha256 in hashes],
        )
        catalog.executemany(
            "INSERT INTO blocks (image_id, wnid, blocked, reason, reviewer, given_at) VALUES (?, NULL, 1, ?, ?, ?)",
            [(key, f"taken down: {reason}", by, at) for key in ids],
        )
        catalog.executemany(
            "INSERT INTO files (image_id, state, kind, reason, attempts, fetched_at)"
            " VALUES (?, 'gone', 'taken-down', ?, 0, ?) ON CONFLICT (image_id) DO UPDATE SET state = 'gone',"
            " sha256 = NULL, num_bytes = NULL, format = NULL, width = NULL, height = NULL, kind = 'taken-down',"
            " reason = excluded.reason, fetched_at = excluded.fetched_at",
            [(key, reason, at) for key in ids],
        )
        catalog.executemany(
            "UPDATE images SET url = NULL, page_url = NULL, title = NULL, owner = NULL, sizes = '{}', extra = '{}'"
            " WHERE image_id = ?",
            [(key,) for key in ids],
        )
