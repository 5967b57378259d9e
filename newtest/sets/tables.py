"""Tables that name the images of a set: CSV, TSV, Parquet, JSON rows, JSON lines, and ImageNetV2's dataset files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from newtest.errors import UsageError
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import read_parquet, read_schema
from newtest.reading.texts import read_lines
from newtest.sets.dataset_json import is_dataset, pairs_of, read_document
from newtest.spreadsheets import read_sheet

__all__ = ["CLASS_COLUMNS", "ID_COLUMNS", "read_rows"]

ID_COLUMNS = ("image_id", "id", "file_name", "filename", "file", "image")
CLASS_COLUMNS = ("wnid", "class", "label", "target")
"""Columns that hold the id and the class, by preference; the one that is taken stands as the first in every table."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows in the file's order, each with ``image_id`` and ``wnid`` whatever the columns were called, and all its
    other columns. Texts stay texts ("0042" is not 42), what is missing is None. Raises UsageError that names the file.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        document = read_document(path)
        if is_dataset(document):
            return [{"image_id": name, "wnid": wnid} for name, wnid in pairs_of(document, path)]
        if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
            raise UsageError(
                f"{path}: neither a list of rows nor one of ImageNetV2's dataset files (image_filenames)"
            )
        return _named(document, path)
    return _named(_lines(path) if suffix in (".jsonl", ".ndjson") else _frame(path), path)


def _lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        for number, line in enumerate(read_lines(path), start=1):
            row = parse_json(line) if line.strip() else None
            if row is not None and not isinstance(row, dict):
                raise UsageError(f"{path}, line {number}: not a row with names")
            rows += [row] if row is not None else []
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON lines ({error})") from error
    return rows


def _frame(path: Path) -> list[dict[str, Any]]:
    try:
        parquet = path.suffix.lower() == ".parquet"
        frame = read_parquet(path, _told(path)) if parquet else read_sheet(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # pandas' and Arrow's own errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: not a CSV, Parquet or JSON table ({reason})") from error
    _columns([str(name) for name in frame.columns], path)  # of a table without rows, too
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _told(path: Path) -> list[str]:
    """The columns of a Parquet file that are not pictures: a set's ids and classes are read without its bytes."""
    import pyarrow as pa

    def is_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(is_bytes(part.type) for part in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view")

    return [field.name for field in read_schema(path) if not is_bytes(field.type)]


def _named(rows: Sequence[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    if not rows:
        return []
    columns = list(dict.fromkeys(key for row in rows for key in row))
    image_id, wnid = _columns(columns, path)
    return [
        {
            "image_id": row.get(image_id),
            "wnid": row.get(wnid),
            **{key: value for key, value in row.items() if key not in (image_id, wnid)},
        }
        for row in rows
    ]


def _columns(columns: Sequence[str], path: Path) -> tuple[str, str]:
    found = []
    for names in (ID_COLUMNS, CLASS_COLUMNS):
        column = next((name for name in names if name in columns), None)
        if column is None:
            others = f" (or {', '.join(names[1:])})"
            raise UsageError(
                f"{path}: the column {names[0]!r}{others} is missing; it has {', '.join(columns)}"
            )
        found.append(column)
    return found[0], found[1]
