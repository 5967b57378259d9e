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

__all__ = ["Groups", "Pairs", "grouped", "write_pairs"]


@dataclass(frozen=True)
class Pairs:
    """Rows ``left`` < ``right`` of the pool and their ``closeness``: a similarity, or for hashes a distance. Sorted."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    closeness: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Groups:
    """Connected components: the ``rows`` (m,) that are in a pair, ascending, and the number of each one's group.

    Groups are numbered from 0 in the order of their first rows; ``sizes`` (groups,) counts their rows.
    """

    rows: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)


def grouped(pairs: Pairs) -> Groups:
    """The groups of pairs; memory is in proportion to the pairs."""
    rows, places = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    left, right = places[: len(pairs.left)], places[len(pairs.left) :]
    edges = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(rows), len(rows)))
    if not len(rows):
        return Groups(rows, np.empty(0, np.int64), np.empty(0, np.int64))
    found = connected_components(edges, directed=False)[1]
    _, first, numbers = np.unique(found, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    numbers = order[numbers]
    return Groups(rows, numbers, np.bincount(numbers))


def write_pairs(pairs: pa.Table, path: Path) -> None:
    """A table of pairs as Parquet; it appears whole."""
    with made_path(path) as temporary:
        pq.write_table(pairs, temporary)
