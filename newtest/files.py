"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "atomic_path",
    "cache_folder",
    "full_disk_at",
    "is_full_disk",
    "sha256_of",
    "state_folder",
    "write_atomic",
]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that is renamed to it when the block ends well and removed when it does not.

    What a killed process left of the same file is taken over, so nothing piles up. A full disk is an OSError that
    names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_at(path), _held(path) as temporary:
        try:
            yield temporary
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file so that a reader, or a restart after kill -9, sees the old file or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def cache_folder() -> Path:
    """Where work is kept between runs: ``$NEWTEST_CACHE``, else ``newtest`` in the user's cache folder."""
    if place := os.environ.get("NEWTEST_CACHE"):
        return Path(place)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "newtest"


def sha256_of(path: Path) -> str:
    """64 hex digits of a file's bytes, read in pieces."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def state_folder() -> Path:
    """Where newtest remembers its calls and the paces of hosts, outside any study: ``$NEWTEST_STATE``, else
    ``$XDG_STATE_HOME/newtest``, else ``~/.local/state/newtest``."""
    if named := os.environ.get("NEWTEST_STATE"):
        return Path(named)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "newtest"


def is_full_disk(error: OSError) -> bool:
    """Whether no more can be written there: no space, a quota used up, a process's limit on file sizes."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def full_disk_at(path: Path) -> Iterator[None]:
    """Give an OSError of a write that found no room the name of what was written; writes carry none."""
    try:
        yield
    except OSError as error:
        if is_full_disk(error) and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
        raise


@contextmanager
def _held(path: Path) -> Iterator[Path]:
    """The one temporary name of ``path``, locked; where another process writes it, or nothing can be locked, a name
    of our own.

    The kernel lets go of the lock when its holder dies, whatever machine of a cluster that was on.
    """
    temporary = path.with_name(f".{path.name}.part")
    while (handle := _locked(temporary)) is not None:
        try:
            if _is_at(handle, temporary):  # else it was renamed between the two steps
                os.truncate(handle, 0)
                yield temporary
                return
        finally:
            os.close(handle)
    yield path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")


def _locked(temporary: Path) -> int | None:
    handle = os.open(temporary, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if not isinstance(error, BlockingIOError):  # nothing can be locked here, so this name serves nobody
            temporary.unlink(missing_ok=True)
        return None
    return handle


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
