"""Writing a checkpoint piece by piece: safetensors or npz, whole or not at all, the same bytes every time."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.weights.tensors import DTYPES, TensorInfo
from newtest.errors import WeightsError
from newtest.outputs import made_path

__all__ = ["check_writable", "write_tensors"]

Pieces = Callable[[str], Iterator[npt.NDArray[Any]]]


def check_writable(path: Path) -> None:
    """Raise WeightsError, before any work is done, for a format that cannot be written as a stream."""
    if path.suffix.lower() not in (".safetensors", ".npz"):
        raise WeightsError(
            f"{path}: merged weights are written as .safetensors (or .npz); name the output so"
        )


def write_tensors(path: Path, tensors: Mapping[str, TensorInfo], pieces: Pieces) -> None:
    """Write each tensor from its pieces. Raises WeightsError for a suffix or dtype that the format has not."""
    check_writable(path)
    with made_path(path) as temporary:
        if path.suffix.lower() == ".safetensors":
            _safetensors(temporary, tensors, pieces)
        else:
            _npz(temporary, tensors, pieces)


def _safetensors(path: Path, tensors: Mapping[str, TensorInfo], pieces: Pieces) -> None:
    # Widest elements first, as the library itself does, so that every tensor is aligned.
    order = sorted(tensors, key=lambda name: (-DTYPES[tensors[name].dtype].itemsize, name))
    header, offset = {}, 0
    for name in order:
        info = tensors[name]
        end = offset + info.num_bytes
        header[name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            for piece in pieces(name):
                handle.write(np.ascontiguousarray(piece).data)


def _npz(path: Path, tensors: Mapping[str, TensorInfo], pieces: Pieces) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, info in sorted(tensors.items()):
            if info.dtype == "BF16":
                raise WeightsError(f"npz has no bfloat16 (tensor {name!r}); write .safetensors")
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as stream:
                header = {"descr": DTYPES[info.dtype].str, "fortran_order": False, "shape": info.shape}
                np.lib.format.write_array_header_1_0(stream, header)
                for piece in pieces(name):
                    stream.write(np.ascontiguousarray(piece).tobytes())
