"""Tables of separated values as Arrow reads them, every cell a text: fast, and a piece of the file at a time.

What ``separated`` is for pandas and for rows by name, this is for millions of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from newtest.files import require_regular
from newtest.reading.failures import Unreadable, translated
from newtest.reading.separated import MOST_COLUMNS

__all__ = ["text_batches", "text_table"]

_BLOCK = 4 << 20
"""Bytes that are read at once."""


def text_batches(
    path: Path, names: Sequence[str], *, delimiter: str, encoding: str = "utf8", skip: int = 0
) -> Iterator[pa.RecordBatch]:
    """The rows of a file whose columns are ``names``, some at a time; ``skip`` counts the lines before the header.

    Raises Unreadable, also while the rows are read; OSError.
    """
    require_regular(path)
    with translated("a table of separated values"):
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(
                block_size=_BLOCK, encoding=encoding, skip_rows=skip, use_threads=False
            ),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=delimiter),
            convert_options=_as_texts(names),
        )
    with reader:
        while True:
            with translated("a table of separated values"):
                batch = next(reader, None)
            if batch is None:
                return
            if len(batch):
                yield batch


def text_table(data: bytes, delimiter: str) -> pa.Table:
    """The rows of a table that is in memory. Raises Unreadable."""
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with translated("a table of separated values"):
        names = pyarrow.csv.open_csv(pa.BufferReader(data), parse_options=parse).schema.names
        if len(names) > MOST_COLUMNS:
            raise Unreadable(f"more than {MOST_COLUMNS:,} columns")
        return pyarrow.csv.read_csv(
            pa.BufferReader(data), parse_options=parse, convert_options=_as_texts(names)
        )


def _as_texts(names: Sequence[str]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        strings_can_be_null=False,
        quoted_strings_can_be_null=False,
    )
