"""Images that lie inside Parquet tables, and rows of tables by their numbers.

Images stand there as ``datasets`` writes them (a struct of ``bytes`` and ``path``, which newtest's releases have too),
or as plain bytes in a column of a usual name (``jpg`` in img2dataset's Parquet output). Where the bytes are null, or
there are none at all, the path names a file of the pool. What is read at a time is a row group; both libraries write
small ones where there are images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.pool.storage.image_files import NOWHERE, ImageFiles

__all__ = [
    "IMAGE_ROWS",
    "SEEN",
    "VIEWS",
    "Inside",
    "image_columns",
    "images_inside",
    "images_of",
    "read_rows",
    "with_files",
    "without_views",
    "written_type",
]

_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes")
SEEN = ("uid", "width", "height")
"""The columns that images can tell where a table has none of its own (``newtest.pool.storage.derived_columns``)."""
IMAGE_ROWS = 64
"""Rows at a time: photos of a megabyte each are a load for no machine then."""

VIEWS = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inside:
    """What a row of a column of images has: the path that the image had, and its bytes, or why there are none."""

    path: str | None
    data: bytes | None
    reason: str | None = None


def image_columns(schema: pa.Schema) -> list[str]:
    """The columns that hold images, by their types and names."""
    return [str(field.name) for field in schema if _holds_images(field)]


def images_inside(
    file: pq.ParquetFile, column: str, rows: Collection[int] | None = None, files: ImageFiles | None = None
) -> Iterator[tuple[int, Inside]]:
    """(row, image) in the rows' order, of all rows or of these. ``files`` are those that paths may name."""
    wanted = None if rows is None else np.array(sorted(rows), np.int64)
    for numbers, table in read_rows(file, wanted, columns=[column]):
        yield from zip(numbers.tolist(), images_of(table[column], files), strict=True)


def images_of(column: pa.ChunkedArray, files: ImageFiles | None = None) -> Iterator[Inside]:
    """The image of each row of a column. Raises PoolError for a type that holds none."""
    values = column.combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_struct(values.type):
        for row in values:
            yield _inside(row.as_py(), files)
        return
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not _is_binary(values.type):
        raise PoolError(
            f"a column of {column.type} holds no images: bytes, or a struct of bytes and path, do"
        )
    for data in values:
        yield Inside(None, data.as_py(), None if data.is_valid else "no image")


def written_type(field: pa.Field) -> pa.DataType:
    """The type that a column is written with: no views, and images that are paths alone get a place for bytes."""
    kind = field.type
    if not (pa.types.is_struct(kind) and _holds_images(field)):
        return VIEWS.get(str(kind), kind)
    parts = {part.name: part.type for part in kind}
    return (
        pa.struct({**parts, "bytes": pa.binary()})
        if pa.types.is_null(parts.get("bytes", pa.null()))
        else kind
    )


def with_files(table: pa.Table, files: ImageFiles) -> pa.Table:
    """The table with the bytes of images that it knows by their paths alone, so that it can be read elsewhere."""
    for place, field in enumerate(table.schema):
        if not (pa.types.is_struct(field.type) and _holds_images(field)):
            continue
        rows = table.column(place).to_pylist()
        for row in rows:
            if row is not None and row.get("bytes") is None:
                row["bytes"] = _inside(row, files).data
        table = table.set_column(place, field.name, pa.array(rows, written_type(field)))
    return table


def _inside(row: dict[str, object] | None, files: ImageFiles | None) -> Inside:
    path, data = (row or {}).get("path"), (row or {}).get("bytes")
    said = path if isinstance(path, str) and path else None
    if isinstance(data, bytes):
        return Inside(said, data)
    if said is None:
        return Inside(None, None, "no image")
    return Inside(said, *(files.read(said) if files is not None else (None, NOWHERE)))


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


def _holds_images(field: pa.Field) -> bool:
    kind = field.type
    if not pa.types.is_struct(kind):
        return field.name in _NAMES and _is_binary(kind)
    parts = {part.name: part.type for part in kind}
    if "bytes" in parts:
        return _is_binary(parts["bytes"]) or (pa.types.is_null(parts["bytes"]) and "path" in parts)
    return field.name in _NAMES and set(parts) == {"path"}


def _is_binary(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or str(kind) == "binary_view")
