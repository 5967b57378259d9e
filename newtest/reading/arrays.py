"""NumPy's files, ``.npy`` and ``.npz``. Nothing is unpickled, and no header makes us take memory that the file does not
fill.

numpy.load takes the memory that a header asks for before it reads a byte, and unpacks what an archive claims.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from newtest.files import open_bytes
from newtest.reading.failures import Unreadable, translated
from newtest.reading.zips import opened_zip

__all__ = ["Arrays", "array_rows", "is_archive", "load_array", "npy_header", "open_arrays"]

_FREE = 256 << 20
"""Bytes that an array of an archive may always unpack to."""
_MOST_RATIO = 200
"""Larger ones only to so many times their packed size; zlib reaches 1,032 with nothing but zeros."""
_MOST_MEMBERS = 100_000
_MOST_HEADER = 1 << 20
_MOST_SIDES = 32


class Arrays:
    """The arrays of an ``.npz`` by name. Each is read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        if len(self._members) > _MOST_MEMBERS:
            raise Unreadable(f"an archive of more than {_MOST_MEMBERS:,} arrays")

    @property
    def files(self) -> list[str]:
        """The names, in the archive's order."""
        return list(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Raises KeyError for a name that is not there, Unreadable for what is not an array."""
        about = self._archive.getinfo(self._members[name])
        if about.file_size > max(_FREE, _MOST_RATIO * about.compress_size):
            raise Unreadable(
                f"{name}: packed to a {_MOST_RATIO}th of its size or less; save it with numpy.savez"
            )
        with translated(f"an array ({name})"), self._archive.open(about) as stream:
            return _read(stream, about.file_size)

    def shape(self, name: str) -> tuple[int, ...]:
        """An array's shape, from its header. Raises as ``[]`` does."""
        about = self._archive.getinfo(self._members[name])
        with translated(f"an array ({name})"), self._archive.open(about) as stream:
            return npy_header(stream, about.file_size)[0]

    def rows(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Some rows of an array, without the others in memory. Raises as ``[]`` does."""
        about = self._archive.getinfo(self._members[name])
        if about.file_size > max(_FREE, _MOST_RATIO * about.compress_size):
            return self[name][start:stop]  # which refuses it
        with translated(f"an array ({name})"), self._archive.open(about) as stream:
            return array_rows(stream, about.file_size, start, stop)


def is_archive(path: Path) -> bool:
    """Whether a file begins as an ``.npz`` does. Raises OSError."""
    with open_bytes(path) as handle:
        return handle.read(4) in (b"PK\3\4", b"PK\5\6")


@contextmanager
def open_arrays(source: Path | IO[bytes]) -> Iterator[Arrays]:
    """An ``.npz``, open. Raises OSError, and Unreadable for anything else."""
    with translated("an .npz archive"):
        archive = opened_zip(source)
    with archive:
        with translated("an .npz archive"):
            arrays = Arrays(archive)
        yield arrays


def load_array(path: Path, *, mapped: bool = False) -> npt.NDArray[Any]:
    """The array of an ``.npy``; ``mapped`` leaves it on the disk. Raises OSError, and Unreadable for anything else."""
    with translated("an .npy array"), open_bytes(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if not mapped:
            return _read(handle, size)
        shape, fortran, dtype = npy_header(handle, size)
        if not math.prod(shape):
            return np.empty(shape, dtype)
        order: Any = "F" if fortran else "C"
        return np.memmap(handle, dtype, "r", handle.tell(), shape, order)


def array_rows(stream: IO[bytes], size: int, start: int, stop: int) -> npt.NDArray[Any]:
    """Rows ``start`` to ``stop`` of an ``.npy`` of ``size`` bytes that can be sought in; the others are passed over.

    Raises Unreadable for what is not an array; numpy's and the stream's errors are the caller's.
    """
    begin = stream.tell()
    shape, fortran, dtype = npy_header(stream, size)
    if fortran and len(shape) > 1:
        stream.seek(begin)
        return _read(stream, size)[start:stop]
    if not shape:
        raise Unreadable("an array of one number, which has no rows")
    start, stop = min(start, shape[0]), min(stop, shape[0])
    width = math.prod(shape[1:]) * dtype.itemsize
    stream.seek(start * width, os.SEEK_CUR)
    return np.frombuffer(_filled(stream, (stop - start) * width), dtype).reshape(stop - start, *shape[1:])


def npy_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it stands column by column, and kind of an array whose file has ``size`` bytes.

    Raises ValueError and what numpy may: callers stand inside ``translated``.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise Unreadable(f"an .npy of version {version[0]}.{version[1]}")
    if version != (1, 0):  # numpy asks for a buffer of what the header says of its own length, up to 4 GiB
        length = int.from_bytes(stream.read(4), "little")
        if length > _MOST_HEADER:
            raise Unreadable(f"a header of {length:,} bytes")
        stream.seek(-4, os.SEEK_CUR)
    # Versions 2 and 3 differ in the header's text encoding alone; numpy's public reader of 2 takes Latin-1.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise Unreadable("an array of Python objects, which would have to be unpickled")
    if len(shape) > _MOST_SIDES or any(side < 0 for side in shape):
        raise Unreadable(f"an array of the shape {str(shape)[:100]}")
    if (needed := math.prod(shape) * dtype.itemsize) > size - stream.tell():
        raise Unreadable(f"its header tells of {needed:,} bytes, and {size - stream.tell():,} are there")
    if not dtype.itemsize and math.prod(shape) > 1 << 24:
        raise Unreadable("an array of nothing, very often")
    return shape, fortran, dtype


def _read(stream: IO[bytes] | zipfile.ZipExtFile, size: int) -> npt.NDArray[Any]:
    shape, fortran, dtype = npy_header(cast(IO[bytes], stream), size)
    data = _filled(stream, math.prod(shape) * dtype.itemsize)
    if not dtype.itemsize:
        return np.empty(shape, dtype)
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _filled(stream: IO[bytes] | zipfile.ZipExtFile, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < len(data):
        count = stream.readinto(view[done:])  # type: ignore[union-attr]
        if not count:
            raise Unreadable(f"it ends {len(data) - done:,} bytes too early")
        done += count
    return data
