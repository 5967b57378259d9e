"""Tables of separated values (CSV, TSV)."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from newtest.files import open_bytes, require_regular
from newtest.reading.failures import Unreadable, translated

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MOST_COLUMNS", "MOST_TABLE", "first_row", "it_has", "line_of", "named_rows", "read_separated",
]  # fmt: skip

MOST_TABLE = 8 << 30
"""Bytes of a table that is read as a whole: predictions of 50,000 images have 500 MB."""
MOST_CELL = 64 << 20
csv.field_size_limit(MOST_CELL)
"""Characters of a cell, in this process: Python's own limit of 131,072 is less than a long caption may have."""
_BLOCK = 1 << 20
_MORE = "\0more"
"""The name of cells beyond the header; of no column, for NUL is in none."""
MOST_COLUMNS = 100_000
"""Scores for all classes of ImageNet-21k are 22,000 columns."""


def named_rows(
    lines: str | Iterable[str], delimiter: str = ",", *, strict: bool = False
) -> tuple[list[str], Iterator[dict[str, str]]]:
    """The header, and each row by the names in it: "" where a row is short; cells beyond the header are left away, or
    with ``strict`` refused. Quotes that do not close are always refused: they would swallow the rows behind them.

    Raises Unreadable, also while the rows are read.
    """
    source = io.StringIO(lines, newline="") if isinstance(lines, str) else lines
    reader = csv.DictReader(source, delimiter=delimiter, restkey=_MORE, restval="", strict=True)
    with translated("a table of separated values"):
        header = list(reader.fieldnames or ())
    if len(header) > MOST_COLUMNS:
        raise Unreadable(f"more than {MOST_COLUMNS:,} columns")
    return header, _rows(reader, strict)


def _rows(reader: csv.DictReader[str], strict: bool) -> Iterator[dict[str, str]]:  # noqa: FBT001
    number = 0
    while True:
        with translated(f"a table of separated values at line {reader.line_num + 1}"):
            row = next(reader, None)
        if row is None:
            return
        number += 1
        if isinstance(row.pop(_MORE, None), list) and strict:
            raise Unreadable(
                f"row {number} has more cells than there are columns; put quotes around texts with commas"
            )
        yield row


def it_has(columns: Iterable[object]) -> str:
    """``it has image_id, label``: the end of a sentence on a column that is missing. At most 500 characters."""
    return f"it has {', '.join(map(str, columns))[:500] or 'no columns'}"


def first_row(lines: IO[str], delimiter: str) -> list[str]:
    """The cells of the first row, none where there is no row. Raises Unreadable, also for more cells than a table has
    columns.
    """
    with translated("a table of separated values"):
        row = next(csv.reader(lines, delimiter=delimiter), [])
    if len(row) > MOST_COLUMNS:
        raise Unreadable(f"more than {MOST_COLUMNS:,} columns")
    return row


def line_of(lines: IO[str], delimiter: str, row: int, *, before: int) -> int:
    """The line on which a data row ends, ``before`` rows stand before the data; empty rows are not counted.

    Raises Unreadable where there is no such row.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    with translated("a table of separated values"):
        for _ in range(before):
            next(reader)
        if next(islice((cells for cells in reader if cells), row, None), None) is not None:
            return reader.line_num
    raise Unreadable(f"there is no row {row + 1}")


def read_separated(path: Path, **options: Any) -> pd.DataFrame:
    """``pandas.read_csv`` with limits. Raises OSError, and Unreadable or another ValueError."""
    import pandas as pd

    require_regular(path)
    try:
        size = path.stat().st_size
    except ValueError as error:
        raise Unreadable(f"no file can have this name: {error}") from error
    if size > MOST_TABLE:
        raise Unreadable(f"{size >> 30} GiB; a table that is read as a whole has at most {MOST_TABLE >> 30}")
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) and _has_nul(path):
        raise Unreadable(
            "a NUL byte, at which pandas before 3.1 ends a cell; remove it, or install a newer pandas"
        )
    with translated("a table of separated values"):
        frame: pd.DataFrame = pd.read_csv(path, **options)
    if len(frame.columns) > MOST_COLUMNS:
        raise Unreadable(f"more than {MOST_COLUMNS:,} columns")
    return frame


def _has_nul(path: Path) -> bool:
    """Whether there is a NUL byte in a text that is not UTF-16."""
    with open_bytes(path) as handle:
        block = handle.read(_BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return False
        while block:
            if b"\0" in block:
                return True
            block = handle.read(_BLOCK)
    return False
