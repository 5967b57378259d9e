"""Vectors that were made elsewhere: an ``.npy`` in row order, an ``.npz`` with any key, a folder of clip-retrieval.

They are the rows of the whole pool in its own order, one vector each; a row of NaN or zeros is one without. ``.npy``
files, and folders of them, may also lie behind a URL; they are read where they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.pool.storage.location import LocalPlace, RemotePlace, place_of
from newtest.reading.arrays import array_rows, load_array, npy_header, open_arrays
from newtest.reading.failures import translated

__all__ = ["StoredArray", "outside_fingerprint", "outside_rows", "outside_vectors"]

_UNREADABLE = (OSError, ValueError, KeyError)
_END = 1 << 16


@dataclass(frozen=True)
class StoredArray:
    """An ``.npy`` in a place behind a URL, (n, d): slices of rows are read as they are asked for."""

    place: RemotePlace
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int

    @classmethod
    def open(cls, place: RemotePlace, name: str) -> StoredArray:
        """Raises OSError, and Unreadable for what is not an array."""
        with place.open(name) as handle, translated("an .npy array"):
            size = handle.seek(0, 2)
            handle.seek(0)
            shape, _, dtype = npy_header(handle, size)
        return cls(place, name, shape, dtype, size)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        with self.place.open(self.name) as handle, translated("an .npy array"):
            return array_rows(handle, self.size, start, max(start, stop))


def outside_vectors(place: str, rows: int) -> list[npt.NDArray[Any] | StoredArray]:
    """The arrays of ``FILE.npy``, ``FILE.npz``, ``FILE.npz:KEY`` or a clip-retrieval folder (``img_emb/*.npy``).

    Together they have ``rows`` rows. Raises PoolError.
    """
    arrays = [_read(file, key) for file, key in _files(place)]
    if not arrays:
        raise PoolError(
            f"{place}: no .npy here; vectors are FILE.npy, FILE.npz:KEY or a folder of clip-retrieval"
        )
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise PoolError(f"{place}: vectors of {' and '.join(map(str, sorted(widths)))} numbers in one place")
    total = sum(map(len, arrays))
    if total != rows:
        raise PoolError(
            f"{place}: {total:,} vectors for {rows:,} rows of the pool; there must be one per row, in its order"
        )
    return arrays


def outside_rows(
    arrays: Sequence[npt.NDArray[Any] | StoredArray], start: int, stop: int
) -> Iterator[npt.NDArray[Any]]:
    """Rows ``start`` to ``stop`` of all arrays together, in their own type."""
    before = 0
    for array in arrays:
        low, high = max(0, start - before), min(len(array), stop - before)
        if low < high:
            yield array[low:high]
        before += len(array)


def outside_fingerprint(place: str) -> str:
    """What the files are, told cheaply: names, sizes and both ends. Raises PoolError."""
    said = []
    for (at, name), key in _files(place):
        digest = hashlib.sha256()
        try:
            with at.open(name) as handle:
                digest.update(handle.read(_END))
                size = handle.seek(0, 2)
                handle.seek(max(0, size - _END))
                digest.update(handle.read(_END))
        except OSError as error:
            raise PoolError(f"{at.url}/{name}: cannot be read as vectors ({error})") from error
        said.append((name, key, size, digest.hexdigest()))
    return fingerprint(said)


_File = tuple[LocalPlace | RemotePlace, str]


def _files(place: str) -> list[tuple[_File, str | None]]:
    """Each file as its folder and its name there, and the key that was named."""
    if isinstance(there := place_of(place), RemotePlace):
        if place.endswith(".npy"):
            folder, _, name = place.rpartition("/")
            return [((RemotePlace(folder), name), None)]
        names = [entry.name for entry in there.entries() if entry.name.endswith(".npy")]
        image = ("img_emb", "image_embeddings")
        names = [name for name in names if PurePosixPath(name).parent.name in image] or names
        return [((there, name), None) for name in sorted(names, key=_by_number)]
    path, key = Path(place), None
    if not path.exists() and ":" in place:
        name, _, key = place.rpartition(":")
        path = Path(name)
    if path.is_dir():
        folder_of = next(
            (path / name for name in ("img_emb", "image_embeddings") if (path / name).is_dir()), path
        )
        names = sorted((file.name for file in folder_of.glob("*.npy")), key=_by_number)
        return [((LocalPlace(folder_of), name), None) for name in names]
    return [((LocalPlace(path.parent), path.name), key)]


def _by_number(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", PurePosixPath(name).stem)
    return (int(digits[-1]) if digits else -1, name)


def _read(file: _File, key: str | None) -> npt.NDArray[Any] | StoredArray:
    place, name = file
    path = f"{place.url}/{name}" if isinstance(place, RemotePlace) else place.root / name
    try:
        array = _array(place, name, key)
    except _UNREADABLE as error:
        raise PoolError(f"{path}: cannot be read as vectors ({error})") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise PoolError(f"{path}: vectors are (rows, numbers), this array is {array.shape} of {array.dtype}")
    return array


def _array(place: LocalPlace | RemotePlace, name: str, key: str | None) -> npt.NDArray[Any] | StoredArray:
    if isinstance(place, RemotePlace):
        return StoredArray.open(place, name)
    path = place.root / name
    if path.suffix != ".npz":
        return load_array(path, mapped=True)
    with open_arrays(path) as arrays:
        names = [each for each in arrays.files if arrays[each].ndim == 2] if key is None else [key]
        if len(names) != 1 or names[0] not in arrays.files:
            raise PoolError(f"{path}: holds {', '.join(arrays.files)}; say which one it is as {path}:KEY")
        return arrays[names[0]]
