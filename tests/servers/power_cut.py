"""A disk whose power is cut: everything that SQLite wrote and did not sync is gone.

SQLite talks to files through a "VFS". The default one is put behind a copy of itself that notes, at each ``xSync``,
what the file holds: that much survives. (https://www.sqlite.org/vfs.html and sqlite3.h describe the structures.)
"""

from __future__ import annotations

import ctypes
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from needs import missing

_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", _POINTER),
        ("zName", ctypes.c_char_p),
        ("pAppData", _POINTER),
        ("xOpen", _POINTER),
        ("others", _POINTER * 15),
    )


class _Methods(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("before", _POINTER * 4),  # xClose, xRead, xWrite, xTruncate
        ("xSync", _POINTER),
        ("after", _POINTER * 13),
    )


@dataclass
class Disk:
    """``synced``: path -> the bytes that are safe."""

    synced: dict[Path, bytes] = field(default_factory=dict)
    syncs: int = 0

    def after_the_cut(self, folder: Path, to: Path) -> Path:
        """A copy of a folder as the disk has it when the power comes back."""
        shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm"))
        for path, data in self.synced.items():
            if path.is_relative_to(folder) and (to / path.relative_to(folder)).exists():
                (to / path.relative_to(folder)).write_bytes(data)
        return to


@contextmanager
def power_cut() -> Iterator[Disk]:
    """Until the end of the block every database that is opened lies on such a disk."""
    library = _library()
    original = library.sqlite3_vfs_find(None)
    vfs = _Vfs.from_buffer_copy(original.contents)
    disk = Disk()
    kept: list[object] = []
    open_original = _OPEN(vfs.xOpen)

    def opened(this: int, name: int | None, file: int, flags: int, out: object) -> int:
        # SQLite keeps the pointer until it closes the file: the name is handed on as it came, not as a copy
        existing = Path(ctypes.string_at(name).decode()) if name else None
        before = existing.read_bytes() if existing and existing.exists() else b""
        code = int(open_original(this, name, file, flags, out))
        if code == 0 and existing is not None:
            disk.synced.setdefault(existing, before)
            _note_syncs(file, existing, disk, kept)
        return code

    vfs.zName = b"power-cut"
    vfs.xOpen = ctypes.cast(callback := _OPEN(opened), _POINTER)
    kept.append(callback)
    library.sqlite3_vfs_register(ctypes.byref(vfs), 1)
    try:
        yield disk
    finally:
        library.sqlite3_vfs_register(original, 1)
        library.sqlite3_vfs_unregister(ctypes.byref(vfs))
        _KEPT.append((vfs, kept))  # a connection that is still open goes on calling


_KEPT: list[object] = []


def _note_syncs(file: int, path: Path, disk: Disk, kept: list[object]) -> None:
    place = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
    methods = _Methods.from_buffer_copy(place.contents.contents)
    sync_original = _SYNC(methods.xSync)

    def synced(this: int, flags: int) -> int:
        code = int(sync_original(this, flags))
        disk.synced[path] = path.read_bytes()
        disk.syncs += 1
        return code

    methods.xSync = ctypes.cast(callback := _SYNC(synced), _POINTER)
    kept += [methods, callback]
    place[0] = ctypes.pointer(methods)


def _library() -> ctypes.CDLL:
    """The SQLite that Python's own module has loaded."""
    sqlite3.connect(":memory:").close()
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    found = next((line.split()[-1] for line in lines if "libsqlite3.so" in line), None)
    if found is None:
        missing(
            "SQLite is built into this Python: its disk cannot be watched; use one that loads libsqlite3.so"
        )
    library = ctypes.CDLL(found)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_register.argtypes = [ctypes.POINTER(_Vfs), ctypes.c_int]
    library.sqlite3_vfs_unregister.argtypes = [ctypes.POINTER(_Vfs)]
    return library
