"""Images as they come from strangers: checked before they are believed, and shown the right way up.

This is the one door: no other module opens an image, so the same kinds (``kinds.py``), limits and memory
(``opening.py``, ``memory.py``) and colours (``colours.py``) hold for every command. The bytes are never changed: EXIF
orientation and ICC profile stay in them and are applied in what is shown. Sizes are in pixels, ``width`` × ``height``,
as shown. Of an image with several pictures (animated, or of several pages) the first is taken.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import PIL.Image

from newtest.errors import ImageError
from newtest.images.colours import as_srgb
from newtest.images.kinds import KINDS, SUFFIXES, Kind, kind_named, kind_of, suffix_of
from newtest.images.memory import parallel, room
from newtest.images.opening import ImageLimits, load, open_image, read_image

__all__ = [
    "KINDS",
    "SUFFIXES",
    "ImageError",
    "ImageInfo",
    "ImageLimits",
    "Kind",
    "check",
    "encode_jpeg",
    "kind_named",
    "kind_of",
    "luma",
    "parallel",
    "read_image",
    "shown",
    "suffix_of",
    "thumbnail",
]

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageInfo:
    """Pillow's name of the format, the size in pixels as shown (EXIF orientation applied), and whether there is more
    than the first picture, which is the one that is shown.
    """

    format: str
    width: int
    height: int
    animated: bool = False


def check(data: bytes, limits: ImageLimits | None = None) -> ImageInfo:
    """Say what an image is; raises ImageError for bytes that are not a whole image of a kind we accept.

    Its ``kind`` is one of ``empty``, ``too-many-bytes``, ``not-an-image``, ``needs-extra``, ``unsupported``,
    ``unsupported-depth``, ``too-many-pixels``, ``too-much-memory``, ``truncated``, ``undecodable``. Of a Huffman-coded
    JPEG only the structure is read, up to its end marker: that finds what is cut off, a hundred times as fast as
    decoding would. Everything else is decoded.
    """
    opened = open_image(data, limits or ImageLimits())
    info = ImageInfo(opened.image.format or "", *opened.size, opened.animated)
    if info.format != "JPEG" or not _is_whole_jpeg(data):
        with room(opened.needed):
            load(opened, within=1)
    return info


def shown(data: bytes, *, within: int | None = None, limits: ImageLimits | None = None) -> PIL.Image.Image:
    """The image as a person sees it: sRGB, EXIF orientation applied, transparency over white, without metadata.

    With ``within`` the caller needs no more than that many pixels on the longer side: the result fits it, and JPEGs
    are decoded at a fraction of their size where that is enough. Smaller images are not enlarged. Raises ImageError.
    """
    opened = open_image(data, limits or ImageLimits())
    turn = opened.turn
    with room(opened.needed):
        load(opened, within)
        flat = as_srgb(opened)
        del opened  # what was decoded goes before another copy is made
        flat.info = {}
        if within is not None:
            flat.thumbnail((within, within), PIL.Image.Resampling.BICUBIC)
        return _turned(flat, turn)


def luma(data: bytes, side: int, limits: ImageLimits | None = None) -> PIL.Image.Image:
    """The image as ``side`` × ``side`` grey levels (mode L), upright, squashed whatever its shape, for perceptual
    hashes. Of JPEGs the luma alone is decoded, at a reduced size; ICC profiles are left aside. Raises ImageError.
    """
    opened = open_image(data, limits or ImageLimits())
    with room(opened.needed):
        load(opened, squashed=side)
        plain = opened.image.mode in ("L", "RGB") and "transparency" not in opened.image.info
        image = opened.image if plain else as_srgb(opened, profile=False)
        upright = _turned(image, opened.turn).convert("L")
        return upright.resize((side, side), PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)


def thumbnail(data: bytes, side: int) -> bytes:
    """A JPEG (quality 85, no metadata) of the image as shown, its longer side at most ``side``. Raises ImageError."""
    return encode_jpeg(shown(data, within=side))


def encode_jpeg(image: PIL.Image.Image, quality: int = 85) -> bytes:
    """An RGB image as JPEG bytes, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _turned(image: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    method = _TURNS.get(orientation)
    return image if method is None else image.transpose(method)


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether a baseline or progressive JPEG goes on to its end marker; False also when that cannot be told.

    Inside coded data 0xFF is followed by 0 or a restart marker (ITU T.81, B.1.1.5), so an end marker behind the
    start of the first scan is the real one, not that of a preview inside the metadata.
    """
    place, frame = 2, 0
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:  # start of scan
            return frame in (0xC0, 0xC1, 0xC2) and data.rfind(b"\xff\xd9") > place
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = marker
        place += 1 if marker == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False
