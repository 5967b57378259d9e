"""Reference sets: the originals that a study replicates. Their images are rows like any other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newtest.catalog import transaction
from newtest.catalog.images import clean
from newtest.config import canonical_json
from newtest.records import Image

__all__ = [
    "Reference",
    "fingerprint_of",
    "foreign_ids",
    "known_places",
    "put_reference",
    "put_urls",
    "reference_ids",
    "references",
]


@dataclass(frozen=True)
class Reference:
    """A reference set, with the numbers of its images, of its classes, and of its images whose bytes are there."""

    name: str
    origin: str
    images: int
    classes: int
    with_bytes: int
    added_at: str


def put_reference(
    catalog: sqlite3.Connection,
    name: str,
    origin: str,
    fingerprint: str,
    added_at: str,
    members: Sequence[tuple[Image, str]],
) -> None:
    """Store a reference set whole: its name, its images where they are new, its members (image, wnid)."""
    with transaction(catalog):
        catalog.execute("INSERT INTO references_ VALUES (?, ?, ?, ?)", (name, origin, fingerprint, added_at))
        catalog.executemany(
            "INSERT OR IGNORE INTO images (image_id, source, source_id, url, page_url, title, license, owner, extra)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(image.image_id, image.source, image.source_id),
                    *map(clean, (image.url, image.page_url, image.title, image.license, image.owner)),
                    clean(canonical_json(image.extra)),
                )
                for image, _ in members
            ],
        )
        catalog.executemany(
            "INSERT INTO reference_members (reference, image_id, wnid) VALUES (?, ?, ?)",
            [(name, image.image_id, wnid) for image, wnid in members],
        )
        # An earlier reference may have known the image by its id alone.
        _add_urls(catalog, {image.image_id: image.url for image, _ in members if image.url is not None})


def put_urls(catalog: sqlite3.Connection, urls: Mapping[str, str]) -> None:
    """Give reference images that have no address theirs (image id -> URL), but those that were taken down."""
    with transaction(catalog):
        _add_urls(catalog, urls)


def _add_urls(catalog: sqlite3.Connection, urls: Mapping[str, str]) -> None:
    catalog.executemany(
        "UPDATE images SET url = ? WHERE image_id = ? AND url IS NULL AND source LIKE 'reference:%'"
        " AND NOT EXISTS (SELECT 1 FROM files f WHERE f.image_id = images.image_id AND f.kind = 'taken-down')",
        [(clean(url), image_id) for image_id, url in urls.items()],
    )


def known_places(
    catalog: sqlite3.Connection, image_ids: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Those of the ids that name images: their addresses, and the sha256 of the bytes that are there."""
    rows = catalog.execute(
        "SELECT image_id, url, sha256 FROM images LEFT JOIN files USING (image_id)"
        " WHERE image_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(image_ids)),),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def fingerprint_of(catalog: sqlite3.Connection, name: str) -> str | None:
    """The fingerprint of a reference set's members, None when there is none of this name."""
    row = catalog.execute("SELECT fingerprint FROM references_ WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def foreign_ids(catalog: sqlite3.Connection, image_ids: Sequence[str]) -> list[str]:
    """Those of the ids that belong to images of the pool, which no reference may claim; sorted."""
    pool = catalog.execute("SELECT image_id FROM images WHERE source NOT LIKE 'reference:%'")
    return sorted({str(row[0]) for row in pool} & set(image_ids))


def references(catalog: sqlite3.Connection) -> list[Reference]:
    """All reference sets, by name."""
    rows = catalog.execute(
        "SELECT name, origin, count(DISTINCT m.image_id), count(DISTINCT m.wnid),"
        " count(DISTINCT CASE WHEN f.state = 'ok' THEN m.image_id END), added_at"
        " FROM references_ r LEFT JOIN reference_members m ON m.reference = r.name"
        " LEFT JOIN files f USING (image_id) GROUP BY name ORDER BY name"
    )
    return [Reference(*row) for row in rows]


def reference_ids(catalog: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """(image_id, sha256 or None) of the images of all reference sets, by id."""
    rows = catalog.execute(
        "SELECT DISTINCT m.image_id, f.sha256 FROM reference_members m LEFT JOIN files f USING (image_id)"
        " ORDER BY m.image_id"
    )
    return [(row[0], row[1]) for row in rows]
