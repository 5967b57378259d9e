"""Images that lie inside Parquet tables, and rows of tables by their numbers.

Images stand there as ``datasets`` writes them (a struct of ``bytes`` and ``path``, which newtest's releases have too),
or as plain bytes in a column of a usual name (``jpg`` in img2dataset's Parquet output). What is read at a time is a row
group; both libraries write small ones where there are images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = [
    "IMAGE_ROWS",
    "SEEN",
    "VIEWS",
    "image_column",
    "images_inside",
    "images_of",
    "read_rows",
    "without_views",
]

_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes")
SEEN = ("uid", "width", "height")
"""The columns that images can tell where a table has none of its own (``newtest.pool.storage.derived_columns``)."""
IMAGE_ROWS = 64
"""Rows at a time: photos of a megabyte each are a load for no machine then."""

VIEWS = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}

Rows = npt.NDArray[np.int64]


def image_column(schema: pa.Schema) -> str | None:
    """The column that holds images, by its type and name; None where there is none."""
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            if _is_binary(field.type.field("bytes").type):
                return str(field.name)
        elif field.name in _NAMES and _is_binary(field.type):
            return str(field.name)
    return None


def images_inside(
    file: pq.ParquetFile, column: str, rows: Collection[int] | None = None
) -> Iterator[tuple[int, str, bytes | None]]:
    """(row, name, bytes) in the rows' order, of all rows or of these: the name is the path that the image had, else the
    row's number; bytes are None for no image.
    """
    wanted = None if rows is None else np.array(sorted(rows), np.int64)
    for numbers, table in read_rows(file, wanted, columns=[column]):
        for number, (name, data) in zip(numbers.tolist(), images_of(table[column]), strict=True):
            yield number, name or str(number), data


def images_of(column: pa.ChunkedArray) -> Iterator[tuple[str | None, bytes | None]]:
    """(path, bytes) of each row of a column of images, None for what is not there."""
    values = column.combine_chunks()
    paths: Sequence[str | None] = [None] * len(values)
    if pa.types.is_struct(values.type):
        if values.type.get_field_index("path") >= 0:
            paths = pc.struct_field(values, "path").to_pylist()
        values = pc.struct_field(values, "bytes")
    for path, data in zip(paths, values, strict=True):
        yield path, data.as_py()


def read_rows(
    file: pq.ParquetFile,
    rows: Rows | None = None,
    *,
    columns: Sequence[str] | None = None,
    most: int = IMAGE_ROWS,
) -> Iterator[tuple[Rows, pa.Table]]:
    """(row numbers, their table) of a file, at most so many at a time; row groups without any of ``rows`` are not read.

    ``rows`` ascend, and a number that stands there k times comes k times; None is all rows. ``columns`` None is all.
    """
    end = 0
    for group in range(file.num_row_groups):
        start, end = end, end + file.metadata.row_group(group).num_rows
        if rows is not None and not len(_between(rows, start, end)):
            continue
        batches = file.iter_batches(most, row_groups=[group], columns=columns, use_threads=False)
        for batch in batches:
            stop = start + len(batch)
            numbers = np.arange(start, stop) if rows is None else _between(rows, start, stop)
            for first in range(0, len(numbers), most):
                part = numbers[first : first + most]
                yield (
                    part,
                    without_views(pa.Table.from_batches([batch])).take(
                        pa.array((part - start).tolist(), pa.int64())
                    ),
                )
            start = stop


def without_views(table: pa.Table) -> pa.Table:
    """The table with large strings and binaries for views of them, of which Arrow cannot take rows."""
    for place, field in enumerate(table.schema):
        if (kind := VIEWS.get(str(field.type))) is not None:
            table = table.set_column(place, field.name, pc.cast(table[field.name], kind))
    return table


def _between(rows: Rows, start: int, end: int) -> Rows:
    first, last = np.searchsorted(rows, [start, end])
    return rows[first:last]


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view")
