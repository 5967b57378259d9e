"""Samples of tars written as Parquet tables with the images inside, as ``datasets`` reads them without a script.

A column ``image`` is a struct of ``bytes`` and ``path``; the features of all columns stand in the table's metadata
where each has a type that ``datasets`` knows. A few rows are held at a time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.pool.storage.embedded_images import IMAGE_ROWS, without_views
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired
from newtest.pool.storage.table_copy import as_schema, joint_schema, named_alike
from newtest.pool.storage.tars import Sample

__all__ = ["copied_with_images"]

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_PLAIN = {"double": "float64", "float": "float32", "halffloat": "float16"}
_WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_KNOWN = (*_WHOLE, "string", "large_string", "bool", "binary", "float16", "float32", "float64")


def copied_with_images(
    pool: Pool,
    pieces: Sequence[tuple[Shard, npt.NDArray[np.int64]]],
    path: Path,
    metadata: Mapping[bytes, str],
) -> int:
    """Write these rows (each as often as it stands there) of shards with tars to one table, in the tars' order; says
    how many: rows whose files a tar lacks are left out. Raises PoolError.
    """
    shards = [shard for shard, _ in pieces]
    names = named_alike([pool.schema(shard).names for shard in shards])
    rows_schema = joint_schema(pool, shards, names)
    if "image" in rows_schema.names:
        rows_schema = rows_schema.remove(rows_schema.get_field_index("image"))
    schema = rows_schema.append(pa.field("image", _IMAGE)).with_metadata(metadata)
    if (features := _features(schema)) is not None:
        described = json.dumps({"info": {"features": features}})
        schema = schema.with_metadata({**(schema.metadata or {}), b"huggingface": described})
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for (shard, rows), new in zip(pieces, names, strict=True):
            table = _rows(pool, shard, new)
            samples = _copies(pool, shard, Counter(rows.tolist()))
            while batch := list(islice(samples, IMAGE_ROWS)):
                part = table.take(pa.array([row for row, _ in batch], pa.int64()))
                images = pa.array([_image(sample) for _, sample in batch], _IMAGE)
                part = as_schema(rows_schema, part).append_column("image", images)
                writer.write_table(part.cast(schema))
                written += len(batch)
    return written


def _copies(pool: Pool, shard: Shard, copies: Counter[int]) -> Iterator[tuple[int, Sample]]:
    for row, sample in paired(pool, shard, copies):
        for _ in range(copies[row]):
            yield row, sample


def _rows(pool: Pool, shard: Shard, names: Sequence[str]) -> pa.Table:
    with pool.parquet(shard) as file:
        table = without_views(file.read()).rename_columns(list(names))
    if "uid" not in table.column_names:
        table = table.append_column("uid", pa.concat_tables(list(pool.batches(shard, ["uid"])))["uid"])
    return table.drop_columns(["image"]) if "image" in table.column_names else table


def _image(sample: Sample) -> dict[str, Any] | None:
    data = sample.image
    if data is None:
        return None
    suffix = next(suffix for suffix, content in sample.members.items() if content is data)
    return {"bytes": data, "path": f"{sample.key.rpartition('/')[2]}.{suffix}"}


def _features(schema: pa.Schema) -> dict[str, Any] | None:
    """The columns as ``datasets.Features`` writes them; None where one has a type that it does not name."""
    try:
        return {
            field.name: {"_type": "Image"} if field.type == _IMAGE else _feature(field.type)
            for field in schema
        }
    except KeyError:
        return None


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    name = _PLAIN.get(str(kind), str(kind))
    if name not in _KNOWN:
        raise KeyError(name)
    return {"dtype": name, "_type": "Value"}
