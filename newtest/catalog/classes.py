"""The classes of a study."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from newtest.catalog.kept import believed, kept_texts
from newtest.config import canonical_json
from newtest.errors import StudyError
from newtest.records import Class

__all__ = ["class_of", "lemmas_of", "put_classes", "wnids"]


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
    what = f"the class {wnid!r}"
    with believed(what):
        return Class(row[0], lemmas_of(wnid, row[1]), row[2], kept_texts(row[3], what), row[4])


def lemmas_of(wnid: str, lemmas: str) -> tuple[str, ...]:
    """The lemmas of a class, at least one, of the catalog's column. Raises StudyError."""
    if not (found := kept_texts(lemmas, f"the class {wnid!r}")):
        raise StudyError(
            f"the catalog is damaged: the class {wnid!r} has no lemma; take study.sqlite from a copy"
        )
    return found


def wnids(catalog: sqlite3.Connection) -> list[str]:
    """The ids of the study's classes, sorted."""
    return [str(row[0]) for row in catalog.execute("SELECT wnid FROM classes ORDER BY wnid")]
