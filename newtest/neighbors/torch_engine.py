"""Tiles by torch: 8-bit integers or bfloat16 on CPUs that have them, float16 on CUDA, else float32.

The only file here that imports torch. The CUDA path is the same code with another device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import MissingExtra, UsageError
from newtest.neighbors.engines import Tile
from newtest.neighbors.rows import Array, Rows

__all__ = ["TorchEngine"]

Ints = npt.NDArray[np.int64]
LOOSEST = 0.04
"""8-bit integers are taken while their margin stays below this share of a similarity: else too much is rescored."""
LARGEST = 32768
"""Rows and columns of a tile on a GPU with room for it: 3 ms of work there, beside which starting it and asking for its
hits take little, and fewer than the 2^31 products that torch can look through at once."""
SEARCHED = 1 << 26
"""Products looked through at a time where a tile has hits: bounds what their places take."""


@dataclass(frozen=True)
class TorchEngine:
    """One device and one precision."""

    torch: Any
    device: str
    dtype: Any
    roundoff: float
    tile: tuple[int, int]
    resident: int
    buffers: dict[tuple[int, int], Any] = field(default_factory=dict)

    @classmethod
    def on(cls, device: str, a: Rows, b: Rows, *, fine: bool) -> TorchEngine:
        """``auto`` takes CUDA where there is one. Raises MissingExtra without torch, UsageError without that device."""
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("torch", "clip") from error
        cuda = torch.cuda.is_available()
        if device == "auto":
            device = "cuda" if cuda else "cpu"
        summing = (a.width + 8) * 2.0**-24
        if device.startswith("cuda"):
            if not cuda:
                raise UsageError("there is no CUDA device that torch can use: take device cpu or auto")
            free, side = torch.cuda.mem_get_info(torch.device(device))[0], LARGEST
            while side > 2048 and 8 * side * side > free:
                side //= 2
            resident = max(free - 8 * side * side, 0) // 2
            return cls(torch, device, torch.float16, 2.0**-11 + summing, (side, side), resident)
        if not fine and torch.cpu._is_vnni_supported() and _margin(a) + _margin(b) <= LOOSEST:
            return cls(torch, device, torch.int8, summing, (4096, 4096), 2**29)
        if not fine and torch.cpu._is_avx512_bf16_supported():
            return cls(torch, device, torch.bfloat16, 2.0**-8 + summing, (4096, 4096), 2**29)
        return cls(torch, device, torch.float32, summing, (2048, 4096), 0)

    def load(self, block: Array, rows: Rows) -> Tile:
        """Integers share one scale, so products need none; floats are scaled by a power of two to stay in range."""
        given = self._given(block)
        if self.dtype == self.torch.int8:
            scale = max(rows.largest, 1e-30) / 127
            values = (given / scale).round().to(self.dtype)
        else:
            scale = 2.0 ** math.ceil(math.log2(max(rows.longest, 1e-30)))
            values = (given / scale).to(self.dtype)
        lost = (given - values.float() * scale).norm(dim=1).amax() if len(given) else 0.0
        return Tile(values, scale, float(lost) * (1 + 2.0**-10))

    def above(
        self, left: Tile, right: Tile, limits: npt.NDArray[np.float64], most: int | None = None
    ) -> tuple[Ints, Ints] | None:
        products = self._multiply(left, right)
        floor = self._floor(limits / (left.scale * right.scale))
        hit = (products.amax(dim=1) >= floor).nonzero().squeeze(1)
        found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))]
        step = max(SEARCHED // products.shape[1], 1)
        for start in range(0, len(hit), step):
            rows = hit[start : start + step]
            every = len(hit) == len(products)  # as on the diagonal, where each row meets itself
            block = products[start : start + step] if every else products[rows]
            near = block >= floor[rows, None]
            if most is not None:
                most -= int(near.sum())
                if most < 0:
                    return None
            i, j = near.nonzero(as_tuple=True)
            found.append((rows[i].cpu().numpy(), j.cpu().numpy()))
        left_rows, right_rows = (np.concatenate(side) for side in zip(*found, strict=True))
        return left_rows, right_rows

    def kth(self, left: Tile, right: Tile, k: int) -> npt.NDArray[np.float64]:
        values = self.torch.topk(self._multiply(left, right), k, dim=1, sorted=True).values[:, -1]
        return np.asarray(values.double().cpu().numpy() * (left.scale * right.scale))

    def _multiply(self, left: Tile, right: Tile) -> Any:
        """The products, in a buffer that the next call overwrites: fresh pages per tile would cost as much again."""
        integers = self.dtype == self.torch.int8  # whose products are exact: 32-bit sums of 8-bit products
        multiply = self.torch._int_mm if integers else self.torch.mm
        shape = (len(left), len(right))
        if shape not in self.buffers:
            kind = self.torch.int32 if integers else self.dtype
            self.buffers.clear()
            self.buffers[shape] = self.torch.empty(shape, dtype=kind, device=self.device)
        with self._exact_sums():
            return multiply(left.values, right.values.T, out=self.buffers[shape])

    def _given(self, block: Array) -> Any:
        """A block as float32 on the device; by way of pinned memory, which a GPU reads several times as fast."""
        cuda = self.device.startswith("cuda")
        staging = self.torch.empty(block.shape, dtype=self.torch.float32, pin_memory=cuda)
        np.copyto(staging.numpy(), block)
        return staging.to(self.device, non_blocking=True)

    @contextmanager
    def _exact_sums(self) -> Iterator[None]:
        """cuBLAS may by default round partial sums to 16 bits, which ``roundoff`` does not cover; not in here."""
        settings = self.torch.backends.cuda.matmul
        names = ("allow_fp16_reduced_precision_reduction", "allow_fp16_accumulation")
        before = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
        for name in before:
            setattr(settings, name, False)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(settings, name, value)

    def _floor(self, limits: npt.NDArray[np.float64]) -> Any:
        """Limits in the products' own type, rounded so that nothing at or above them is lost."""
        if self.dtype == self.torch.int8:
            whole = np.clip(np.ceil(limits), -(2.0**31) + 1, 2.0**31 - 1).astype(np.int32)
            return self.torch.from_numpy(whole).to(self.device)
        step = self.torch.finfo(self.dtype).eps
        return self.torch.from_numpy(limits - np.abs(limits) * step).to(self.device).to(self.dtype)


def _margin(rows: Rows) -> float:
    """What rounding to 255 steps does to a similarity, as a share: entries are off by a uniform error of one step."""
    return rows.largest / 127 / math.sqrt(12) * math.sqrt(rows.width) / rows.longest if rows.longest else 0.0
