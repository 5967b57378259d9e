"""Which engine multiplies the tiles: it decides the time that a search takes, never its result."""

from __future__ import annotations

from importlib.util import find_spec

from newtest.errors import UsageError
from newtest.neighbors.engines import Engine
from newtest.neighbors.numpy_engine import NumpyEngine
from newtest.neighbors.rows import Rows

__all__ = ["choose"]

SMALL = 1e11
"""Multiplications below which importing torch would take longer than the search."""


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
        return NumpyEngine(a.width) if fine else NumpyEngine.for_pairs(a, b)
    from newtest.neighbors.torch_engine import TorchEngine

    return TorchEngine.on(device, a, b, fine=fine)
