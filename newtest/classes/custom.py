"""Classes that are not in WordNet, from a TOML or CSV file.

TOML: one table per class, ``[class-id]`` with ``lemmas`` (a list), and optionally ``gloss`` and ``hypernyms``.
CSV: columns ``wnid``, ``lemmas`` (separated by ``;``), optionally ``gloss`` and ``hypernyms`` (``;``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from newtest.errors import ConfigError
from newtest.reading.failures import Unreadable
from newtest.reading.separated import it_has, named_rows
from newtest.reading.texts import read_text
from newtest.reading.tomls import parse_toml
from newtest.records import Class

__all__ = ["read_classes"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def read_classes(path: Path) -> dict[str, Class]:
    """Class id -> class, in the order of the file. Raises ConfigError that names the file and the entry.

    An id is 1 to 64 letters, digits, ``_``, ``.`` or ``-``, beginning with a letter or digit: it names folders later.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except Unreadable as error:
        raise ConfigError(f"{path}: {error}") from error
    entries = _from_toml(text, path) if path.suffix.lower() == ".toml" else _from_csv(text, path)
    classes: dict[str, Class] = {}
    for wnid, values in entries:
        if wnid in classes:
            raise ConfigError(f"{path}: class {wnid!r} is given twice")
        classes[wnid] = _class(wnid, values, path)
    if not classes:
        raise ConfigError(f"{path}: no classes in it")
    return classes


def _from_toml(text: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    for wnid, values in tables.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: {wnid!r} is not a table; write [{wnid}] and lemmas = [...] below it")
    return list(tables.items())


def _from_csv(text: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        header, found = named_rows(text)
        rows = list(found)
    except Unreadable as error:
        raise ConfigError(f"{path}: {error}") from error
    missing = [name for name in ("wnid", "lemmas") if name not in header]
    if missing:
        raise ConfigError(f"{path}: the column {missing[0]!r} is missing; {it_has(header)}")
    return [
        (
            (row["wnid"] or "").strip(),
            {
                "lemmas": _split(row["lemmas"]),
                "gloss": row.get("gloss") or "",
                "hypernyms": _split(row.get("hypernyms")),
            },
        )
        for row in rows
    ]


def _split(cell: str | None) -> list[str]:
    return [part.strip() for part in (cell or "").split(";") if part.strip()]


def _class(wnid: str, values: dict[str, Any], path: Path) -> Class:
    if not _ID.fullmatch(wnid):
        raise ConfigError(f"{path}: {wnid!r} is not a class id: 1 to 64 letters, digits, _ . or -")
    unknown = sorted(set(values) - {"lemmas", "gloss", "hypernyms"})
    if unknown:
        raise ConfigError(f"{path}: class {wnid}: unknown key {unknown[0]!r}")
    lemmas, hypernyms = values.get("lemmas", []), values.get("hypernyms", [])
    for name, items in (("lemmas", lemmas), ("hypernyms", hypernyms)):
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            raise ConfigError(f"{path}: class {wnid}: {name} must be a list of non-empty texts")
    if not lemmas:
        raise ConfigError(f"{path}: class {wnid} has no lemmas")
    gloss = values.get("gloss", "")
    if not isinstance(gloss, str):
        raise ConfigError(f"{path}: class {wnid}: gloss must be a text")
    return Class(wnid, tuple(lemmas), gloss, tuple(hypernyms), origin=path.name)
