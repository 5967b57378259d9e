"""One picture through all kinds and severities, in a worker of its own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from newtest.corruption.kinds import LEAST_SIDE, corrupted
from newtest.errors import ImageError
from newtest.files import write_atomic
from newtest.images import encode_jpeg, shown
from newtest.sets import image_at

__all__ = ["Job", "Made", "cut_out", "maker"]


@dataclass(frozen=True)
class Job:
    """``key``: class/id. ``targets``: (kind, severity, file). ``sha256``: of the picture when it was done, "" if
    it never was.
    """

    key: str
    path: str
    targets: tuple[tuple[str, int, str], ...]
    sha256: str = ""


@dataclass(frozen=True)
class Made:
    """``written`` files are new, ``kept`` were there."""

    key: str
    sha256: str
    written: int
    kept: int


def maker(size: int, seed: int, form: str, quality: int) -> Callable[[Job], Made]:
    """The worker; raises ImageError or OSError for a picture that cannot be read."""

    def make(job: Job) -> Made:
        data = image_at(job.path)
        digest = hashlib.sha256(data).hexdigest()
        same = digest == job.sha256
        missing = [one for one in job.targets if not (same and Path(one[2]).is_file())]
        if missing:
            image = cut_out(shown(data), size)
            for kind, severity, target in missing:
                made = corrupted(image, kind, severity, seed=seed, name=job.key)
                write_atomic(Path(target), _encoded(made, form, quality))
        return Made(job.key, digest, len(missing), len(job.targets) - len(missing))

    return make


def cut_out(image: PIL.Image.Image, size: int) -> PIL.Image.Image:
    """The middle ``size`` x ``size`` of the picture whose shorter side was made 256/224 of that; 0: the picture itself.

    Raises ImageError for a picture of less than 32 pixels on a side that is to stay as it is.
    """
    if not size:
        if min(image.size) < LEAST_SIDE:
            raise ImageError(
                "too-small", f"{image.size[0]} x {image.size[1]} pixels, less than {LEAST_SIDE} a side"
            )
        return image
    short = round(size * 256 / 224)
    width, height = image.size
    if width <= height:
        sides = (short, max(short, int(short * height / width)))
    else:
        sides = (max(short, int(short * width / height)), short)
    large = image.resize(sides, PIL.Image.Resampling.BILINEAR)
    left, top = round((sides[0] - size) / 2), round((sides[1] - size) / 2)
    return large.crop((left, top, left + size, top + size))


def _encoded(image: PIL.Image.Image, form: str, quality: int) -> bytes:
    if form == "jpeg":
        return encode_jpeg(image, quality)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
