"""Images as workers see them: one size, without metadata, behind opaque addresses.

Nothing about a picture but what it shows tells an original image from a new one: all are scaled to the same longer
side (originals are often smaller), encoded in the same way, filled up to whole blocks of bytes, sent with the same
headers, and never sooner than ``FLOOR_SECONDS`` after they were asked for, whether they lay in a cache or not. Their
addresses have one length and hold no name: the place in the HIT, and the link of the worker who may see it.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from newtest.catalog.crowd import HitImage, file_of, hit_images
from newtest.errors import ImageError
from newtest.files import bytes_of, write_atomic
from newtest.images import encode_jpeg, shown
from newtest.study import Study
from newtest.web.keys import Keys

__all__ = ["FLOOR_SECONDS", "PICTURE_SIDE", "Pictures", "Place", "prepare_pictures"]

PICTURE_SIDE = 500
"""Longer side in pixels; the 2018 study showed 500 too."""

BLOCK = 65_536
"""Pictures are filled up to a multiple of so many bytes: most photos of that size need one block."""

KEPT = 1_000
"""Pictures in memory: 64 MiB of them, where each takes one block."""

FLOOR_SECONDS = 0.02
"""No answer comes sooner: a control that was read a minute ago does not answer faster than an image that was not."""

ANYBODY = "-" * 24
"""In place of a link: pictures of HITs that were published through the protocol, whose workers we do not know."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"([0-9a-f]{24}|-{24})/([^/]+)/(\d{6})")


@dataclass(frozen=True)
class Place:
    """What an address stands for: a place in a HIT, and the link of the worker who may see it (None: whoever has the
    address)."""

    link_id: str | None
    hit_id: str
    position: int


class Pictures:
    """The pictures of a study and their addresses."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._root, self._keys = root, keys
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self.ready: set[str] = set()
        """HITs whose pictures have all been made."""

    def token(self, hit_id: str, image: HitImage, link_id: str | None = None) -> str:
        """The opaque name of an image in a HIT, for one worker. All of a study's have the same length."""
        return self._keys.seal("picture", f"{link_id or ANYBODY}/{hit_id}/{image.position:06d}")

    def place(self, token: str) -> Place | None:
        """What a token stands for; None for every token that is not ours."""
        match = _PLACE.fullmatch(self._keys.open("picture", token) or "")
        if match is None:
            return None
        link_id, hit_id, position = match.groups()
        return Place(None if link_id == ANYBODY else link_id, hit_id, int(position))

    def is_ours(self, address: str) -> bool:
        """Whether an address, on whatever host, names a picture of this study."""
        return "/picture/" in address and self.place(address.rpartition("/picture/")[2]) is not None

    def prepare(self, sha256: str) -> Path:
        """The picture's file, made where it is not there yet. Raises OSError or ImageError."""
        if not _SHA256.fullmatch(sha256):
            raise FileNotFoundError(sha256)
        path = self._root / "thumbnails" / sha256[:2] / f"{sha256}-{PICTURE_SIDE}-blind.jpg"
        if not path.exists():
            write_atomic(path, _blind(bytes_of(self._root / "images" / sha256[:2] / sha256)))
        return path

    def make_ready(self, hit_id: str, hashes: Iterable[str]) -> None:
        """Make every picture of a HIT, before its page asks for the first: one that had to be made would answer later
        than the others, the later the larger it was. Those that cannot be made stay missing."""
        for sha256 in hashes:
            with contextlib.suppress(OSError, ImageError):
                self.prepare(sha256)
        self.ready.add(hit_id)

    def in_memory(self, sha256: str) -> bytes | None:
        """The picture if it was read lately; ``FLOOR_SECONDS`` hides from people that it was."""
        return self._memory.get(sha256)

    def read(self, sha256: str) -> bytes:
        """The picture, from the disk. Raises OSError or ImageError. May be called from several threads."""
        data = bytes_of(self.prepare(sha256))
        self._memory[sha256] = data
        while len(self._memory) > KEPT:
            with contextlib.suppress(KeyError):
                self._memory.popitem(last=False)
        return data


def _blind(data: bytes) -> bytes:
    """The image with its longer side of exactly ``PICTURE_SIDE`` pixels, as a JPEG of whole blocks of bytes."""
    image = shown(data, within=PICTURE_SIDE)
    scale = PICTURE_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if size != image.size:
        image = image.resize(size, PIL.Image.Resampling.BICUBIC)
    return _filled_up(encode_jpeg(image))


def _filled_up(jpeg: bytes) -> bytes:
    """A JPEG with comments of zeros behind its first marker, so that its size is a multiple of ``BLOCK``."""
    missing = -len(jpeg) % BLOCK
    if 0 < missing < 4:  # a comment takes four bytes at least
        missing += BLOCK
    out = io.BytesIO()
    out.write(jpeg[:2])
    while missing:
        piece = min(missing, 32_768)
        if 0 < missing - piece < 4:
            piece -= 4
        out.write(b"\xff\xfe" + (piece - 2).to_bytes(2, "big") + bytes(piece - 4))
        missing -= piece
    out.write(jpeg[2:])
    return out.getvalue()


def prepare_pictures(study: Study, pictures: Pictures, hit_ids: Iterable[str]) -> list[str]:
    """Make every picture of some HITs before people wait for it; gives the images that cannot be shown, and why."""
    failed = []
    for image_id in sorted(
        {image.image_id for hit_id in hit_ids for image in hit_images(study.catalog, hit_id)}
    ):
        sha256 = file_of(study.catalog, image_id)
        try:
            pictures.prepare(sha256 or "")
        except (OSError, ImageError) as error:
            failed.append(f"{image_id}: {error}")
    return failed
