"""A small disk: a file system of its own in memory where this user may mount one, else a limit on file sizes."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SIZE", "SmallDisk"]

SIZE = 4 << 20


@dataclass(frozen=True)
class SmallDisk:
    """``path`` is its root. Where nothing may be mounted (a container without CAP_SYS_ADMIN), an ordinary folder."""

    path: Path
    mounted: bool

    def filled(self, room: int, largest: int) -> Callable[[], None] | None:
        """Leave ``room`` bytes; what a child has to call first, where the disk is a folder: no file of it may grow
        beyond ``largest`` bytes then.
        """
        if not self.mounted:
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        free = os.statvfs(self.path)
        self.filler.write_bytes(bytes(free.f_bavail * free.f_bsize - room))
        return None

    def freed(self) -> None:
        """Make room again."""
        self.filler.unlink(missing_ok=True)

    @property
    def sentence(self) -> str:
        """What a command says of it."""
        return (
            "the disk is full; free some space there"
            if self.mounted
            else "larger than this process may write"
        )

    @property
    def filler(self) -> Path:
        return self.path / ".filler"
