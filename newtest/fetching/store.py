"""Putting bytes into a study: content-addressed, whole or not at all."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from pathlib import Path

from newtest.catalog.files import refused_bytes
from newtest.files import full_disk_at
from newtest.study import Study

__all__ = ["Store", "has_size"]


class Store:
    """Writes images and thumbnails of a study. Methods may be called from many threads at once.

    Everything is first written to ``incoming/STAGE`` and then renamed. The stage must hold its lock
    (``study.exclusive(STAGE)``), so whatever a killed run left in that folder is nobody's and is removed here.
    Files are not synced one by one: the fetch stage begins by looking whether the bytes that it has rows of are there.
    """

    def __init__(self, study: Study, stage: str) -> None:
        self._study = study
        self._incoming = study.inside("incoming", stage)
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)
        self._refused = refused_bytes(study.catalog)

    def refusal(self, data: bytes) -> str | None:
        """Why these bytes may not come in again (somebody had them taken down); None where they may."""
        return self._refused.get(hashlib.sha256(data).hexdigest()) if self._refused else None

    def put_image(self, data: bytes) -> str:
        """Store the bytes as they are; returns their sha256, 64 hex digits. Raises OSError (a full disk)."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self._study.image_path(sha256)
        if not has_size(target, len(data)):
            self._write(target, data)
        return sha256

    def put_thumbnail(self, sha256: str, data: bytes) -> None:
        """Store what people are shown of an image. Raises OSError."""
        self._write(self._study.thumbnail_path(sha256), data)

    def _write(self, target: Path, data: bytes) -> None:
        temporary = self._incoming / secrets.token_hex(8)
        try:
            with full_disk_at(target):
                temporary.write_bytes(data)
                target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def has_size(path: Path, num_bytes: int) -> bool:
    """Whether a file is there with that many bytes (after a power cut one may be there without its bytes)."""
    try:
        return path.stat().st_size == num_bytes
    except FileNotFoundError:
        return False
