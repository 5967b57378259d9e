"""Opening a checkpoint by its suffix: safetensors, npz, PyTorch state dicts."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.weights.tensors import DTYPES, PIECE, TensorFile, TensorInfo
from newtest.errors import WeightsError
from newtest.files import open_bytes
from newtest.reading.arrays import npy_header
from newtest.reading.failures import translated
from newtest.reading.jsons import parse_json
from newtest.reading.zips import opened_zip

__all__ = ["open_tensors"]

MOST_HEADER = 100 << 20
"""Bytes of a safetensors header that we are willing to parse (the format's own limit)."""

# Damage, and what a zip may hold that Python cannot read: encryption, other methods of compression (RuntimeError).
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError)


def open_tensors(path: Path, state: str | None = None) -> TensorFile:
    """Open a checkpoint by its suffix: .safetensors, .npz, or .pt / .pth / .bin / .ckpt (PyTorch, tensors only).

    ``state`` is the one that is meant of several state dicts in a PyTorch file (``state_dict_ema``).

    Raises WeightsError: no such file, damaged, another format, or a pickle that holds more than tensors (it is
    never run).
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such checkpoint")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _Safetensors(path)
    if suffix == ".npz":
        return _Npz(path)
    if suffix in (".pt", ".pth", ".bin", ".ckpt"):
        from newtest.clip.weights.torch_files import TorchFile

        return TorchFile(path, state)
    raise WeightsError(
        f"{path}: not a checkpoint format we know; give .safetensors, .npz, .pt, .pth, .bin or .ckpt"
    )


class _Safetensors:
    """https://huggingface.co/docs/safetensors: 8 bytes of header length, a JSON header, then the data.

    We read it ourselves because the library's NumPy reader has no bfloat16 and maps the whole file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        size = path.stat().st_size
        with open_bytes(path) as handle:
            length = int.from_bytes(handle.read(8), "little")
            if size < 8 or length > min(size - 8, MOST_HEADER):
                raise WeightsError(
                    f"{path}: not a safetensors file, or cut short (its header would be {length} bytes)"
                )
            try:
                header = parse_json(handle.read(length))
                entries = {
                    name: _entry(name, value) for name, value in header.items() if name != "__metadata__"
                }
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise WeightsError(f"{path}: its safetensors header cannot be read ({error})") from error
        self.tensors: Mapping[str, TensorInfo] = {name: info for name, (info, _, _) in entries.items()}
        self._starts = {name: 8 + length + begin for name, (_, begin, _) in entries.items()}
        for name, (info, begin, end) in entries.items():
            if not 0 <= begin <= end <= size - 8 - length or end - begin != info.num_bytes:
                raise WeightsError(
                    f"{path}: tensor {name!r} does not lie where the header says; the file is damaged"
                )

    def pieces(self, name: str) -> Iterator[npt.NDArray[Any]]:
        info, dtype = self.tensors[name], DTYPES[self.tensors[name].dtype]
        with open_bytes(self.path) as handle:
            handle.seek(self._starts[name])
            for start in range(0, info.size, PIECE):
                count = min(PIECE, info.size - start)
                piece = np.fromfile(handle, dtype, count)
                if piece.size != count:
                    raise WeightsError(f"{self.path}: ends in the middle of tensor {name!r}")
                yield piece


def _entry(name: str, value: Any) -> tuple[TensorInfo, int, int]:
    name.encode()  # half a surrogate pair is a ValueError here, and no name that could be written
    dtype, shape, (begin, end) = value["dtype"], value["shape"], value["data_offsets"]
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype} is not one that can be merged")
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError("shapes and offsets must be natural numbers")
    return TensorInfo(dtype, tuple(shape)), begin, end


class _Npz:
    def __init__(self, path: Path) -> None:
        self.path = path
        names = {dtype.newbyteorder("="): name for name, dtype in DTYPES.items() if name != "BF16"}
        tensors = {}
        try:
            with opened_zip(path) as archive:
                for member in archive.namelist():
                    if not member.endswith(".npy"):
                        raise ValueError(f"{member} is not an array")
                    with translated(f"an array ({member})"), archive.open(member) as stream:
                        shape, fortran, dtype = npy_header(stream, archive.getinfo(member).file_size)
                        if dtype.byteorder == ">":
                            raise ValueError(f"an array of {dtype} is not one of plain little-endian numbers")
                        if fortran and len(shape) > 1:
                            raise ValueError(
                                f"{member} is stored column by column; save it with np.ascontiguousarray"
                            )
                        if dtype not in names:
                            raise ValueError(f"{member} has dtype {dtype}, which cannot be merged")
                        tensors[member.removesuffix(".npy")] = TensorInfo(names[dtype], shape)
        except _BROKEN_ZIP as error:
            raise WeightsError(f"{path}: cannot be read as npz ({error})") from error
        self.tensors: Mapping[str, TensorInfo] = tensors

    def pieces(self, name: str) -> Iterator[npt.NDArray[Any]]:
        info, dtype = self.tensors[name], DTYPES[self.tensors[name].dtype]
        with opened_zip(self.path) as archive, archive.open(f"{name}.npy") as stream:
            npy_header(stream, archive.getinfo(f"{name}.npy").file_size)
            for start in range(0, info.size, PIECE):
                wanted = min(PIECE, info.size - start) * dtype.itemsize
                try:
                    data = stream.read(wanted)
                except _BROKEN_ZIP as error:
                    raise WeightsError(f"{self.path}: tensor {name!r} is damaged ({error})") from error
                if len(data) != wanted:
                    raise WeightsError(f"{self.path}: ends in the middle of tensor {name!r}")
                yield np.frombuffer(data, dtype)
