"""Images that a table names by a path and does not hold: files of the pool itself, and nothing beyond it.

A path is relative to the table's own folder, or to the pool's; ``datasets`` writes such rows where it was told not to
embed the files. Absolute paths, addresses and paths that lead out of the pool are a stranger's wish, and not followed.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from newtest.errors import PoolError
from newtest.pool.storage.places import Place
from newtest.reading.texts import read_at_most

__all__ = ["MAX_IMAGE", "NOWHERE", "OUTSIDE", "ImageFiles"]

MAX_IMAGE = 64 * 2**20
"""Bytes of an image that are read at all."""
OUTSIDE = "no bytes, and a path out of the pool"
NOWHERE = "no bytes, and no file at its path"


@dataclass(frozen=True)
class ImageFiles:
    """The files that the paths of one table may name; ``folder`` is the table's own, below the place."""

    place: Place
    folder: str = ""

    @classmethod
    def beside(cls, place: Place, table: str) -> ImageFiles:
        """Those of the table of this name."""
        return cls(place, table.rpartition("/")[0])

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """(bytes, None), or (None, the reason why there are none); at most one byte over ``MAX_IMAGE``."""
        parts = PurePosixPath(path).parts
        if not parts or "://" in path or "\0" in path or parts[0] == "/" or ".." in parts:
            return None, OUTSIDE
        plain = "/".join(parts)
        for name in dict.fromkeys(
            f"{folder}{form}"
            for folder in (f"{self.folder}/" if self.folder else "", "")
            for form in (plain, unicodedata.normalize("NFC", plain), unicodedata.normalize("NFD", plain))
        ):
            try:
                if self.place.exists(name):
                    with self.place.open(name) as handle:
                        return read_at_most(handle, MAX_IMAGE), None
            except (OSError, ValueError, PoolError):  # too long a name, a folder, no right to read it
                continue
        return None, NOWHERE
