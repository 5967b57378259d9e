"""Pairs of rows that are close, and the groups they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from newtest.outputs import made_path

__all__ = ["Pairs", "components", "write_pairs"]


@dataclass(frozen=True)
class Pairs:
    """Rows ``left`` < ``right`` of the pool and their ``closeness``: a similarity, or for hashes a distance."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    closeness: npt.NDArray[np.float32]


def components(rows: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """The number of each row's connected component, shape (rows,)."""
    edges = coo_array((np.ones(len(pairs.left), np.int8), (pairs.left, pairs.right)), shape=(rows, rows))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)


def write_pairs(pairs: pa.Table, path: Path) -> None:
    """A table of pairs as Parquet; it appears whole."""
    with made_path(path) as temporary:
        pq.write_table(pairs, temporary)
