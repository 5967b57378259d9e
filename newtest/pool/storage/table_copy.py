"""Rows of several tables written as one new table: what ``reshard-pool`` does where a pool has no tars.

A few rows are held at a time (a row group of the input, where there are images in it), so that photos inside tables
take no more memory than those in tars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.storage.embedded_images import (
    IMAGE_ROWS,
    read_rows,
    with_files,
    written_type,
)
from newtest.pool.storage.image_types import image_columns
from newtest.pool.storage.pool import BATCH_ROWS, Pool, Shard

__all__ = ["as_schema", "copied_rows", "joint_schema", "named_alike", "types_differ"]

Rows = npt.NDArray[np.int64]


def copied_rows(
    pool: Pool, pieces: Sequence[tuple[Shard, Rows]], path: Path, metadata: Mapping[bytes, str]
) -> int:
    """Write these rows (ascending, each as often as it stands there) of these shards to a Parquet file; says how many.

    Columns are those of the tables, in their order, with a uid where that had to be derived; a column that some tables
    lack is null in their rows. Raises PoolError, also for columns whose types do not go together.
    """
    shards = [shard for shard, _ in pieces]
    names = named_alike([pool.schema(shard).names for shard in shards])
    schema = joint_schema(pool, shards, names)
    schema = schema.with_metadata({**(schema.metadata or {}), **metadata})
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for (shard, rows), new in zip(pieces, names, strict=True):
            for table in _tables(pool, shard, rows):
                table = table.rename_columns([*new, *table.column_names[len(new) :]])
                writer.write_table(as_schema(schema, table))
                written += len(table)
    return written


def named_alike(tables: Sequence[Sequence[str]]) -> list[list[str]]:
    """The column names of tables that are to stand in one: where they name one thing differently (``text`` and
    ``caption``), all get its first name, so that it is found for every row.
    """
    new = [list(names) for names in tables]
    for aliases in ALIASES.values():
        used = [next((alias for alias in aliases if alias in names), None) for names in new]
        if len(set(used) - {None}) > 1:
            for names, alias in zip(new, used, strict=True):
                if alias is not None:
                    names[names.index(alias)] = aliases[0]
    return new


def types_differ(shards: Sequence[Shard], error: Exception) -> PoolError:
    """The error about tables that cannot stand in one."""
    names = ", ".join(shard.name for shard in shards)
    return PoolError(
        f"the tables of the shards {names} have one column in types that do not go together ({error}); write them "
        "again with one type"
    )


def joint_schema(pool: Pool, shards: Sequence[Shard], names: Sequence[Sequence[str]]) -> pa.Schema:
    """One schema for the tables of these shards, with a uid. Raises PoolError for types that do not go together."""
    schemas = [_renamed(pool.schema(shard), new) for shard, new in zip(shards, names, strict=True)]
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise types_differ(shards, error) from error
    return schema if "uid" in schema.names else schema.append(pa.field("uid", pa.string()))


def _renamed(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    fields = [
        field.with_name(name).with_type(written_type(field))
        for field, name in zip(schema, names, strict=True)
    ]
    return pa.schema(fields, schema.metadata)


def _tables(pool: Pool, shard: Shard, rows: Rows) -> Iterator[pa.Table]:
    """All columns of the rows, and their uid where the table has none."""
    with pool.parquet(shard) as file:
        schema = file.schema_arrow
        most = IMAGE_ROWS if image_columns(schema) else BATCH_ROWS
        uids = None
        if "uid" not in schema.names:
            uids = pa.concat_tables(list(pool.batches(shard, ["uid"])))["uid"]
        for numbers, table in read_rows(file, rows, most=most):
            table = with_files(table, pool.files(shard))
            if uids is not None:
                table = table.append_column("uid", uids.take(pa.array(numbers.tolist(), pa.int64())))
            yield table


def as_schema(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The table with the columns of the schema, in its order and types."""
    whole = pa.concat_tables([schema.empty_table(), table], promote_options="permissive")
    return whole.select(schema.names).cast(schema)
