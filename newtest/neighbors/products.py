"""The largest products of rows with centroids, in float32, by NumPy or torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import numpy.typing as npt

from newtest.neighbors.threads import Room

__all__ = ["Best", "Centroids", "Multiplies", "multiplier", "slack"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Centroids = npt.NDArray[np.float32]
LARGE = 2e11
"""Multiplications from which importing torch pays, to see whether there is a GPU."""


@dataclass(frozen=True)
class Best:
    """``columns`` (n, most) of the largest products, best first; ``values`` (n, most + 1) with the next one last; and
    the product with the row's ``own`` column (n,), which is not among these; -inf where there is none.
    """

    columns: Ints
    values: Floats
    own: Floats


class Multiplies(Protocol):
    """Products of rows with centroids."""

    parallel: bool
    """Whether several threads gain something."""
    least: int
    """Rows at a time from which a product is quick."""
    most: int
    """Rows at a time, at most."""
    products: int
    """Products at a time that are still near when they are looked at."""

    def best(self, rows: Floats, most: int, first: int, own: Ints | None = None) -> Best:
        """Of the first so many centroids; ``own`` (n,) are columns to leave out, where they are among these."""
        ...


class _Numpy:
    parallel = True
    least = 1024
    most = 4096
    products = 1 << 19

    def __init__(self, centroids: Floats) -> None:
        self.turned = np.ascontiguousarray(centroids.T)
        self.room = Room()

    def best(self, rows: Floats, most: int, first: int, own: Ints | None = None) -> Best:
        products = np.matmul(rows, self.turned[:, :first], out=self.room.array(len(rows), first))
        each = np.arange(len(rows))
        kept = np.full(len(rows), -np.inf, np.float32)
        if own is not None:
            has = np.flatnonzero((own >= 0) & (own < first))
            kept[has] = products[has, own[has]]
            products[has, own[has]] = -np.inf
        columns = np.empty((len(rows), most), np.int64)
        values = np.full((len(rows), most + 1), -np.inf, np.float32)
        for place in range(min(most, first)):
            columns[:, place] = products.argmax(axis=1)
            values[:, place] = products[each, columns[:, place]]
            products[each, columns[:, place]] = -np.inf
        if first > most:
            values[:, most] = products.max(axis=1)
        return Best(columns, values, kept)


class _Torch:
    """float32 on the CPU or on CUDA, where torch's default keeps it from being rounded to fewer bits."""

    parallel = False
    least = 1024
    most = 4096
    products = 1 << 21

    def __init__(self, centroids: Floats, device: str) -> None:
        import torch

        self.torch, self.device = torch, device
        if device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.turned = torch.from_numpy(np.ascontiguousarray(centroids.T)).to(self.device)

    def best(self, rows: Floats, most: int, first: int, own: Ints | None = None) -> Best:
        torch, low = self.torch, -float("inf")
        products = torch.from_numpy(rows).to(self.device) @ self.turned[:, :first]
        kept = torch.full((len(rows),), low, device=self.device)
        if own is not None:
            has = np.flatnonzero((own >= 0) & (own < first))
            place, column = (torch.from_numpy(some).to(self.device) for some in (has, own[has]))
            kept[place] = products[place, column]
            products[place, column] = low
        columns, values = [], []
        for _ in range(most):
            value, column = products.max(dim=1)
            products.scatter_(1, column[:, None], low)
            columns.append(column)
            values.append(value)
        values.append(products.amax(dim=1))
        return Best(
            torch.stack(columns, dim=1).cpu().numpy(),
            torch.stack(values, dim=1).cpu().numpy(),
            kept.cpu().numpy(),
        )


def slack(centroids: Floats) -> float:
    """Twice what a float32 product of a row of length 1 with a centroid may be off."""
    longest = float(np.sqrt(np.einsum("kd,kd->k", centroids, centroids).max(initial=0.0)))
    return float(2.002 * (centroids.shape[1] + 8) * 2.0**-24 * longest)


def multiplier(centroids: Floats, rows: int, device: str, backend: str) -> Multiplies:
    """By NumPy, or by torch on a GPU where the work is large; ``backend``: auto, numpy, torch."""
    if backend == "auto":
        backend = "torch" if find_spec("torch") and _on_gpu(device, float(rows) * centroids.size) else "numpy"
    return _Numpy(centroids) if backend == "numpy" else _Torch(centroids, device)


def _on_gpu(device: str, multiplications: float) -> bool:
    if device != "auto" or multiplications < LARGE:
        return device.startswith("cuda")
    import torch

    return bool(torch.cuda.is_available())
