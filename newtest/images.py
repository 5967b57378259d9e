"""Images as they come from strangers: checked before they are believed, and shown the right way up.

The bytes are never changed: EXIF orientation stays in them and is applied in what is shown. Sizes are in pixels,
``width`` × ``height``, as shown. Nothing is decoded before its header has passed the limits.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass

import PIL.Image

from newtest.errors import ImageError

__all__ = ["ImageInfo", "ImageLimits", "check", "encode_jpeg", "shown", "thumbnail"]

PIL.Image.init()  # ``open(formats=...)`` knows no plugin that was not loaded
# Pillow warns about headers that announce more than MAX_IMAGE_PIXELS; here that is an error, in every thread.
warnings.filterwarnings("error", category=PIL.Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="(Possibly corrupt|Corrupt) EXIF data", category=UserWarning)

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_MOST_PIXELS = 89_478_485  # Pillow's own MAX_IMAGE_PIXELS: a quarter gibibyte of RGB
_MOST_READS = 1_000_000


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted. ``formats`` are Pillow's names: those that photo hosts serve and researchers keep.

    JPEG covers MPO, the several pictures in one JPEG that some cameras write; the first is taken.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 80_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= _MOST_PIXELS:
            raise ValueError(f"`max_pixels` must lie in 1..{_MOST_PIXELS}, got {self.max_pixels}")


@dataclass(frozen=True)
class ImageInfo:
    """Pillow's name of the format, and the size in pixels as shown (EXIF orientation applied)."""

    format: str
    width: int
    height: int


def check(data: bytes, limits: ImageLimits | None = None) -> ImageInfo:
    """Say what an image is; raises ImageError for bytes that are not a whole image of a kind we accept.

    Its ``kind`` is one of ``empty``, ``too-many-bytes``, ``not-an-image``, ``too-many-pixels``, ``truncated``,
    ``undecodable``. Of a Huffman-coded JPEG only the structure is read, up to its end marker: that finds what is
    cut off, a hundred times as fast as decoding would. Everything else is decoded.
    """
    image = _open(data, limits or ImageLimits())
    info = _info(image)
    if info.format != "JPEG" or not _is_whole_jpeg(data):
        _load(image, within=1)
    return info


def shown(data: bytes, *, within: int | None = None, limits: ImageLimits | None = None) -> PIL.Image.Image:
    """The image as a person sees it: RGB, EXIF orientation applied, transparency over white.

    With ``within`` the caller needs no more than that many pixels on the longer side: the result fits it, and JPEGs
    are decoded at a fraction of their size where that is enough. Smaller images are not enlarged. Raises ImageError.
    """
    image = _open(data, limits or ImageLimits())
    return _upright(image, within)


def thumbnail(data: bytes, side: int) -> bytes:
    """A JPEG (quality 85, no metadata) of the image as shown, its longer side at most ``side``. Raises ImageError."""
    return encode_jpeg(shown(data, within=side))


def encode_jpeg(image: PIL.Image.Image, quality: int = 85) -> bytes:
    """An RGB image as JPEG bytes, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


class _Counted(io.BytesIO):
    """Bytes that Pillow may read a million pieces of: it takes a few a marker of a JPEG, a chunk of a PNG, a block of a
    GIF, and keeps most of them, so that a file of millions of empty ones would cost minutes and gigabytes."""

    _left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ImageError("undecodable", f"it is made of more than {_MOST_READS:,} pieces")
        return super().read(size)


def _open(data: bytes, limits: ImageLimits) -> PIL.Image.Image:
    if not data:
        raise ImageError("empty", "the file is empty")
    if len(data) > limits.max_bytes:
        raise ImageError("too-many-bytes", f"{len(data)} bytes are more than the {limits.max_bytes} allowed")
    try:
        image = PIL.Image.open(_Counted(data), formats=limits.formats)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ImageError(
            "too-many-pixels", f"the header announces more pixels than allowed ({error})"
        ) from error
    except PIL.UnidentifiedImageError as error:
        start = data[:16].hex(" ")
        raise ImageError(
            "not-an-image", f"no image of a format we accept (it begins with {start})"
        ) from error
    except Exception as error:  # decoders meet hostile headers with errors of every kind
        raise ImageError("undecodable", f"the header cannot be read ({error})") from error
    if image.width * image.height > limits.max_pixels:
        size = f"{image.width} x {image.height}"
        raise ImageError("too-many-pixels", f"{size} pixels are more than the {limits.max_pixels} allowed")
    return image


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


def _load(image: PIL.Image.Image, within: int | None) -> None:
    """Decode, at a fraction of the size where the format can (JPEG's draft) and ``within`` is enough."""
    try:
        if within is not None and max(image.size) > within:
            share = within / max(image.size)
            image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))
        image.load()
    except Exception as error:  # as above; the bytes are a stranger's
        cut = isinstance(error, (OSError, EOFError, SyntaxError)) and "truncated" in str(error).lower()
        kind = "truncated" if cut else "undecodable"
        raise ImageError(kind, f"the picture cannot be decoded ({error})") from error


def _upright(image: PIL.Image.Image, within: int | None) -> PIL.Image.Image:
    turn = _orientation(image)
    _load(image, within)
    flat = _flattened(image)
    if within is not None:
        flat.thumbnail((within, within), PIL.Image.Resampling.BICUBIC)
    return _turned(flat, turn)


def _flattened(image: PIL.Image.Image) -> PIL.Image.Image:
    """RGB over white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = PIL.Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(ground, layer).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    return image.convert("RGB")


def _orientation(image: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block is no reason to lose the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned(image: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    method = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_270,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def _info(image: PIL.Image.Image) -> ImageInfo:
    width, height = image.size
    if _orientation(image) in _SIDEWAYS:
        width, height = height, width
    return ImageInfo(image.format or "", width, height)
