"""Parquet files. Arrow reads them; here its errors become ours, and texts that are not Unicode are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from newtest.files import require_regular
from newtest.reading.failures import Unreadable, reason_of, translated

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["batches", "open_parquet", "read_parquet", "read_schema", "rows_between"]

_ROWS = 1 << 14
_MOST_FOOTER = 256 << 20
"""Bytes of names and of lists in a footer."""


@contextmanager
def open_parquet(source: Path | str | IO[bytes], *, buffered: int = 0) -> Iterator[pq.ParquetFile]:
    """A Parquet file, open; with ``buffered`` a column is read so many bytes at a time and not whole.

    What Arrow raises while it is read, and text that is not UTF-8, is Unreadable; a disk's errors are OSErrors.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(source, (str, Path)):
        require_regular(source)
    try:
        with translated("a Parquet file"):
            file = pq.ParquetFile(
                source,
                buffer_size=buffered,
                thrift_string_size_limit=_MOST_FOOTER,
                thrift_container_size_limit=_MOST_FOOTER,
            )
        with file:
            yield file
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise Unreadable(f"not a Parquet file that can be read: {reason_of(error)}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Unreadable(f"not a Parquet file that can be read: {reason_of(error)}") from error


def rows_between(
    file: pq.ParquetFile, start: int, stop: int, columns: Sequence[str], rows: int = 1 << 13
) -> Iterator[pa.RecordBatch]:
    """Rows ``start`` to ``stop`` of a file, at most this many at a time; row groups without them are not read."""
    groups: list[int] = []
    first = before = 0
    for number in range(file.num_row_groups):
        after = before + file.metadata.row_group(number).num_rows
        if before < stop and after > start:
            first = before if not groups else first
            groups.append(number)
        before = after
    for batch in file.iter_batches(rows, row_groups=groups, columns=list(columns), use_threads=False):
        last = first + len(batch)
        if first < stop and last > start:
            part = batch.slice(max(start - first, 0), min(stop, last) - max(start, first))
            part.validate(full=True)
            yield part
        first = last
        if first >= stop:
            return


def batches(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """A file's rows, at most this many at a time, by one thread; inside ``open_parquet`` faults are Unreadable."""
    chosen: Any = None if columns is None else list(columns)
    for batch in file.iter_batches(rows, columns=chosen, use_threads=False):
        batch.validate(full=True)  # texts that are not UTF-8, lists that reach beyond their values
        yield batch


def read_schema(path: Path | IO[bytes]) -> pa.Schema:
    """The columns of a file. Raises OSError and Unreadable."""
    with open_parquet(path) as file:
        return file.schema_arrow


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A file (or a folder of them, as Spark writes it) as pandas has it. Raises OSError and Unreadable."""
    import pandas as pd

    require_regular(path)
    if path.is_file():
        with open_parquet(path) as file:
            for _ in batches(file, _ROWS, columns):
                pass  # pandas shows texts that are not UTF-8 only when they are looked at
    with translated("a Parquet table that can be read"):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
