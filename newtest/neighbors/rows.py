"""Rows to search: an array, or a ``.npy`` file that is never read whole."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.reading.arrays import load_array

__all__ = ["Array", "Rows", "Source", "similarities"]

Array = npt.NDArray[np.float32]
Source = npt.NDArray[np.floating[Any]] | str | Path
PIECE = 1 << 22
"""Numbers read at a time where rows are only looked through: 16 MB of float32."""


@dataclass(frozen=True)
class Rows:
    """(n, d) floating-point rows, the longest row's length, and the largest entry's size."""

    values: npt.NDArray[np.floating[Any]]
    longest: float
    largest: float

    @classmethod
    def open(cls, source: Source) -> Rows:
        """Map a file or take an array; raises UsageError for what is not a finite (n, d) array of floats."""
        values = load_array(Path(source), mapped=True) if isinstance(source, (str, Path)) else source
        if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
            raise UsageError(
                f"rows to search must be a (n, d) array of floats, got {values.dtype} {values.shape}"
            )
        step = max(PIECE // max(values.shape[1], 1), 1)

        def extent(start: int) -> tuple[float, float]:
            """The longest row's squared length and the largest entry's size; what is not finite shows in the first."""
            piece = np.asarray(values[start : start + step], dtype=np.float32)
            squares = np.einsum("nd,nd->n", piece, piece)
            longest = squares.max(initial=0.0) if np.isfinite(squares).all() else np.inf
            return float(longest), float(max(piece.max(initial=0.0), -piece.min(initial=0.0)))

        starts = range(0, len(values), step)
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:  # the reading of a file, above all
            extents = [(0.0, 0.0), *pool.map(extent, starts)]
        for start, (square, _) in zip(starts, extents[1:], strict=True):
            if not np.isfinite(square):
                raise UsageError(
                    f"rows to search must be finite; there is a NaN or infinity in rows {start} and on"
                )
        longest, largest = math.sqrt(max(s for s, _ in extents)), max(size for _, size in extents)
        return cls(values, longest, largest)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        return int(self.values.shape[1])

    def block(self, start: int, stop: int) -> Array:
        """Rows start..stop as contiguous float32."""
        return np.ascontiguousarray(self.values[start:stop], dtype=np.float32)


def similarities(
    a: Rows, b: Rows, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Inner products of rows i of ``a`` with rows j of ``b``, summed in float64.

    Each is computed from its two rows alone and in one order, so it does not depend on how the search was tiled.
    """
    out = np.empty(len(i), dtype=np.float64)
    step = max(PIECE // max(a.width, 1), 1)
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        left, right = a.values[i[part]].astype(np.float64), b.values[j[part]].astype(np.float64)
        out[part] = np.multiply(left, right, out=left).sum(axis=1)
    return out
