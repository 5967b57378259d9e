"""The join of a pool with a test set, as items: a range of the pool's rows against a part of the set.

Each item gives a spanning set of its pairs, in which every row and every image of the set occurs that has any pair: so
what is removed, and what was found, is exact, and a placeholder that a thousand rows share with ten images makes 1,009
pairs and not 10,000.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.neighbors import Forest
from newtest.pool.dedup.joins import Found, JoinRows, block_rows
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import Range, VectorRows, ranges
from newtest.reading.arrays import array_rows

__all__ = ["join_against", "require_width"]

RULE = 1
PART = 1 << 17
"""Images of a set that are joined at a time."""
_THERE = b"newtest.there"


@dataclass(frozen=True)
class _Part:
    wanted: Range
    of_set: Range
    name: str


@dataclass(frozen=True)
class _Work:
    """``others``: the set itself, or the name of the file of the layers that holds it."""

    pool: Pool
    rows: JoinRows
    others: npt.NDArray[Any] | str

    def __call__(self) -> Callable[[_Part], pa.Table]:
        return self.table

    def table(self, item: _Part) -> pa.Table:
        rows, there = self.rows.block(item.wanted)
        i, j, closeness = self.rows.join(rows[there], self._set(item.of_set))
        table = pa.table(
            {
                "left": np.flatnonzero(there)[i].astype(np.uint32), "right": j.astype(np.uint32),
                "closeness": closeness.astype(np.float32),
            }
        )  # fmt: skip
        return table.replace_schema_metadata({_THERE: str(np.count_nonzero(there))})

    def _set(self, wanted: Range) -> npt.NDArray[Any]:
        if not isinstance(self.others, str):
            return self.others[slice(*wanted)]
        with self.pool.layers.open(self.others) as handle:
            size = handle.seek(0, 2)
            handle.seek(0)
            return array_rows(handle, size, *wanted)


def join_against(
    keeping: Keeping, rows: JoinRows, others: npt.NDArray[Any], block: int | None = None
) -> tuple[Found, int]:
    """A spanning set of the pairs (row of the pool, image of the set, closeness), sorted, and how many rows of the pool
    were compared. ``others`` are the set's rows, as ``rows`` has them. Raises PoolError.
    """
    said = hashlib.sha256(np.ascontiguousarray(others).tobytes()).hexdigest()[:32]
    folder = f"references-{fingerprint('references', RULE, dict(rows.setting))[:16]}"
    parts = [(start, min(start + PART, len(others))) for start in range(0, len(others), PART)]
    items = [
        _Part(wanted, part, fingerprint(rows.fingerprint(wanted), said, part)[:32])
        for wanted in ranges(rows.starts, block_rows(rows.starts[-1], block))
        for part in parts
    ]
    given: npt.NDArray[Any] | str = others
    if len(items) > 1:
        given = f"{folder}/set-{said}.npy"
        if not keeping.pool.layers.exists(given):
            with keeping.pool.layers.writing(given) as path, open(path, "wb") as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(others))
    forest, there = Forest(rows.starts[-1]), 0
    for item, table in keeping.results(
        folder, _Work(keeping.pool, rows, given), items, "joining with the set"
    ):
        there += int(table.schema.metadata[_THERE]) if item.of_set[0] == 0 else 0
        forest.add(
            table["left"].to_numpy().astype(np.int64) + item.wanted[0],
            table["right"].to_numpy().astype(np.int64) + item.of_set[0],
            table["closeness"].to_numpy(),
        )
    return forest.found(), there


def require_width(rows: VectorRows, address: str, others: npt.NDArray[Any] | Sequence[Any]) -> None:
    """Raises PoolError where a set's vectors have another number of numbers than the pool's."""
    if not rows.starts[-1] or not len(others):
        return
    width, own = np.shape(others)[1], rows.block((0, 1))[0].shape[1]
    if width != own:
        raise PoolError(f"{address}: vectors of {width} numbers cannot be compared with the pool's {own}")
