"""Reading files of votes: each format is a plain function from a path to a ``VotesTable``.

To add a format: write ``read_x(path) -> VotesTable`` whose frame has the columns of ``newtest.votes.checks``
and name it in ``READERS``. A table knows where each of its rows stands, so that an error can name the line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from newtest.errors import UsageError, VotesError

__all__ = [
    "READERS",
    "SUFFIXES",
    "VotesTable",
    "read_csv",
    "read_jsonl",
    "read_parquet",
    "read_votes",
    "table_of",
]


@dataclass(frozen=True)
class VotesTable:
    """Votes or counts as they were read, unchecked. ``place`` names a row (counted from 0) to a person."""

    name: str
    frame: pd.DataFrame
    place: Callable[[int], str]


def read_csv(path: Path) -> VotesTable:
    """A CSV file with a header, UTF-8; every cell is kept as text."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            header = next(csv.reader(handle), [])
        options = pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in header},
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        )
        table = pa.csv.read_csv(
            path, parse_options=pa.csv.ParseOptions(newlines_in_values=True), convert_options=options
        )
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        raise VotesError(f"{path}: not a CSV file that can be read: {error}") from error
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise VotesError(f"{path}: two columns are called {twice[0]!r}")
    return VotesTable(str(path), table.to_pandas(), lambda row: f"line {_csv_line(path, row)}")


def read_parquet(path: Path) -> VotesTable:
    """A Parquet file."""
    try:
        frame = pa.parquet.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise VotesError(f"{path}: not a Parquet file that can be read: {error}") from error
    return VotesTable(str(path), frame, lambda row: f"row {row + 1}")


def read_jsonl(path: Path) -> VotesTable:
    """One JSON object a line, UTF-8; blank lines are skipped."""
    records, lines = [], []
    try:
        with open(path, encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    records.append(_json_object(path, number, line))
                    lines.append(number)
    except UnicodeDecodeError as error:
        raise VotesError(f"{path}: not UTF-8 text ({error})") from error
    return VotesTable(str(path), pd.DataFrame(records), lambda row: f"line {lines[row]}")


READERS: Mapping[str, Callable[[Path], VotesTable]] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_jsonl,
}
"""The name of a format -> its reader."""

SUFFIXES: Mapping[str, str] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""The suffix of a file -> the name of the format that is meant when none is given."""


def read_votes(path: Path, *, format_name: str | None = None) -> VotesTable:
    """Read a file of votes. Raises UsageError for an unknown format, VotesError for a file that is none."""
    if not path.is_file():
        raise VotesError(f"{path}: there is no such file")
    name = format_name or SUFFIXES.get(path.suffix.lower(), "")
    if name not in READERS:
        known = ", ".join(READERS)
        raise UsageError(
            f"{path}: unknown format of votes {(name or path.suffix)!r}; known are {known} (`format`)"
        )
    return READERS[name](path)


def table_of(frame: pd.DataFrame) -> VotesTable:
    """A DataFrame that is in memory already."""
    return VotesTable("votes", frame.reset_index(drop=True), lambda row: f"row {row + 1}")


def _json_object(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise VotesError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise VotesError(f'{path}, line {number}: an object is wanted, such as {{"image_id": ...}}')
    return record


def _csv_line(path: Path, row: int) -> int:
    """The line on which a data row ends: counted only when an error needs it."""
    with open(path, encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle)
        next(reader)
        position = -1
        for cells in reader:
            position += bool(cells)
            if position == row:
                return reader.line_num
    raise AssertionError(f"{path} has no row {row}")
