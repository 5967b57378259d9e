"""Reading files of votes: each format is a plain function from a path to a ``VotesTable``.

To add a format: write ``read_x(path) -> VotesTable`` whose chunks have the columns of ``newtest.votes.checks``
and name it in ``READERS``. A table is read in chunks, so that millions of votes need little memory, and it knows where
each of its rows stands, so that an error can name the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pandas as pd

from newtest.errors import UsageError, VotesError
from newtest.files import open_text
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import batches, open_parquet
from newtest.reading.separated import line_of
from newtest.reading.text_tables import text_batches
from newtest.spreadsheets import Sheet, sheet_of

__all__ = [
    "READERS",
    "SUFFIXES",
    "Chunk",
    "VotesTable",
    "read_csv",
    "read_jsonl",
    "read_parquet",
    "read_votes",
    "table_of",
]

ROWS = 50_000
"""Rows of a chunk, about."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table as they were read, unchecked; ``start`` is the number of the first, counted from 0."""

    name: str
    frame: pd.DataFrame
    place: Callable[[int], str]
    start: int = 0

    def where(self, row: int) -> str:
        """The table and the place of a row of this chunk, to a person."""
        return f"{self.name}, {self.place(self.start + row)}"


@dataclass(frozen=True)
class VotesTable:
    """Votes or counts, unchecked. ``place`` names a row of the whole table (counted from 0) to a person.

    ``left_out`` counts the answers of the file that gave no vote, by reason; ``warnings`` says what else was found.
    With ``first_counts`` a vote of somebody who has another on the pair is left out too, and no error: nobody can take
    single answers out of another tool's file.
    """

    name: str
    columns: Sequence[str]
    frames: Callable[[], Iterator[pd.DataFrame]]
    place: Callable[[int], str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    first_counts: bool = False

    def chunks(self) -> Iterator[Chunk]:
        """The rows, in the order of the file."""
        start = 0
        for frame in self.frames():
            yield Chunk(self.name, frame, self.place, start)
            start += len(frame)

    @property
    def frame(self) -> pd.DataFrame:
        """All rows at once."""
        found = list(self.frames())
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(self.columns))


def read_csv(path: Path) -> VotesTable:
    """A CSV file with a header; every cell is kept as text. UTF-8, or what spreadsheets write (see ``sheet_of``)."""
    try:
        sheet = sheet_of(path)
    except ValueError as error:
        raise VotesError(f"{path}: not a CSV file that can be read: {error}") from error
    header = sheet.header
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise VotesError(f"{path}: two columns are called {twice[0]!r}")
    return VotesTable(
        str(path), header, lambda: _csv_frames(path, sheet), lambda row: f"line {_csv_line(path, sheet, row)}"
    )


def _csv_frames(path: Path, sheet: Sheet) -> Iterator[pd.DataFrame]:
    found = text_batches(
        path, sheet.header, delimiter=sheet.delimiter, encoding=sheet.encoding, skip=sheet.skip
    )
    try:
        for batch in found:
            yield batch.to_pandas()
    except ValueError as error:
        raise VotesError(f"{path}: not a CSV file that can be read: {error}") from error


def read_parquet(path: Path) -> VotesTable:
    """A Parquet file; whole numbers stay exact where some are missing."""
    try:
        with open_parquet(path) as file:
            columns = file.schema_arrow.names
    except (Unreadable, OSError) as error:
        raise VotesError(f"{path}: not a Parquet file that can be read: {error}") from error

    def frames() -> Iterator[pd.DataFrame]:
        try:
            with open_parquet(path) as file:
                for batch in batches(file, ROWS):
                    yield batch.to_pandas(integer_object_nulls=True)
        except (Unreadable, OSError) as error:
            raise VotesError(f"{path}: not a Parquet file that can be read: {error}") from error

    return VotesTable(str(path), columns, frames, lambda row: f"row {row + 1}")


def read_jsonl(path: Path) -> VotesTable:
    """One JSON object a line, UTF-8; blank lines are skipped. The columns are those of all objects together."""
    names: dict[str, None] = {}
    for _, record in _json_records(path):
        names |= dict.fromkeys(record)
    columns = list(names)

    def frames() -> Iterator[pd.DataFrame]:
        records = (record for _, record in _json_records(path))
        while some := list(islice(records, ROWS)):
            yield pd.DataFrame(
                {name: pd.Series([record.get(name) for record in some], dtype=object) for name in columns}
            )

    def place(row: int) -> str:
        return f"line {next(islice(_json_records(path), row, None))[0]}"

    return VotesTable(str(path), columns, frames, place)


READERS: Mapping[str, Callable[[Path], VotesTable]] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_jsonl,
}
"""The name of a format -> its reader."""

SUFFIXES: Mapping[str, str] = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"
}  # fmt: skip
"""The suffix of a file -> the name of the format that is meant when none is given."""


def read_votes(path: Path, *, format_name: str | None = None) -> VotesTable:
    """Read a file of votes. Raises UsageError for an unknown format, VotesError for a broken file."""
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

    def frames() -> Iterator[pd.DataFrame]:
        for start in range(0, len(frame), ROWS):
            yield frame.iloc[start : start + ROWS].reset_index(drop=True)

    return VotesTable("votes", [str(name) for name in frame.columns], frames, lambda row: f"row {row + 1}")


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """(line, object) of a file of JSON lines. Raises VotesError."""
    try:
        with open_text(path, "utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield number, _json_object(path, number, line)
    except UnicodeDecodeError as error:
        raise VotesError(f"{path}: not UTF-8 text ({error})") from error


def _json_object(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        record = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise VotesError(f"{path}, line {number}: not JSON ({str(error)[:200]})") from error
    if not isinstance(record, dict):
        raise VotesError(f'{path}, line {number}: an object is required, such as {{"image_id": ...}}')
    return record


def _csv_line(path: Path, sheet: Sheet, row: int) -> int:
    """The line on which a data row ends: counted only when an error needs it."""
    with open_text(path, sheet.text_encoding, newline="") as handle:
        return line_of(handle, sheet.delimiter, row, before=sheet.skip + 1)
