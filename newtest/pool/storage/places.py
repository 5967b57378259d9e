"""What a pool asks of the folder that it lies in, wherever that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from newtest.errors import PoolError

__all__ = ["CLAIM", "HOME", "JOURNALS", "Entry", "Place", "checked", "is_ours"]

HOME = "__newtest"
"""The folder of what newtest stores in a pool."""

CLAIM = f"{HOME}/pool.json"
"""The file by which a pool that newtest made tells so; it may lie in a folder of another pool."""

JOURNALS = ".fetching"
"""The folder of what a download has brought so far."""


@dataclass(frozen=True, order=True)
class Entry:
    """A file below a place: its relative name and its size in bytes. ``tag`` is what a store says changes with it."""

    name: str
    size: int
    tag: str = field(default="", compare=False)


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

    def open(self, file: str | Entry) -> IO[bytes]:
        """The file for reading, seekable. Raises FileNotFoundError. Of an entry a store is not asked what it is: only
        for files that nobody writes during the run, as a pool's shards."""
        ...

    def writing(self, name: str) -> Any:
        """A context manager that gives a local path; when the block ends well, the file appears under ``name``."""
        ...

    def remove(self, name: str) -> None:
        """Take the file away; one that is not there is no error."""
        ...


def is_ours(name: str) -> bool:
    """Names that begin with ``.`` or ``_`` are not part of a pool."""
    return not name.startswith((".", "_"))


def checked(name: str) -> str:
    """A relative name. Raises PoolError for one that leads out of the folder."""
    if not name or name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        raise PoolError(f"{name!r} is not a name inside a pool")
    return name
