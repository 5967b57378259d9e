"""Tables of captions and metadata beside images: ``captions.*`` of this project and others, ``metadata.*`` of Hugging
Face's image folders, in any folder; names in them are relative to their own folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newtest.errors import PoolError
from newtest.files import bytes_of
from newtest.pool.importing.texts import decoded
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import batches, open_parquet
from newtest.reading.separated import named_rows

__all__ = ["FILES", "Row", "is_table", "rows_of", "texts_of"]

FILES = ("file", "file_name", "filename", "filepath", "image_path", "path")
_TEXTS = ("text", "caption", "captions", "texts", "title", "TEXT")
_NAMES = frozenset(
    f"{stem}.{suffix}" for stem in ("captions", "metadata") for suffix in ("csv", "tsv", "jsonl", "parquet")
)


@dataclass(frozen=True)
class Row:
    """``file`` as the table has it; its captions; all other columns."""

    file: str
    texts: tuple[str, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)


def is_table(name: str) -> bool:
    """Whether a file is one of these tables, by its name."""
    return name.rpartition("/")[2].lower() in _NAMES


def rows_of(path: Path, encoding: str | None) -> Iterator[Row]:
    """The rows of a table. Raises PoolError for a file that cannot be read, and where no column names files."""
    kind = path.suffix[1:].lower()
    read = {"csv": _separated, "tsv": _separated, "jsonl": _lines, "parquet": _parquet}[kind]
    file = text = None
    for number, row in enumerate(read(path, encoding)):
        if file is None or file not in row:
            file = next((name for name in FILES if name in row), None)
            if file is None:
                raise PoolError(
                    f"{path}: row {number + 1} names no file: a column {FILES[0]!r} or {FILES[1]!r} is needed, here "
                    f"are {', '.join(map(str, row)) or 'none'}"
                )
        text = next((name for name in _TEXTS if name in row), None)
        if text is None and path.stem.lower() == "captions":
            raise PoolError(
                f"{path}: row {number + 1} has no caption: a column {_TEXTS[0]!r} or {_TEXTS[1]!r} is needed, this one "
                f"has {', '.join(map(str, row))}"
            )
        others = {
            name: value for name, value in row.items() if name not in (file, text) and value is not None
        }
        yield Row(str(row[file] or ""), texts_of(row.get(text)) if text else (), others)


def texts_of(value: Any) -> tuple[str, ...]:
    """Captions of a cell: a text, or a list of them; none for null and for nothing but white space."""
    if isinstance(value, (list, tuple)):
        return tuple(text for each in value for text in texts_of(each))
    if value is None or isinstance(value, (dict, bool)):
        return ()
    text = str(value)
    return (text,) if text.strip() else ()


def _separated(path: Path, encoding: str | None) -> Iterator[dict[str, Any]]:
    text = decoded(bytes_of(path), str(path), encoding)
    head = text.split("\n", 1)[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(head)
    try:
        header, found = named_rows(text, delimiter, strict=True)
        if len(set(header)) != len(header):
            raise PoolError(f"{path}: a column's name stands there twice ({', '.join(header)})")
        rows = list(found)
    except Unreadable as error:
        raise PoolError(f"{path}: cannot be read as a table ({error})") from error
    kept = {*FILES, *_TEXTS, "uid", "key"}
    convert = {name: _converter([row[name] for row in rows]) for name in header if name not in kept}
    for row in rows:
        yield {name: convert[name](value) if name in convert else value for name, value in row.items()}


def _delimiter(head: str) -> str:
    """The one among comma, semicolon and tab that parts a column of files from others."""
    for delimiter in (",", ";", "\t"):
        if any(cell.strip().strip('"') in FILES for cell in head.split(delimiter)):
            return delimiter
    return ","


def _converter(values: list[str | None]) -> Any:
    """Numbers where every cell is one that is written back as it stood; else texts as they are."""
    present = [value for value in values if value not in (None, "")]
    if present and all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value or "") for value in present):
        return lambda value: int(value) if value else None
    if present and all(
        re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", value or "") for value in present
    ):
        return lambda value: float(value) if value else None
    return lambda value: value


def _lines(path: Path, encoding: str | None) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(decoded(bytes_of(path), str(path), encoding).split("\n")):
        if line.strip():
            try:
                row = parse_json(line)
            except (ValueError, RecursionError) as error:
                raise PoolError(f"{path}: line {number + 1} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise PoolError(f"{path}: line {number + 1} is not a JSON object")
            yield row


def _parquet(path: Path, encoding: str | None) -> Iterator[dict[str, Any]]:
    try:
        with open_parquet(path) as file:
            for batch in batches(file, 1 << 14):
                yield from batch.to_pylist()
    except (Unreadable, OSError) as error:
        raise PoolError(f"{path}: cannot be read as Parquet ({error})") from error
