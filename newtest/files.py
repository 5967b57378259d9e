"""Files that appear whole or not at all, and the door to files that are read: what is not a regular file is refused.

A pipe, a socket or a device may have no end, and a reader of a pipe waits until somebody writes. They stand in for a
file by a slip on the command line, or by intent in a folder that somebody sent. Files are opened by ``open_bytes`` and
``open_text`` (a test looks); libraries that open them by name ask ``require_regular`` first.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

__all__ = [
    "NotAFile",
    "atomic_path",
    "bytes_of",
    "cache_folder",
    "full_disk_at",
    "is_full_disk",
    "open_bytes",
    "open_text",
    "own_descriptor",
    "require_regular",
    "sha256_of",
    "state_folder",
    "text_at",
    "write_atomic",
]

_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


class NotAFile(OSError):
    """A pipe, a socket or a device in the place of a file."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def require_regular(path: Path | str) -> None:
    """Raises NotAFile for a pipe, a socket or a device; for a name that is not there, nothing."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # whoever opens it says so
        return
    _check(path, mode)


def open_bytes(path: Path | str, *, follow: bool = True) -> io.BufferedReader:
    """A file, open to be read; ``follow`` says whether its name may be a link.

    Raises NotAFile, another OSError, and ValueError for a name that no file can have.
    """
    require_regular(path)
    link = 0 if follow else os.O_NOFOLLOW
    # Without waiting, and looked at again: the name may be another file's by now.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | link)
    try:
        mode = os.fstat(descriptor).st_mode
        _check(path, mode)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def open_text(
    path: Path | str, encoding: str = "utf-8", *, errors: str = "strict", newline: str | None = None
) -> TextIO:
    """A text file, open to be read. Raises as ``open_bytes`` does; reading raises UnicodeDecodeError."""
    return io.TextIOWrapper(open_bytes(path), encoding, errors, newline)


def bytes_of(path: Path | str) -> bytes:
    """All bytes of a file. Raises as ``open_bytes`` does."""
    with open_bytes(path) as handle:
        return handle.read()


def text_at(path: Path | str, encoding: str = "utf-8", *, errors: str = "strict") -> str:
    """The text of a file, its line ends as ``\\n``. Raises as ``open_bytes`` does, and UnicodeDecodeError."""
    with open_text(path, encoding, errors=errors) as handle:
        return handle.read()


def own_descriptor(path: Path, flags: int) -> int:
    """A descriptor of a file that newtest keeps beside its work (a lock, a list), made where there is none. No link is
    followed: in a folder that a stranger made it would lead a write to another file. Raises NotAFile, another OSError.
    """
    require_regular(path)
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def _check(path: Path | str, mode: int) -> None:
    if kind := _KINDS.get(stat.S_IFMT(mode)):
        raise NotAFile(
            errno.EINVAL, f"{kind}, not a regular file; save its content to a file first", str(path)
        )


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
            with open_bytes(temporary) as handle:
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
    with open_bytes(path) as handle:
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
