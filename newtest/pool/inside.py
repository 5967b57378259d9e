"""Images that lie inside Parquet tables.

Either as ``datasets`` writes them (a struct of ``bytes`` and ``path``, which newtest's releases have too), or as plain
bytes in a column of a usual name (``jpg`` in img2dataset's Parquet output).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from newtest.pool.pool import Pool, Shard

__all__ = ["image_column", "images_inside"]

_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes")
_ROWS = 64
"""Rows at a time: photos of a megabyte each are a load for no machine then."""


def image_column(schema: pa.Schema) -> str | None:
    """The column that holds images, by its type and name; None where there is none."""
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            if _is_binary(field.type.field("bytes").type):
                return str(field.name)
        elif field.name in _NAMES and _is_binary(field.type):
            return str(field.name)
    return None


def images_inside(pool: Pool, shard: Shard, column: str) -> Iterator[tuple[str, bytes | None]]:
    """(name, bytes) of every row in order: the path that the image had, else the row's number; None for no image.

    Raises PoolError for a table that cannot be read.
    """
    row = 0
    for batch in pool.batches(shard, [column], _ROWS):
        values = batch[column].combine_chunks()
        names: list[str | None] = [None] * len(values)
        if pa.types.is_struct(values.type):
            if values.type.get_field_index("path") >= 0:
                names = pc.struct_field(values, "path").to_pylist()
            values = pc.struct_field(values, "bytes")
        for name, data in zip(names, values, strict=True):
            yield str(name or row), data.as_py()
            row += 1


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
