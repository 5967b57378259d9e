"""A checkpoint as named tensors that are read in pieces, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["DTYPES", "PIECE", "TensorFile", "TensorInfo"]

PIECE = 4 << 20
"""Elements of a tensor that are read at a time."""

DTYPES: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}  # fmt: skip
"""safetensors' names -> how the elements are held here (bfloat16 as its 16 bits)."""


@dataclass(frozen=True)
class TensorInfo:
    """``dtype`` is a name in ``DTYPES``."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.size * DTYPES[self.dtype].itemsize

    @property
    def is_float(self) -> bool:
        return self.dtype in ("F64", "F32", "F16", "BF16")


class TensorFile(Protocol):
    """A checkpoint on disk."""

    @property
    def path(self) -> Path: ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    def pieces(self, name: str) -> Iterator[npt.NDArray[Any]]:
        """The tensor's elements in row-major order: flat arrays of at most ``PIECE`` elements."""
        ...
