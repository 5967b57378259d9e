"""PyTorch checkpoints, tensors only: the one file of this room that needs torch."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.tensor_files import NotTensors, load_tensors
from newtest.clip.torch_runtime import torch
from newtest.clip.weights.states import State, chosen_state
from newtest.clip.weights.tensors import PIECE, TensorInfo
from newtest.errors import WeightsError
from newtest.reading.failures import Unreadable

__all__ = ["TorchFile"]

MAPPED = 128 << 20
"""Bytes that are read through one mapping of a file. What was read of a mapping stays in memory as long as it lives."""


class TorchFile:
    """A zip-format PyTorch checkpoint, memory-mapped, unpickled with ``weights_only``: code in it is never run.

    It is mapped anew after every ``MAPPED`` bytes, so that memory does not grow with the file.
    """

    def __init__(self, path: Path, state: str | None = None) -> None:
        self.path, self._wanted = path, state
        first = self._mapped()
        self.state, self.other_states = first.name, first.others
        self._tensors = first.tensors
        self._read = 0
        names = _dtype_names()
        for name, tensor in self._tensors.items():
            if tensor.dtype not in names:
                raise WeightsError(
                    f"{path}: tensor {name!r} has dtype {tensor.dtype}, which cannot be merged"
                )
            if tensor.layout != torch().strided or tensor.device.type != "cpu":
                raise WeightsError(
                    f"{path}: tensor {name!r} is {tensor.layout} on {tensor.device}; only dense tensors can be merged"
                )
        self.tensors: Mapping[str, TensorInfo] = {
            name: TensorInfo(names[tensor.dtype], tuple(tensor.shape))
            for name, tensor in self._tensors.items()
        }

    def pieces(self, name: str) -> Iterator[npt.NDArray[Any]]:
        info = self.tensors[name]
        flat = self._flat(name)
        for start in range(0, info.size, PIECE):
            if self._read >= MAPPED:
                self._read, flat = 0, None
                self._tensors = self._mapped().tensors
            flat = self._flat(name) if flat is None else flat
            piece: npt.NDArray[Any] = flat[start : start + PIECE].numpy()
            self._read += piece.nbytes
            yield piece.view(np.uint16) if info.dtype == "BF16" else piece

    def _flat(self, name: str) -> Any:
        flat = self._tensors[name].detach().contiguous().reshape(-1)
        return flat.view(torch().int16) if self.tensors[name].dtype == "BF16" else flat

    def _mapped(self) -> State:
        """The state dict over a new mapping of the file; nothing is read but names and shapes."""
        path = self.path
        if not _is_zip(path):
            raise WeightsError(
                f"{path}: not a PyTorch checkpoint of version 1.6 or later; load and torch.save it once more with a "
                "PyTorch that you trust it with, or convert it to safetensors"
            )
        try:
            loaded = load_tensors(path)
        except NotTensors as error:
            raise WeightsError(
                f"{path}: refused: it holds more than tensors, and code in a checkpoint is never run "
                f"({error}); convert it to safetensors where you trust it"
            ) from error
        except (Unreadable, OSError) as error:
            raise WeightsError(f"{path}: cannot be read as a PyTorch checkpoint ({error})") from error
        return chosen_state(loaded, torch().Tensor, self._wanted, str(path))


def _dtype_names() -> dict[Any, str]:
    lib = torch()
    return {
        lib.float64: "F64", lib.float32: "F32", lib.float16: "F16", lib.bfloat16: "BF16",
        lib.int64: "I64", lib.int32: "I32", lib.int16: "I16", lib.int8: "I8",
        lib.uint8: "U8", lib.bool: "BOOL",
    }  # fmt: skip


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # it says that it is one part of several
        return False
