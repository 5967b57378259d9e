"""Query results as DataFrames, without a Python object for every cell at once."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa

__all__ = ["read_frame"]

CHUNK = 100_000
TYPES: Mapping[str, pa.DataType] = {"text": pa.string(), "integer": pa.int64(), "boolean": pa.bool_()}


def read_frame(
    catalog: sqlite3.Connection, sql: str, columns: Mapping[str, str], parameters: Sequence[object] = ()
) -> pd.DataFrame:
    """Run a query and read its rows in chunks into typed columns.

    ``columns`` maps each column's name, in the query's order, to "text", "integer" or "boolean".
    """
    schema = pa.schema([(name, TYPES[kind]) for name, kind in columns.items()])
    cursor = catalog.cursor()
    cursor.row_factory = None
    cursor.execute(sql, parameters)
    batches = []
    with _no_collection():
        while rows := cursor.fetchmany(CHUNK):
            values = zip(*rows, strict=True)
            arrays = [
                pa.array(map(bool, column) if field.type == pa.bool_() else column, type=field.type)
                for column, field in zip(values, schema, strict=True)
            ]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    frame: pd.DataFrame = pa.Table.from_batches(batches, schema=schema).to_pandas()
    return frame


@contextmanager
def _no_collection() -> Iterator[None]:
    """Rows hold no cycles: looking for garbage among a hundred thousand new tuples costs a third of the reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
