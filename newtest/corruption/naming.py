"""Strangers' names of classes and images as names of folders and files: nothing leaves the folder, no two are one."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from newtest.images import SUFFIXES

__all__ = ["file_names", "folder_name"]

_ODD = re.compile(r"[^\w \-.,()+&'=@#]|^\.|^[ ]|[ .]$")
LONGEST = 180
"""Bytes, of the 255 that file systems take."""


def folder_name(name: str) -> str:
    """A name as it is where it may be one of a folder; else with ``%2F`` and the like for what may not."""
    plain = _ODD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name) or "%"
    if len(plain.encode()) <= LONGEST:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return plain.encode()[: LONGEST - 20].decode(errors="ignore") + "-" + digest


def file_names(images: Sequence[tuple[str, str]], suffix: str) -> list[str]:
    """Names of files for (class, id): the id without an image's suffix, or with it where two would be one."""
    stems = [_stem(image) for _, image in images]
    times = Counter((folder_name(cls), stem.casefold()) for (cls, _), stem in zip(images, stems, strict=True))
    return [
        f"{stem if times[folder_name(cls), stem.casefold()] == 1 else folder_name(image)}.{suffix}"
        for (cls, image), stem in zip(images, stems, strict=True)
    ]


def _stem(image: str) -> str:
    bare, dot, last = image.rpartition(".")
    return folder_name(bare if dot and bare and f".{last.lower()}" in SUFFIXES else image)
