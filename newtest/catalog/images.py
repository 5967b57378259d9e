"""Images as their sources described them, and candidates: the pairs of an image and a class."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from newtest.catalog.kept import believed, kept
from newtest.config import canonical_json
from newtest.download.urls import without_credentials
from newtest.records import Image

__all__ = [
    "add_candidates",
    "add_images",
    "candidate_ids",
    "clashing",
    "clean",
    "image_from_json",
    "image_of",
]

_COLUMNS = (
    "image_id, source, source_id, url, page_url, title, license, owner, taken_on, uploaded_on, width, height,"
    " sizes, extra"
)


def add_images(catalog: sqlite3.Connection, images: Iterable[Image]) -> None:
    """Add the images that are not there yet; the first facts of an image stay."""
    catalog.executemany(
        f"INSERT OR IGNORE INTO images ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(image.image_id, image.source, image.source_id),
                *map(clean, (image.url, image.page_url, image.title, image.license, image.owner)),
                *(image.taken_on, image.uploaded_on, image.width, image.height),
                *(clean(canonical_json(image.sizes)), clean(canonical_json(image.extra))),
            )
            for image in images
        ],
    )


def clean(text: str | None) -> str | None:
    """A text without the user names and passwords of URLs in it: whatever a source gave, none is stored."""
    return without_credentials(text) if text else text


def clashing(catalog: sqlite3.Connection, images: Iterable[Image]) -> list[str]:
    """Ids that a table gave, but that name another image of this study already (another URL).

    The address of an image that was taken down is forgotten: it clashes with nothing, and stays down.
    """
    query = "SELECT url FROM images LEFT JOIN files USING (image_id) WHERE image_id = ? AND kind IS NOT 'taken-down'"
    return [
        image.image_id
        for image in images
        if image.source == "table"
        for row in catalog.execute(query, (image.image_id,))
        if row[0] != image.url
    ]


def image_of(catalog: sqlite3.Connection, image_id: str) -> Image | None:
    """An image of this study, with the sha256 of its bytes where they are there; None when it is unknown."""
    row = catalog.execute(
        f"SELECT {_COLUMNS}, (SELECT sha256 FROM files f WHERE f.image_id = images.image_id) AS sha256"
        " FROM images WHERE image_id = ?",
        (image_id,),
    ).fetchone()
    if row is None:
        return None
    values = dict(row)
    read = {name: kept(values[name], f"the image {image_id!r}", dict) for name in ("sizes", "extra")}
    return _image(values | read)


def image_from_json(text: str) -> Image:
    """An image from the canonical JSON of itself."""
    return _image(kept(text, "a search result", dict))


def add_candidates(catalog: sqlite3.Connection, wnid: str, image_ids: Sequence[str]) -> int:
    """Make images candidates of a class; how many were none before."""
    before = catalog.total_changes
    catalog.executemany(
        "INSERT OR IGNORE INTO candidates (image_id, wnid) VALUES (?, ?)",
        [(image_id, wnid) for image_id in image_ids],
    )
    return catalog.total_changes - before


def candidate_ids(catalog: sqlite3.Connection, wnid: str) -> list[str]:
    """The images that are candidates of a class, sorted."""
    rows = catalog.execute("SELECT image_id FROM candidates WHERE wnid = ? ORDER BY image_id", (wnid,))
    return [str(row[0]) for row in rows]


def _image(values: dict[str, Any]) -> Image:
    with believed(f"the image {values.get('image_id')!r}"):
        sizes = {name: tuple(size) for name, size in values["sizes"].items()}
        return Image(**(values | {"sizes": sizes}))
