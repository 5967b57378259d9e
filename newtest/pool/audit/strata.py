"""The strata of rows: values of a column of texts, ranges of one of numbers, or the rule that dropped a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.errors import PoolError
from newtest.pool.storage.columns import Columns, numbers, read_batches
from newtest.pool.storage.pool import Pool, Shard

__all__ = ["MOST_STRATA", "NO_VALUE", "Labels", "edges_of", "is_numeric", "range_names"]

MOST_STRATA = 50
NO_VALUE = "no value"
ALL = "all"

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """Tells the stratum of each row of a shard, as numbers and their names."""

    column: str = ""
    layers: Columns = field(default_factory=dict)
    edges: tuple[float, ...] | None = None
    """None for a column of texts."""

    @property
    def order(self) -> list[str]:
        """The names of ranges, as they are told; none for texts, which are told by the alphabet."""
        return [] if self.edges is None else [*range_names(self.edges), NO_VALUE]

    def of(self, pool: Pool, shard: Shard) -> tuple[npt.NDArray[np.int64], list[str]]:
        """The number of each row's stratum, (n,), and the names by number. Raises PoolError."""
        if not self.column:
            return np.zeros(pool.rows(shard), np.int64), [ALL]
        if self.edges is not None:
            values = column_numbers(pool, shard, self.column, self.layers)
            found = np.searchsorted(np.array(self.edges), values, "right").astype(np.int64)
            found[np.isnan(values)] = len(self.edges) + 1
            return found, self.order
        parts, names = [np.empty(0, np.int64)], {NO_VALUE: 0}
        for column in _columns(pool, shard, self.column, dict(self.layers)):
            coded = _texts(column, self.column).dictionary_encode()
            numbered = [
                names.setdefault(name, len(names)) for name in map(_name, coded.dictionary.to_pylist())
            ]
            if len(names) > MOST_STRATA + 1:
                raise PoolError(
                    f"the column {self.column!r} has more than {MOST_STRATA} different values, too many for strata; "
                    "choose another one, or one of numbers"
                )
            codes = np.array(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False), np.int64)
            parts.append(np.array([*numbered, 0], np.int64)[codes])  # -1, null, reads the last
        return np.concatenate(parts), list(names)


def is_numeric(pool: Pool, column: str, layers: Columns) -> bool:
    """Whether the first shard holds numbers in this column. Raises PoolError."""
    if column in layers:
        return True
    for batch in pool.batches(pool.shards[0], [column], 1):
        kind = batch[column].type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    return False


def column_numbers(pool: Pool, shard: Shard, column: str, layers: Columns) -> Numbers:
    """A column of numbers, (n,), NaN where there is none. Raises PoolError."""
    parts = [np.empty(0)]
    for each in _columns(pool, shard, column, layers):
        kind = each.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise PoolError(f"shard {shard.name}: the column {column!r} holds {kind}, not numbers")
        parts.append(np.asarray(numbers(each), np.float64))
    return np.concatenate(parts)


def edges_of(values: Numbers, bins: int) -> tuple[float, ...]:
    """The cuts of so many ranges with about equally many of these values, of four digits, each once."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ()
    cuts = np.quantile(values, np.arange(1, bins) / bins)
    return tuple(sorted({float(f"{cut:.4g}") for cut in cuts.tolist()}))


def range_names(edges: Sequence[float]) -> list[str]:
    """``below 0.2``, ``0.2 to below 0.3``, ``0.3 and above``."""
    if not edges:
        return ["a value"]
    said = [f"{edge:.6g}" for edge in edges]
    between = [f"{low} to below {high}" for low, high in pairwise(said)]
    return [f"below {said[0]}", *between, f"{said[-1]} and above"]


def _columns(pool: Pool, shard: Shard, column: str, layers: Columns) -> Iterator[pa.Array]:
    for batch in read_batches(pool, shard, [column], layers):
        found = batch[column].combine_chunks()
        if isinstance(found, pa.ChunkedArray):
            found = pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], found.type)
        yield pc.cast(found, found.type.value_type) if pa.types.is_dictionary(found.type) else found


def _texts(column: pa.Array, name: str) -> pa.Array:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return pc.cast(column, pa.string())
    if str(kind) not in ("string", "large_string", "string_view"):
        raise PoolError(
            f"the column {name!r} holds {kind}: strata are made of texts, numbers, or true and false"
        )
    return pc.cast(pc.cast(column, pa.large_string()), pa.large_binary())


def _name(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return " ".join(text.split())[:100] or "(empty)"
