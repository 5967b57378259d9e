"""How much memory pictures may take: a budget for one, and room for several at once.

A file of 34 bytes may announce a picture of a gigabyte. What decoding will take is estimated from the header before
anything is decoded; the figures per pixel are those of Pillow 13's decoders, measured (``tests/images``).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import PIL.Image

__all__ = ["BUDGET", "DECODING", "cost", "parallel", "room", "webp_size"]

BUDGET = 256 * 2**20
"""Bytes that one picture may take while it is decoded and made RGB, unless another budget is given."""

DECODING = {"WEBP": 18, "AVIF": 20, "HEIF": 20, "TIFF": 8, "PPM": 8}
"""Bytes per pixel at the peak of decoding, where it is more than the pixels themselves."""
_KEPT = {"WEBP": 12, "AVIF": 12, "HEIF": 12}
"""Bytes per pixel that a decoder holds beside the pixels until its image is let go."""
_MODES = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes per pixel of Pillow's modes; all others have four."""


def cost(image: PIL.Image.Image, *, scans: bool, sideways: bool) -> int:
    """Bytes at the peak of decoding ``image`` and making it upright RGB, before anything is decoded.

    ``scans``: a JPEG of several scans, whose coefficients are held as a whole; ``sideways``: it will be turned.
    """
    form = image.format or ""
    own = _MODES.get(image.mode, 4)
    decoding = max(own, DECODING.get(form, 0))
    if scans:
        decoding += 2 * len(image.getbands())
    plain = image.mode == "RGB" and not image.info.keys() & {"icc_profile", "transparency"}
    converting = 5 if plain else own + 4 + _KEPT.get(form, 0)  # 5: as grey beside itself, for hashes
    turning = 8 + (_KEPT.get(form, 0) if image.mode == "RGB" else 0) if sideways else 0
    if form == "TIFF" and sideways:
        turning = 2 * own + 4  # as it is decoded
    return image.width * image.height * max(decoding, converting, turning)


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas, which its decoder allocates as soon as it is opened; None: no such header
    (RFC 9649, 2.5 to 2.7).
    """
    chunk = head[12:16]
    if chunk == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if chunk == b"VP8L" and len(head) >= 25 and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(head) >= 30 and head[23:26] == b"\x9d\x01\x2a":
        width, height = int.from_bytes(head[26:28], "little"), int.from_bytes(head[28:30], "little")
        return width & 0x3FFF, height & 0x3FFF
    return None


def parallel(wanted: int) -> int:
    """How many threads may decode side by side: as many as wanted, no more than their budgets fit into memory."""
    return max(1, min(wanted, _shared() // BUDGET))


@contextmanager
def room(needed: int) -> Iterator[None]:
    """Wait until there is room for so many bytes beside the pictures that other threads decode, and hold it.

    A picture that needs more than all the room is let in alone.
    """
    global _taken
    with _free:
        while _taken and _taken + needed > _shared():
            _free.wait()
        _taken += needed
    try:
        yield
    finally:
        with _free:
            _taken -= needed
            _free.notify_all()


_free = threading.Condition()
_taken = 0


@lru_cache(maxsize=1)
def _shared() -> int:
    """Bytes for all pictures that this process decodes at once: half of what is free now, and of that a core's share in
    a worker process, which has brothers.
    """
    brothers = multiprocessing.parent_process() is not None or "ray" in sys.modules
    return max(BUDGET, _available() // 2 // ((os.cpu_count() or 1) if brothers else 1))


def _available() -> int:
    """Free memory of the machine, or of the container that this runs in; 2 GiB where neither can be told."""
    found = []
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit.isdigit():
            found.append(int(limit) - int((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        pass  # another system, or another version of cgroups
    return max(0, min(found)) if found else 2 * 2**30
