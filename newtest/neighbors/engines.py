"""What multiplies the tiles: a protocol, with NumPy and torch in files of their own. An engine only proposes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from newtest.neighbors.rows import Array, Rows

__all__ = ["Engine", "Tile"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tile:
    """Some rows as an engine multiplies them. A row is about ``scale * values``, off by a vector of length at most
    ``error``, which is measured, not assumed."""

    values: Any
    scale: float
    error: float

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> Tile:
        """Some of the rows; the error of all holds for them."""
        return replace(self, values=self.values[start:stop])


class Engine(Protocol):
    """Inner products of tiles in some precision."""

    @property
    def roundoff(self) -> float:
        """Bounds the error of computing with the tiles' values, as a share of the product of two rows' lengths."""

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns that suit the device."""

    @property
    def resident(self) -> int:
        """Bytes of tiles that may stay loaded, so that rows are converted (and copied to the device) once."""

    def load(self, block: Array, rows: Rows) -> Tile:
        """A block of ``rows``, on the engine's device."""

    def above(
        self, left: Tile, right: Tile, limits: npt.NDArray[np.float64], most: int | None = None
    ) -> tuple[Ints, Ints] | None:
        """(i, j) of every computed similarity that is at least ``limits[i]``; None where more than ``most`` are."""

    def kth(self, left: Tile, right: Tile, k: int) -> npt.NDArray[np.float64]:
        """The k-th largest computed similarity of each left row (k at most the number of right rows)."""
