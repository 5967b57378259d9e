"""A pool's folder on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from newtest.errors import FolderMissing, PoolError
from newtest.files import atomic_path, open_bytes
from newtest.outputs import MADE
from newtest.pool.storage.places import CLAIM, HOME, JOURNALS, Entry, checked, is_ours

__all__ = ["LocalPlace"]


@dataclass(frozen=True)
class LocalPlace:
    """A folder on this machine."""

    root: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to a worker, a place looks where it arrives whether its folder is there: FolderMissing is raised.

        A folder that is still to be made asks for the nearest one above it.
        """
        there = next((path for path in (self.root, *self.root.parents) if path.is_dir()), self.root)
        return _arrived, (self.root, there, _is_filled(there), os.path.abspath(self.root))  # noqa: PTH100 - links stay

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
        target = self.own(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.own(old).rename(target)

    def exists(self, name: str) -> bool:
        return self.path(name).is_file()

    def open(self, file: str | Entry) -> IO[bytes]:
        return open_bytes(self.path(file if isinstance(file, str) else file.name))

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with atomic_path(self.own(name)) as temporary:
            yield temporary

    def remove(self, name: str) -> None:
        self.own(name).unlink(missing_ok=True)

    def own(self, name: str) -> Path:
        """The path of a file that is written or deleted; raises PoolError where a link leads out of the pool.

        Reading follows links to other folders. A stranger's pool may have one in the place of ``__newtest``.
        """
        path = self.path(name)
        ours = next(
            (parent.parent for parent in (self.root, *self.root.parents) if parent.name == HOME), self.root
        )
        if not path.parent.resolve().is_relative_to(ours.resolve()):
            raise PoolError(
                f"{path.parent}: a link leads out of the pool, and newtest writes nothing through it; take it away"
            )
        return path

    def path(self, name: str) -> Path:
        """The file's path; raises PoolError for a name that leads out of the folder."""
        return self.root / checked(name)


def _arrived(root: Path, there: Path, filled: bool, name: str) -> LocalPlace:  # noqa: FBT001 - pickle calls it
    try:
        known = Path.cwd() / there
    except FileNotFoundError:  # the command's folder is not here: a relative path means nothing
        known = there
    if not known.is_dir() or (known == there and not there.is_absolute()):
        raise FolderMissing(f"there is no folder {name} on this machine")
    if filled and not _is_filled(known):
        raise FolderMissing(f"the folder {known} is empty on this machine, as if nothing were mounted there")
    return LocalPlace(root)


def _is_filled(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is not None
    return False


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
        if not is_ours(entry.name):
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
