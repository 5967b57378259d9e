"""Images that lie inside Parquet tables, and rows of tables by their numbers.

Images stand there as ``datasets`` writes them (a struct of ``bytes`` and ``path``, which newtest's releases have too),
or as plain bytes in a column of a usual name (``jpg`` in img2dataset's Parquet output), one per row or a list of them.
Where the bytes are null, or there are none at all, the path names a file of the pool. What is read at a time is a row
group; both libraries write small ones where there are images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.pool.storage.image_files import NOWHERE, ImageFiles
from newtest.pool.storage.image_types import (
    VIEWS,
    ImageColumn,
    is_binary,
    is_list,
    is_struct_of_images,
    with_bytes,
)  # fmt: skip

__all__ = [
    "IMAGE_ROWS",
    "SEEN",
    "Inside",
    "every_image",
    "images_inside",
    "images_of",
    "read_rows",
    "with_files",
    "without_views",
    "written_type",
]

SEEN = ("uid", "width", "height")
"""The columns that images can tell where a table has none of its own (``newtest.pool.storage.derived_columns``)."""
IMAGE_ROWS = 64
"""Rows at a time: photos of a megabyte each are a load for no machine then."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Inside:
    """What a row of a column of images has: the path that the image had, and its bytes, or why there are none."""

    path: str | None
    data: bytes | None
    reason: str | None = None


def images_inside(
    file: pq.ParquetFile,
    column: ImageColumn,
    rows: Collection[int] | None = None,
    files: ImageFiles | None = None,
) -> Iterator[tuple[int, Inside]]:
    """(row, image) in the rows' order, of all rows or of these. ``files`` are those that paths may name."""
    wanted = None if rows is None else np.array(sorted(rows), np.int64)
    for numbers, table in read_rows(file, wanted, columns=[column.name]):
        yield from zip(numbers.tolist(), images_of(table, column, files), strict=True)


def every_image(
    file: pq.ParquetFile, column: ImageColumn, files: ImageFiles | None = None
) -> Iterator[tuple[str, Inside]]:
    """(name, image) of all images of a table, those of lists too: for a set, of which each image counts."""
    for numbers, table in read_rows(file, columns=[column.name]):
        for row, value in zip(numbers.tolist(), _values(table, column), strict=True):
            images = value if isinstance(value, list) else [value]
            for place, image in enumerate(images or [None]):
                inside = _inside(image, files)
                yield inside.path or (f"{row}[{place}]" if len(images) > 1 else str(row)), inside


def images_of(table: pa.Table, column: ImageColumn, files: ImageFiles | None = None) -> Iterator[Inside]:
    """The image of each row. Where a row holds several, it is the one of the column's index, else none, with a reason.

    Raises PoolError for a type that holds none.
    """
    several = is_list(table[column.name].type)
    if column.index is not None and not several:
        raise PoolError(f"the column {column.name!r} holds one image per row; leave [{column.index}] out")
    for value in _values(table, column):
        yield _one(value or [], column, files) if several else _inside(value, files)


def written_type(field: pa.Field) -> pa.DataType:
    """The type that a column is written with: no views, and images that are paths alone get a place for bytes."""
    return with_bytes(field.name, field.type)


def with_files(table: pa.Table, files: ImageFiles) -> pa.Table:
    """The table with the bytes of images that it knows by their paths alone, so that it can be read elsewhere."""
    for place, field in enumerate(table.schema):
        inner = field.type.value_type if is_list(field.type) else field.type
        if not is_struct_of_images(field.name, inner):
            continue
        rows = table.column(place).to_pylist()
        for row in rows:
            for image in row if isinstance(row, list) else [row]:
                if image is not None and image.get("bytes") is None:
                    image["bytes"] = _inside(image, files).data
        table = table.set_column(place, field.name, pa.array(rows, written_type(field)))
    return table


def _values(table: pa.Table, column: ImageColumn) -> Iterator[Any]:
    """The cells of a column of images, one at a time: they may be large."""
    kind = table[column.name].type
    inner = kind.value_type if is_list(kind) else kind
    if not (pa.types.is_struct(inner) or is_binary(inner)):
        raise PoolError(
            f"the column {column.name!r} of {kind} holds no images: bytes, a struct of bytes and path, or a list of "
            "either do"
        )
    values = table[column.name].combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return (value.as_py() for value in values)


def _one(images: Sequence[Any], column: ImageColumn, files: ImageFiles | None) -> Inside:
    if column.index is not None:
        if column.index < len(images):
            return _inside(images[column.index], files)
        return Inside(None, None, f"no image at {column.name}[{column.index}]")
    if len(images) > 1:
        return Inside(
            None, None, f"several images in a row; `image_col` {column.name}[0] chooses the first of them"
        )
    return _inside(images[0] if images else None, files)


def _inside(row: Any, files: ImageFiles | None) -> Inside:
    if isinstance(row, bytes):
        return Inside(None, row)
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
    """(row numbers, their table) of a file, at most this many at a time; row groups without ``rows`` are not read.

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
