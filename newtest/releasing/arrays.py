"""Sets as arrays, as CIFAR-10.1 is published: labels (N,) in one ``.npy``, pictures (N, H, W, 3) in another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.reading.arrays import load_array
from newtest.releasing.sets import SetMember, SetToCheck

__all__ = ["read_arrays"]


def read_arrays(path: Path) -> SetToCheck:
    """A set from its labels; where ``labels`` in the name leads to a ``data`` file beside it (or the other way round),
    each image has the hash of its pixels. The rows are the ids. Raises UsageError.
    """
    labels, pictures = path, _beside(path, "labels", "data")
    if _open(path).ndim > 1:
        labels, pictures = _beside(path, "data", "labels") or path, path
    classes = _open(labels)
    if classes.ndim != 1 or not np.issubdtype(classes.dtype, np.integer):
        raise UsageError(
            f"{labels}: labels are one row of whole numbers, this is {classes.dtype} of shape {classes.shape}; "
            "give the labels, with the pictures beside them (..._labels.npy, ..._data.npy)"
        )
    hashes: list[str | None] = [None] * len(classes)
    if pictures is not None:
        pixels = _open(pictures)
        if len(pixels) != len(classes):
            raise UsageError(f"{labels} has {len(classes)} labels, and {pictures} {len(pixels)} pictures")
        hashes = [hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest() for picture in pixels]
    members = [
        SetMember(str(row), str(int(cls)), sha256=sha256)
        for row, (cls, sha256) in enumerate(zip(classes, hashes, strict=True))
    ]
    return SetToCheck(str(labels), "arrays", members)


def _beside(path: Path, ours: str, theirs: str) -> Path | None:
    head, word, tail = path.name.rpartition(ours)
    other = path.with_name(f"{head}{theirs}{tail}") if word else path
    return other if word and other.is_file() else None


def _open(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(load_array(path, mapped=True))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable .npy ({error})") from error
