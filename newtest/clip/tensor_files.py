"""What ``torch.save`` wrote, read in one place: tensors and plain containers of them; a pickle's code is never run.

torch's restricted unpickler runs no code, but it believes sizes: a file of 200 bytes may ask it for 100 GB (a
``bytearray``), a packed record unpacks to a thousand times its size, and without a mapping a storage may reach beyond
what is stored of it. So records must be stored as they are, files are mapped, and each tensor must fit its storage.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from newtest.clip.torch_runtime import torch
from newtest.reading.failures import Unreadable, reason_of, translated
from newtest.reading.zips import opened_zip

__all__ = ["NotTensors", "load_tensors"]

_MOST_PICKLE = 64 << 20
"""Bytes of names, shapes and lists; 50,000 file names have 2 MB."""
_MOST_RECORDS = 1_000_000
_MOST_STEPS = 2_000_000
"""Instructions of a pickle: torch takes a microsecond or more for each. A name in a list has three."""
_LONGEST_GLOBAL = 200
"""Characters of a global's name: torch searches the error about a strange one with an expression that takes time by
the cube of its length or worse."""
_MOST_DEPTH = 100
_MOST_UNSHARED = 10_000_000
"""Elements of lists, those that stand in several places counted in each: NumPy copies them."""


class NotTensors(Unreadable):
    """A pickle that holds more than tensors."""


def load_tensors(path: Path) -> Any:
    """The object in a file, its tensors mapped from the disk and on the CPU.

    Raises OSError, Unreadable, and NotTensors for a pickle that would have to run code.
    """
    with translated("a PyTorch file of version 1.6 or later"):
        _check_records(path)
    try:
        with translated("a PyTorch file that can be read"):
            loaded = torch().load(path, map_location="cpu", weights_only=True, mmap=True)
            _check_tensors(loaded)
    except Unreadable as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise NotTensors(reason_of(error.__cause__)) from error
        raise
    return loaded


def _check_records(path: Path) -> None:
    with opened_zip(path) as archive:
        records = archive.infolist()
        if len(records) > _MOST_RECORDS:
            raise Unreadable(f"more than {_MOST_RECORDS:,} records")
        for record in records:
            if record.compress_type != zipfile.ZIP_STORED:
                raise Unreadable(f"its record {record.filename!r} is packed, which torch.save never does")
            if not record.filename.endswith("/data.pkl"):
                continue
            if record.file_size > min(_MOST_PICKLE, path.stat().st_size):
                raise Unreadable(f"{record.filename!r} claims {record.file_size:,} bytes")
            _check_pickle(archive.read(record))


def _check_pickle(data: bytes) -> None:
    for step, (code, value, _) in enumerate(pickletools.genops(data)):
        if step > _MOST_STEPS:
            raise Unreadable(f"a pickle of more than {_MOST_STEPS:,} instructions")
        if code.name != "GLOBAL":
            continue
        name = str(value)
        if name.endswith(" bytearray"):  # how a pickle asks for bytes without having them
            raise NotTensors("it asks for a bytearray")
        if len(name) > _LONGEST_GLOBAL:
            raise NotTensors(f"it names a global of {len(name):,} characters")


def _check_tensors(loaded: Any) -> None:
    """Each tensor has no more elements than are stored of it, and lists that share parts are not too long without
    sharing: a pickle of 100 bytes can hold a list inside itself, or one of 2^60 numbers.
    """
    sizes: dict[int, int] = {}
    around: set[int] = set()
    waiting: list[tuple[str, Any, bool]] = [("", loaded, True)]
    while waiting:
        name, one, enters = waiting.pop()
        parts = list(_parts(name, one))
        if not enters:
            around.discard(id(one))
            sizes[id(one)] = 1 + sum(sizes[id(part)] for _, part in parts)
            if sizes[id(one)] > _MOST_UNSHARED:
                raise Unreadable(
                    f"lists that share parts, of more than {_MOST_UNSHARED:,} elements without sharing"
                )
        elif id(one) in around:
            raise Unreadable("a list or a dictionary that holds itself")
        elif id(one) not in sizes:
            if isinstance(one, torch().Tensor) and _beyond_its_storage(one):
                said = f"tensor {name} of" if name else "a tensor of"
                raise Unreadable(f"{said} shape {list(one.shape)} is larger than what is stored of it")
            around.add(id(one))
            if len(around) > _MOST_DEPTH:
                raise Unreadable(f"lists inside each other, more than {_MOST_DEPTH}")
            waiting.append((name, one, False))
            waiting += [(*part, True) for part in parts]


def _parts(name: str, one: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(one, dict):
        yield from ((repr(key)[:80], value) for key, value in one.items())
    elif isinstance(one, (list, tuple, set)):
        yield from ((name, each) for each in one)


def _beyond_its_storage(tensor: Any) -> bool:
    """One stored number can claim to be 10^13 by a stride of 0."""
    if tensor.layout != torch().strided or tensor.device.type != "cpu":
        return False
    return bool(tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes())
