"""Temporary folders that outlive nobody for long: what a killed process left, the next one removes.

A folder belongs to whoever holds the lock of the file ``lock`` in it. The kernel lets go of it when its holder dies,
whatever killed it and on whatever machine of a cluster it was, and a process id that is used again deceives nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

__all__ = ["scratch_folder"]

_PREFIX = "newtest-upload-"
_LOCK = "lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new empty folder below ``$TMPDIR`` that is gone when the block ends.

    The first of a process also removes those that dead processes left there. Raises OSError: no room, no such folder.
    """
    below = Path(tempfile.gettempdir())
    _sweep(below)
    folder, lock = _owned(below)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _owned(below: Path) -> tuple[Path, int]:
    """A new folder and the open file that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=below))
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if _locks(lock) is not False and (folder / _LOCK).exists():
            return folder, lock
        os.close(
            lock
        )  # another process swept between the two steps: it holds the lock, or has removed the folder


@cache
def _sweep(below: Path) -> None:
    """Remove the folders of ours whose owners are dead. One without a lock file is not ours, or is being made."""
    for folder in below.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _locks(lock):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _locks(lock: int) -> bool | None:
    """Whether the lock was free and is ours now; None where nothing can be locked, so that nothing is removed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
