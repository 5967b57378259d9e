"""NumPy multiplies the tiles: float32 on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from newtest.neighbors.engines import Tile
from newtest.neighbors.rows import Array, Rows

__all__ = ["NumpyEngine"]

Ints = npt.NDArray[np.int64]
NARROW = 128
"""Columns below which multiplying a part of them first is not gain."""


SAMPLE = 4096


CROWDED = 1e-3
"""Share of a tile's pairs above which multiplying it whole is cheaper than looking at them one by one."""


PATIENCE = 8
"""How many more tiles than not may turn out crowded before heads are given up."""


@dataclass(frozen=True)
class HeadTile(Tile):
    """``head`` (n, k + 1): k of a row's columns, and the length of what they leave out."""

    head: Array

    def part(self, start: int, stop: int) -> HeadTile:
        return replace(self, values=self.values[start:stop], head=self.head[start:stop])


class NumpyEngine:
    """float32 by BLAS, on the CPU.

    With ``columns`` those, a quarter of all, are multiplied first. By Cauchy and Schwarz the others add at most the
    product of what they leave of the two rows' lengths, so that most pairs can be ruled out without them. A tile where
    too many cannot is multiplied whole, and where that happens too often the attempt is given up.
    """

    tile = (4096, 4096)
    resident = 2**27

    def __init__(self, width: int, columns: Ints | None = None) -> None:
        self.roundoff = (width + 8) * 2.0**-24
        self.columns = columns
        self._crowded = 0
        self._products: Array = np.empty(0, np.float32)

    @classmethod
    def for_pairs(cls, a: Rows, b: Rows) -> NumpyEngine:
        """Takes the columns in which rows differ most, over all, from a look at some of them."""
        if a.width < NARROW:
            return cls(a.width)
        spread = sum(rows.block(0, SAMPLE).var(axis=0) for rows in (a, b))
        return cls(a.width, np.sort(np.argsort(spread)[1 - a.width // 4 :]))

    @property
    def gave_up(self) -> bool:
        """Whether too many tiles were crowded."""
        return self._crowded >= PATIENCE

    def load(self, block: Array, rows: Rows) -> Tile:
        if self.columns is None:
            return Tile(block, 1.0, 0.0)
        head = block[:, self.columns]
        squares = (np.einsum("nd,nd->n", part, part, dtype=np.float64) for part in (block, head))
        left_out = np.subtract(*squares)
        # Rounded up: what is ruled out by it must not be near.
        rest = np.sqrt(np.maximum(left_out, 0) + 2.0**-40 * rows.longest**2) * (1 + 2.0**-20)
        return HeadTile(block, 1.0, 0.0, np.column_stack([head, rest.astype(np.float32)]))

    def above(
        self, left: Tile, right: Tile, limits: npt.NDArray[np.float64], most: int | None = None
    ) -> tuple[Ints, Ints] | None:
        if isinstance(left, HeadTile) and isinstance(right, HeadTile) and not self.gave_up:
            few = len(left) + int(len(left) * len(right) * CROWDED)  # on the diagonal each row meets itself
            hits = _at_least(self._multiply(left.head, right.head), limits, few)
            if hits is not None:
                self._crowded = max(self._crowded - 1, 0)
                return hits
            self._crowded += 1
        return _at_least(self._multiply(left.values, right.values), limits, most)

    def kth(self, left: Tile, right: Tile, k: int) -> npt.NDArray[np.float64]:
        products = self._multiply(left.values, right.values)
        place = products.shape[1] - k
        return np.asarray(np.partition(products, place, axis=1)[:, place], dtype=np.float64)

    def _multiply(self, left: Array, right: Array) -> Array:
        """The products, where the next call overwrites them: fresh pages for each tile cost as much as a look at it."""
        shape = (len(left), len(right))
        if self._products.shape != shape:
            self._products = np.empty(shape, np.float32)
        return np.matmul(left, right.T, out=self._products)


def _at_least(
    products: Array, limits: npt.NDArray[np.float64], most: int | None = None
) -> tuple[Ints, Ints] | None:
    """(i, j) of what is at least ``limits[i]``; None where more than ``most`` are. Most rows have none: only the others
    are looked at one by one."""
    hit = np.flatnonzero(products.max(axis=1, initial=-np.inf) >= limits)
    near = (products if len(hit) == len(products) else products[hit]) >= limits[hit, None]
    if most is not None and np.count_nonzero(near) > most:
        return None
    i, j = np.nonzero(near)
    return hit[i], j
