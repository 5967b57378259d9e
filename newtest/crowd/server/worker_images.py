"""Images as workers see them: small, without metadata, behind opaque addresses.

Every picture is encoded in the same way and sent with the same headers, so that neither its address nor its
bytes' form tell an original image from a new one.
"""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from newtest.catalog.crowd import file_of, hit_images
from newtest.errors import ImageError
from newtest.files import write_atomic
from newtest.images import thumbnail
from newtest.study import Study
from newtest.web.keys import Keys

__all__ = ["PICTURE_SIDE", "Pictures", "prepare_pictures"]

PICTURE_SIDE = 500
"""Longer side in pixels; the 2018 study showed 500 too."""

KEPT = 2_000
"""Pictures in memory: about 100 MB of them."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Pictures:
    """The pictures of a study. Their names are sealed together with the HIT's, so no two HITs share an
    address."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._root, self._keys = root, keys
        self._memory: OrderedDict[str, bytes] = OrderedDict()

    def token(self, hit_id: str, image_id: str) -> str:
        """The opaque name of an image in a HIT."""
        return self._keys.seal("picture", f"{hit_id}/{image_id}")

    def image_id(self, token: str) -> str | None:
        """The image that a token names; None for every token that is not ours."""
        name = self._keys.open("picture", token)
        return None if name is None else name.partition("/")[2]

    def is_ours(self, address: str) -> bool:
        """Whether an address, on whatever host, names a picture of this study."""
        token = address.rpartition("/picture/")[2]
        return "/picture/" in address and self.image_id(token) is not None

    def prepare(self, sha256: str) -> Path:
        """The picture's file, made where it is not there yet. Raises OSError or ImageError."""
        if not _SHA256.fullmatch(sha256):
            raise FileNotFoundError(sha256)
        path = self._root / "thumbnails" / sha256[:2] / f"{sha256}-{PICTURE_SIDE}.jpg"
        if not path.exists():
            write_atomic(
                path, thumbnail((self._root / "images" / sha256[:2] / sha256).read_bytes(), PICTURE_SIDE)
            )
        return path

    def in_memory(self, sha256: str) -> bytes | None:
        """The picture if it was read lately."""
        return self._memory.get(sha256)

    def read(self, sha256: str) -> bytes:
        """The picture, from the disk. Raises OSError or ImageError. May be called from several threads."""
        data = self.prepare(sha256).read_bytes()
        self._memory[sha256] = data
        while len(self._memory) > KEPT:
            with contextlib.suppress(KeyError):
                self._memory.popitem(last=False)
        return data


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
