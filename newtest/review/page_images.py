"""The pictures on the reviewer's pages: thumbnails for the grid, larger ones to compare two."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from newtest.errors import ImageError
from newtest.files import bytes_of
from newtest.images import thumbnail

__all__ = ["ReviewPictures"]

SMALL, LARGE = 320, 720
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ReviewPictures:
    """JPEGs of stored bytes, encoded here: what strangers uploaded never reaches the browser as it is."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._encode = lru_cache(maxsize=600)(self._encoded)

    def read(self, sha256: str, *, large: bool) -> bytes | None:
        """A picture, its longer side 320 or 720 pixels; None where there is none, or none that can be decoded."""
        if not _SHA256.fullmatch(sha256):
            return None
        small = self._root / "thumbnails" / sha256[:2] / f"{sha256}.jpg"
        if not self._original(sha256).exists():  # taken down, perhaps while its picture was held here
            return None
        try:
            return (
                bytes_of(small)
                if not large and small.exists()
                else self._encode(sha256, LARGE if large else SMALL)
            )
        except (OSError, ImageError):
            return None

    def _encoded(self, sha256: str, side: int) -> bytes:
        return thumbnail(bytes_of(self._original(sha256)), side)

    def _original(self, sha256: str) -> Path:
        return self._root / "images" / sha256[:2] / sha256
