"""Columns of a shard's rows: of its table and of layers side by side, and as numpy arrays.

Arrow's own ``to_numpy``, ``pa.array`` and ``pa.scalar`` import pandas, which takes longer than reading a million
scores, and every worker does it anew; here buffers are looked at, and arrays made of them, directly.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool, Shard

__all__ = [
    "PLACE", "Columns", "Places", "Scores", "arrow", "arrow_strings", "coded", "flags", "numbers", "places",
    "read_batches",
]  # fmt: skip

Columns = dict[str, tuple[Layer, str]]
"""Columns that come from layers: the name that filters use -> (layer, its column). Others come from the shards."""

Places = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]

PLACE = "newtest.place"
"""The column that no file holds: a row's number in the pool, in the order of shards and rows. It tells copies apart."""

_SHARD_ROWS = 1 << 40


def read_batches(pool: Pool, shard: Shard, columns: Sequence[str], layers: Columns) -> Iterator[pa.Table]:
    """A shard's batches with columns of its own and of layers side by side, and ``PLACE`` where it is asked for."""
    own = [name for name in columns if name not in layers and name != PLACE]
    from_layers = {
        name: layers[name][0].table(pool, shard, [layers[name][1]])[layers[name][1]]
        for name in columns
        if name in layers
    }
    first = bisect_left(pool.shards, shard.table, key=lambda each: each.table) * _SHARD_ROWS
    start = 0
    for batch in pool.batches(shard, own or ["uid"]):
        for name, column in from_layers.items():
            batch = batch.append_column(name, column.slice(start, len(batch)))
        if PLACE in columns:
            batch = batch.append_column(PLACE, arrow(np.arange(first + start, first + start + len(batch))))
        start += len(batch)
        yield batch


def numbers(column: pa.ChunkedArray | pa.Array) -> Scores:
    """Shape (n,), float32 where the column is and float64 otherwise; null becomes NaN."""
    array = _one(column)
    if pa.types.is_decimal(array.type):
        array = pc.cast(
            array, pa.string()
        )  # by its digits: Arrow's own way to a float64 is off by a rounding
    kind = np.float32 if array.type == pa.float32() else np.float64
    if kind == np.float64:
        array = pc.cast(array, pa.float64(), safe=False)
    values: Scores = _values(array, kind)
    return np.where(flags(pc.is_valid(array)), values, kind(math.nan)) if array.null_count else values


def coded(column: pa.ChunkedArray | pa.Array) -> tuple[npt.NDArray[np.int16], list[str]]:
    """A column of few distinct strings: for each row the number of its string, -1 for null, and the strings."""
    array = _one(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes: npt.NDArray[np.int16] = _values(pc.cast(array.indices, pa.int16()), np.int16)
    if array.null_count:
        codes = np.where(flags(pc.is_valid(array)), codes, np.int16(-1))
    return codes, array.dictionary.to_pylist()


def places(table: pa.Table) -> Places:
    """The column ``PLACE``, shape (n,)."""
    values: Places = _values(_one(table[PLACE]), np.int64)
    return values


def flags(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    """A column of booleans without nulls, shape (n,)."""
    array = _one(column)
    if not len(array):
        return np.empty(0, np.bool_)
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(np.bool_)


def arrow(values: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array over numbers of shape (n,), null where they are not ``known``."""
    valid = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))]
    )


def arrow_strings(values: Sequence[str]) -> pa.Array:
    """An Arrow array of a few strings, at most 2 GiB in all."""
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _values(array: pa.Array, kind: Any) -> Any:
    if not len(array):
        return np.empty(0, kind)
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * np.dtype(kind).itemsize)


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array
