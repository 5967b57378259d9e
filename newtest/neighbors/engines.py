"""What multiplies the tiles: NumPy here, torch in its own file. An engine only proposes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.neighbors.rows import Array, Rows

__all__ = ["Engine", "NumpyEngine", "Tile", "choose"]

Ints = npt.NDArray[np.int64]
SMALL = 2e10
"""Multiplications below which importing torch would take longer than the search."""


@dataclass(frozen=True)
class Tile:
    """Some rows as an engine multiplies them. A row is about ``scale * values``, off by a vector of length at most
    ``error``, which is measured, not assumed."""

    values: Any
    scale: float
    error: float

    def __len__(self) -> int:
        return len(self.values)


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

    def above(self, left: Tile, right: Tile, limits: npt.NDArray[np.float64]) -> tuple[Ints, Ints]:
        """(i, j) of every computed similarity that is at least ``limits[i]``."""

    def kth(self, left: Tile, right: Tile, k: int) -> npt.NDArray[np.float64]:
        """The k-th largest computed similarity of each left row (k at most the number of right rows)."""


class NumpyEngine:
    """float32 by BLAS, on the CPU."""

    tile = (2048, 4096)
    resident = 0

    def __init__(self, width: int) -> None:
        self.roundoff = (width + 8) * 2.0**-24

    def load(self, block: Array, rows: Rows) -> Tile:
        return Tile(block, 1.0, 0.0)

    def above(self, left: Tile, right: Tile, limits: npt.NDArray[np.float64]) -> tuple[Ints, Ints]:
        products = left.values @ right.values.T
        hit = np.flatnonzero(
            products.max(axis=1) >= limits
        )  # most rows have no hit: look at the others alone
        i, j = np.nonzero(products[hit] >= limits[hit, None])
        return hit[i], j

    def kth(self, left: Tile, right: Tile, k: int) -> npt.NDArray[np.float64]:
        products = left.values @ right.values.T
        place = products.shape[1] - k
        return np.asarray(np.partition(products, place, axis=1)[:, place], dtype=np.float64)


def choose(backend: str, device: str, a: Rows, b: Rows, *, fine: bool) -> Engine:
    """The engine for a backend (``auto``, ``numpy``, ``torch``) and a device (``auto``, ``cpu``, ``cuda``).

    ``fine`` asks for at least half precision with a small margin: the k nearest of many are often close together.
    The choice changes the time, never the result.
    """
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, got {device!r}")
    if backend not in ("auto", "numpy", "torch"):
        raise UsageError(f"backend must be auto, numpy, torch or faiss, got {backend!r}")
    cuda = device.startswith("cuda")
    if cuda and backend == "numpy":
        raise UsageError("NumPy has no CUDA: leave backend out, or take torch")
    small = float(len(a)) * len(b) * a.width < SMALL
    if backend == "numpy" or (backend == "auto" and not cuda and (small or find_spec("torch") is None)):
        return NumpyEngine(a.width)
    from newtest.neighbors.torch_engine import TorchEngine

    return TorchEngine.on(device, a, b, fine=fine)
