"""Where a pool lies: a folder on this machine, or a folder behind a URL that fsspec understands (``s3://...``).

Everything the pool side reads or writes goes through these few operations, so that a pool on S3 and one on disk
behave alike: names are relative, with ``/`` between parts, and a file appears whole or not at all (a rename on disk,
one finished upload on an object store).
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from newtest.errors import MissingExtra, NewtestError, PoolError
from newtest.files import atomic_path, is_full_disk
from newtest.outputs import MADE
from newtest.pool.storage.scratch import scratch_folder

__all__ = ["CLAIM", "HOME", "JOURNALS", "Entry", "LocalPlace", "Place", "RemotePlace", "place_of"]

HOME = "__newtest"
"""The folder of what newtest stores in a pool."""
CLAIM = f"{HOME}/pool.json"
"""The file by which a pool that newtest made tells so; it may lie in a folder of another pool."""

JOURNALS = ".fetching"
"""The folder of what a download has brought so far."""

_BUFFER = 1 << 20
"""Bytes fetched from a store at least: what obstore asks for at a time."""


@dataclass(frozen=True, order=True)
class Entry:
    """A file below a place: its relative name and its size in bytes."""

    name: str
    size: int


class Place(Protocol):
    """A folder of files with relative names."""

    @property
    def url(self) -> str:
        """The folder's own name, for messages."""
        ...

    def entries(self) -> list[Entry]:
        """All files below the folder, sorted by name, but for names that begin with ``.`` or ``_`` and for pools of
        their own in folders below. Links to folders outside are followed, each folder once.
        """
        ...

    def is_empty(self) -> bool:
        """Whether nothing is there, hidden names included, but what newtest itself hides there."""
        ...

    def move(self, old: str, new: str) -> None:
        """Rename a folder below this one. Raises OSError or PoolError where that cannot be."""
        ...

    def exists(self, name: str) -> bool:
        """Whether the file is there, whole."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """The file for reading, seekable. Raises FileNotFoundError."""
        ...

    def writing(self, name: str) -> Any:
        """A context manager that gives a local path; when the block ends well, the file appears under ``name``."""
        ...

    def remove(self, name: str) -> None:
        """Take the file away; one that is not there is no error."""
        ...


@dataclass(frozen=True)
class LocalPlace:
    """A folder on this machine."""

    root: Path

    @property
    def url(self) -> str:
        return str(self.root)

    def entries(self) -> list[Entry]:
        return sorted(_walked(self.root, "", {_identity(self.root)}))

    def is_empty(self) -> bool:
        return all(
            path.is_dir() or path.name == MADE or path.name.endswith(".part") or path.parent.name == JOURNALS
            for path in self.root.rglob("*")
        )

    def move(self, old: str, new: str) -> None:
        target = self.path(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path(old).rename(target)

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def open(self, name: str) -> IO[bytes]:
        return open(self.path(name), "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with atomic_path(self.path(name)) as temporary:
            yield temporary

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """The file's path; raises PoolError for a name that leads out of the folder."""
        return self.root / _checked(name)


@dataclass(frozen=True)
class RemotePlace:
    """A folder on an object store. Credentials and endpoint come from the environment
    (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, and ``AWS_ALLOW_HTTP=true`` for an endpoint without TLS)."""

    address: str

    @property
    def url(self) -> str:
        return self.address

    def entries(self) -> list[Entry]:
        system, root = self._system()
        system.invalidate_cache()  # a shard that somebody adds or takes away is seen at once
        try:
            with _explained(self.address):
                found = system.find(root, detail=True)
        except FileNotFoundError:
            return []
        sizes = {
            str(PurePosixPath(path).relative_to(root)): int(info["size"])
            for path, info in found.items()
            if path != root
        }
        others = {
            PurePosixPath(name).parent.parent
            for name in sizes
            if name.endswith(f"/{CLAIM}") and name != CLAIM
        }
        return sorted(
            Entry(name, size)
            for name, size in sizes.items()
            if all(map(_is_ours, name.split("/"))) and others.isdisjoint(PurePosixPath(name).parents)
        )

    def is_empty(self) -> bool:
        system, root = self._system()
        system.invalidate_cache()
        try:
            with _explained(self.address):
                return not [path for path in system.find(root) if path != root]
        except FileNotFoundError:
            return True

    def move(self, old: str, new: str) -> None:
        system, root = self._system()
        with _explained(self.address):
            for path in sorted(system.find(f"{root}/{_checked(old)}")):
                system.mv(path, f"{root}/{_checked(new)}{path[len(root) + 1 + len(old) :]}")
        system.invalidate_cache()

    def exists(self, name: str) -> bool:
        system, root = self._system()
        with _explained(self.address):
            return bool(system.exists(f"{root}/{_checked(name)}"))

    def open(self, name: str) -> IO[bytes]:
        if not self.exists(name):
            raise FileNotFoundError(f"{self.address}/{name}")
        system, root = self._system()
        with _explained(self.address):
            handle = system.open(f"{root}/{_checked(name)}", "rb")
        return io.BufferedReader(_Whole(handle, self.address), _BUFFER)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        system, root = self._system()
        with scratch_folder() as folder:
            temporary = folder / "file"
            yield temporary
            # As one request of the store's own: a file that is written piece by piece would be finished, cut off as it
            # is, by an interrupt (Ctrl-C) that leaves its block.
            with _explained(self.address, but=NewtestError):  # what is not found is the bucket
                system.put_file(str(temporary), f"{root}/{_checked(name)}")

    def remove(self, name: str) -> None:
        system, root = self._system()
        if self.exists(name):
            with _explained(self.address):
                system.rm_file(f"{root}/{_checked(name)}")

    def _system(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtra("fsspec", "pool") from error
        scheme = urlsplit(self.address).scheme
        if scheme in ("s3", "gs", "gcs", "az", "abfs"):
            _register_obstore(scheme)
        try:
            system, root = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise PoolError(f"{self.address}: this address cannot be opened ({error})") from error
        return system, root.rstrip("/")


class _Whole(io.RawIOBase):
    """A file of a store as Python's own buffered reader wants it, whose ``read(n)`` gives n bytes wherever there are n.

    A store's file may give fewer: obstore's stops at the end of each mebibyte that it fetched.
    """

    def __init__(self, handle: Any, address: str) -> None:
        self.handle, self.address = handle, address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _explained(self.address):
            data = self.handle.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _explained(self.address):
            return int(self.handle.seek(offset, whence))

    def tell(self) -> int:
        return int(self.handle.tell())

    def close(self) -> None:
        if not self.closed:
            self.handle.close()
        super().close()


def place_of(address: str | Path) -> LocalPlace | RemotePlace:
    """The place that a path or URL names; ``file://`` is a folder of this machine. It need not exist yet."""
    text = str(address)
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "file":
        return LocalPlace(Path(url2pathname(urlsplit(text).path)))
    if scheme:
        return RemotePlace(text.rstrip("/"))
    return LocalPlace(Path(text))


@contextmanager
def _explained(
    address: str, but: type[Exception] | tuple[type[Exception], ...] = (NewtestError, FileNotFoundError)
) -> Iterator[None]:
    """What a store, or the way to it, does wrong, as one sentence that names the place."""
    try:
        yield
    except but:
        raise
    except Exception as error:  # each kind of store has errors of its own
        if isinstance(error, OSError) and is_full_disk(error):
            raise
        said = " ".join((str(error) or type(error).__name__).split("Debug source")[0].split())[:300]
        raise PoolError(
            f"{address}: the store does not do what it is asked ({said}); see to the address, the credentials "
            "(AWS_ACCESS_KEY_ID, ...) and AWS_ENDPOINT_URL, and run again: what was done is kept"
        ) from error


@cache
def _register_obstore(scheme: str) -> None:
    """Let obstore serve an object store's scheme: s3fs pins botocore, obstore pins nothing."""
    try:
        from obstore.fsspec import register
    except ImportError as error:
        raise MissingExtra("obstore", "pool") from error
    register(scheme)


def _size(path: Path) -> int | None:
    """Bytes of a regular file, None for anything else; a file may be gone by the time it is asked for."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _walked(folder: Path, below: str, seen: set[tuple[int, int]]) -> Iterator[Entry]:
    """The files below a folder, real folders before links; ``seen`` are the folders that need no second visit."""
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    folders = []
    for entry in found:
        if not _is_ours(entry.name):
            continue
        path = folder / entry.name
        if path.is_dir():
            folders.append((path.is_symlink(), path))
        elif (size := _size(path)) is not None:
            yield Entry(f"{below}{entry.name}", size)
    for linked, path in sorted(folders):
        name = f"{below}{path.name}"
        if (path / CLAIM).is_file() or (linked and _is_within(path, seen)):
            continue
        seen.add(_identity(path))
        yield from _walked(path, f"{name}/", seen)


def _is_within(link: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a link leads to a folder that is listed anyway, into one, or to one around them."""
    real = link.resolve()
    return any(_identity(path) in seen for path in (real, *real.parents))


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _is_ours(name: str) -> bool:
    return not name.startswith((".", "_"))


def _checked(name: str) -> str:
    if not name or name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        raise PoolError(f"{name!r} is not a name inside a pool")
    return name
