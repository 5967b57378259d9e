"""The classes of a study."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from newtest.config import canonical_json
from newtest.reading.jsons import parse_json
from newtest.records import Class

__all__ = ["class_of", "put_classes", "wnids"]


def put_classes(catalog: sqlite3.Connection, classes: Iterable[Class]) -> None:
    """Add the classes that are not there yet; what a class meant when it was first collected stays."""
    catalog.executemany(
        "INSERT OR IGNORE INTO classes (wnid, lemmas, gloss, hypernyms, origin) VALUES (?, ?, ?, ?, ?)",
        [
            (cls.wnid, canonical_json(cls.lemmas), cls.gloss, canonical_json(cls.hypernyms), cls.origin)
            for cls in classes
        ],
    )


def class_of(catalog: sqlite3.Connection, wnid: str) -> Class | None:
    """A class of this study, None when the study has none of this id."""
    row = catalog.execute(
        "SELECT wnid, lemmas, gloss, hypernyms, origin FROM classes WHERE wnid = ?", (wnid,)
    ).fetchone()
    if row is None:
        return None
    return Class(row[0], tuple(parse_json(row[1])), row[2], tuple(parse_json(row[3])), row[4])


def wnids(catalog: sqlite3.Connection) -> list[str]:
    """The ids of the study's classes, sorted."""
    return [str(row[0]) for row in catalog.execute("SELECT wnid FROM classes ORDER BY wnid")]
