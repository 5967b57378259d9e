"""Which caption belongs to which image, and which captions belong to none.

A table's row meets the image of its name: as it stands, else without a leading ``./``, with ``/`` for ``\\``, without
empty parts, and in Unicode's normal form C (file systems of a Mac write form D). A name that two images have in that
form meets neither. An absolute name meets an image below the folder. Case is never changed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newtest.pool.importing.tables import rows_of, texts_of

__all__ = ["Captions", "Given", "matched"]


@dataclass
class Given:
    """What tables say of an image: its captions in their order, each once, and other columns."""

    texts: list[str] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    repeated: int = 0
    differing: list[str] = field(default_factory=list)
    """Columns of which a later source says something else; what the first says is kept."""

    def add(self, texts: Iterable[str]) -> None:
        """More captions; one that is there already is counted."""
        for text in texts:
            if text in self.texts:
                self.repeated += 1
            else:
                self.texts.append(text)

    def say(self, columns: Mapping[str, Any]) -> None:
        """More columns; one that is there already stays as it is, and is named where the two differ."""
        for name, value in columns.items():
            known = self.columns.get(name)
            if known is None:
                self.columns[name] = value
            elif value is not None and value != known and (value == value or known == known):
                self.differing.append(name)


@dataclass(frozen=True)
class Captions:
    """By image; ``rows`` of tables were read, ``unmatched`` are (table, file) of those that name no image, ``empty``
    are the tables without a row.
    """

    given: Mapping[str, Given]
    rows: int
    unmatched: tuple[tuple[str, str], ...]
    empty: tuple[str, ...] = ()


def matched(root: Path, images: Sequence[str], tables: Sequence[str], encoding: str | None) -> Captions:
    """Read all tables (names below ``root``, as the images' are). Raises PoolError."""
    exact = set(images)
    by_form: dict[str, list[str]] = {}
    for image in images:
        by_form.setdefault(_form(image), []).append(image)
    given: dict[str, Given] = {}
    unmatched: list[tuple[str, str]] = []
    rows = 0
    empty: list[str] = []
    for table in sorted(tables):
        before = rows
        folder = table.rpartition("/")[0]
        for row in rows_of(root / table, encoding):
            rows += 1
            met = _met(_named(root, folder, row.file), exact, by_form)
            if met is None:
                unmatched.append((table, row.file))
                continue
            mine = given.setdefault(met, Given())
            mine.add(row.texts)
            mine.say(row.columns)
        if rows == before:
            empty.append(table)
    return Captions(given, rows, tuple(unmatched), tuple(empty))


def described(given: Given, said: Mapping[str, Any]) -> None:
    """Add what a ``.json`` beside an image says (img2dataset's ``files`` format): its captions and columns."""
    for name in ("caption", "text", "captions", "texts"):
        given.add(texts_of(said.get(name)))
    given.say(
        {name: value for name, value in said.items() if name not in ("caption", "text", "captions", "texts")}
    )


def _named(root: Path, folder: str, file: str) -> str:
    if file.startswith("/"):
        for base in (root.absolute(), root.resolve()):
            if file.startswith(f"{base}/"):
                return file[len(str(base)) + 1 :]
    return f"{folder}/{file}" if folder else file


def _met(name: str, exact: set[str], by_form: Mapping[str, Sequence[str]]) -> str | None:
    if name in exact:
        return name
    found = by_form.get(_form(name), ())
    return found[0] if len(found) == 1 else None


def _form(name: str) -> str:
    parts = [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(parts))
