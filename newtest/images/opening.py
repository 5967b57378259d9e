"""The one place where images are opened: nothing is decoded before its kind, size and memory have passed the limits."""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PIL.Image

from newtest.errors import ImageError
from newtest.files import open_bytes
from newtest.images.kinds import HEAD, KINDS, Kind, kind_of, missing_extra
from newtest.images.memory import BUDGET, DECODING, cost, webp_size
from newtest.reading.texts import read_at_most

__all__ = ["ImageLimits", "Opened", "load", "open_image", "read_image"]

# Pillow warns about headers that announce more than MAX_IMAGE_PIXELS; here that is an error, in every thread.
warnings.filterwarnings("error", category=PIL.Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\..*")  # of metadata that cannot be read

_ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_LENGTH, _SAMPLE_FORMAT = 258, 262, 322, 323, 339
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_MOST_PIXELS = 89_478_485  # Pillow's own MAX_IMAGE_PIXELS: a quarter gibibyte of RGB
_MOST_READS = 1_000_000


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted. ``formats`` are Pillow's names of kinds (``newtest.images.kinds``); JPEG covers MPO, the
    several pictures in one JPEG that some cameras write. ``max_memory`` is in bytes, for one picture.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 80_000_000
    formats: tuple[str, ...] = tuple(kind.name for kind in KINDS)
    max_memory: int = BUDGET

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= _MOST_PIXELS:
            raise ValueError(f"`max_pixels` must lie in 1..{_MOST_PIXELS}, got {self.max_pixels}")


@dataclass(frozen=True)
class Opened:
    """An image whose header has passed. ``needed``: bytes at the peak of decoding it; ``turn``: the EXIF orientation
    that is still to be applied; ``white``: the value of its brightest grey where it has more than 8 bits, and
    ``inverted`` where that is black; ``part``: a JPEG too large for its budget is decoded at a half, a quarter or an
    eighth of its sides.
    """

    image: PIL.Image.Image
    needed: int
    turn: int = 1
    white: int = 0
    inverted: bool = False
    part: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown."""
        width, height = self.image.size
        return (height, width) if self.turn in _SIDEWAYS else (width, height)

    @property
    def animated(self) -> bool:
        """Whether there is more than the first picture, which is the one that is taken."""
        if self.image.format == "MPO":
            return False  # previews of the same photo
        try:
            return bool(getattr(self.image, "is_animated", False))
        except Exception:  # a second picture that cannot be read does not count
            return False


def read_image(path: Path | str, limits: ImageLimits | None = None) -> bytes:
    """The bytes of a file, at most one more than the limit. Raises OSError, also for what is not a regular file."""
    with open_bytes(path) as handle:
        return read_at_most(handle, (limits or ImageLimits()).max_bytes)


def open_image(data: bytes, limits: ImageLimits) -> Opened:
    """Read the header. Raises ImageError, whose ``kind`` says what is wrong in a word."""
    kind = _accepted(data, limits)
    if kind.name == "WEBP":
        _check_webp(data, kind, limits)
    image = _header(data, kind)
    _check_pixels(image.size, limits)
    _cut_transparency(image)
    white, inverted = _depth(image)
    _check_tiles(image, limits)
    # A PNG may tell its orientation behind its pixels: Pillow decodes it to find that.
    late = kind.name == "PNG" and "exif" not in image.info
    turn = 1 if late else _orientation(image)
    scans, turned = kind.name == "JPEG" and _has_scans(data), turn != 1 or (late and b"eXIf" in data)
    needed, part = cost(image, scans=scans, sideways=turned), 1
    if needed > limits.max_memory and kind.name == "JPEG":
        needed, part = _reduced(image, limits.max_memory, scans=scans, turned=turned)
    _check_memory(image.size, kind, needed, limits)
    if late and turned:
        turn = _orientation(image)
    # Pillow turns TIFFs as it decodes them.
    return Opened(image, needed, 1 if kind.name == "TIFF" else turn, white, inverted, part)


def load(opened: Opened, within: int | None = None, *, squashed: int | None = None) -> None:
    """Decode, at a fraction of the size where the format can (JPEG's draft) and ``within`` is enough for the longer
    side; ``squashed`` is enough for each side, in grey.
    """
    image = opened.image
    sides = [side // opened.part for side in image.size]
    if squashed is not None:
        sides = [min(side, squashed) for side in sides]
    elif within is not None and max(image.size) > within:
        share = within / max(image.size)
        sides = [min(side, math.ceil(whole * share)) for side, whole in zip(sides, image.size, strict=True)]
    try:
        if squashed is not None or tuple(sides) != image.size:
            image.draft(None if squashed is None else "L", (max(1, sides[0]), max(1, sides[1])))
        image.load()
    except ImageError:
        raise
    except Exception as error:  # the bytes are a stranger's, and decoders meet them with errors of every kind
        cut = isinstance(error, (OSError, EOFError, SyntaxError)) and "truncated" in str(error).lower()
        kind = "truncated" if cut else "undecodable"
        raise ImageError(kind, f"the picture cannot be decoded ({error})") from error


class _Counted(io.BytesIO):
    """Bytes that Pillow may read a million pieces of: it takes a few a marker of a JPEG, a chunk of a PNG, a block of a
    GIF, and keeps most of them, so that a file of millions of empty ones would cost minutes and gigabytes."""

    _left = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ImageError("undecodable", f"it is made of more than {_MOST_READS:,} pieces")
        return super().read(size)


def _stream(data: bytes, kind: Kind) -> io.BytesIO:
    """For Pillow to read. Each read of a JPEG takes a byte at least, so those of a small one need no counting."""
    return io.BytesIO(data) if kind.name == "JPEG" and len(data) <= _Counted._left else _Counted(data)


def _accepted(data: bytes, limits: ImageLimits) -> Kind:
    if not data:
        raise ImageError("empty", "the file is empty")
    if len(data) > limits.max_bytes:
        raise ImageError("too-many-bytes", f"more than the {limits.max_bytes} bytes allowed")
    kind = kind_of(data[:HEAD])
    if kind is None or kind.name not in limits.formats:
        start = data[:16].hex(" ")
        raise ImageError("not-an-image", f"no image of a kind we accept (it begins with {start})")
    if extra := missing_extra(kind):
        raise ImageError("needs-extra", f'a {kind.name} picture; to read it: pip install "newtest[{extra}]"')
    return kind


@cache
def _ready(kind: Kind) -> bool:
    """Load the decoders; whether Pillow has one of this kind."""
    PIL.Image.init()  # ``open(formats=...)`` knows no plugin that was not loaded
    if kind.extra == "heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if kind.name == "AVIF":
        from PIL import features

        return bool(features.check("avif"))
    return kind.name in PIL.Image.OPEN


def _header(data: bytes, kind: Kind) -> PIL.Image.Image:
    if not _ready(kind):
        raise ImageError("unsupported", f"this installation of Pillow cannot read {kind.name}")
    try:
        return PIL.Image.open(_stream(data, kind), formats=(kind.name,))
    except ImageError:
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ImageError(
            "too-many-pixels", f"the header announces more pixels than allowed ({error})"
        ) from error
    except Exception as error:
        reason = "" if isinstance(error, PIL.UnidentifiedImageError) else f" ({error})"
        raise ImageError("undecodable", f"the picture cannot be read as {kind.name}{reason}") from error


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width <= 0 or height <= 0:
        raise ImageError("undecodable", f"the header announces {width} x {height} pixels")
    if width * height > limits.max_pixels:
        raise ImageError(
            "too-many-pixels", f"{width} x {height} pixels are more than the {limits.max_pixels} allowed"
        )


def _check_webp(data: bytes, kind: Kind, limits: ImageLimits) -> None:
    """Before Pillow sees it: its decoder allocates two canvases as it opens."""
    size = webp_size(data[:HEAD])
    if size is None:
        raise ImageError("undecodable", "the picture cannot be read as WEBP")
    _check_pixels(size, limits)
    _check_memory(size, kind, size[0] * size[1] * DECODING["WEBP"], limits)


def _check_memory(size: tuple[int, int], kind: Kind, needed: int, limits: ImageLimits) -> None:
    if needed > limits.max_memory:
        taken = f"{size[0]} x {size[1]} pixels of {kind.name} take {needed >> 20} MiB to decode"
        raise ImageError("too-much-memory", f"{taken}, more than the {limits.max_memory >> 20} MiB allowed")


def _check_tiles(image: PIL.Image.Image, limits: ImageLimits) -> None:
    """A TIFF's tile is decoded whole, however little of it the picture has."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None:
        return
    try:
        area = int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))
    except (TypeError, ValueError) as error:
        raise ImageError("undecodable", f"the tiles of this TIFF have no size ({error})") from error
    if area * 8 > limits.max_memory:
        raise ImageError("too-much-memory", f"a tile of {area} pixels is more than memory is allowed for")


def _depth(image: PIL.Image.Image) -> tuple[int, bool]:
    """The value of the brightest grey, 0 for 8 bits, and whether it stands for black (TIFF's WhiteIsZero).

    Raises ImageError for values of 32 bits and for fractions: nothing in the file says which of them is white.
    """
    tags: Any = getattr(image, "tag_v2", {})
    unsigned = set(tags.get(_SAMPLE_FORMAT, ())) <= {1, 4}  # of 8 bits with a sign, Pillow makes grey
    if not unsigned or image.mode == "F" or (image.mode == "I" and image.format not in ("PPM", "PNG")):
        raise ImageError(
            "unsupported-depth",
            "its values are fractions, or have a sign or 32 bits, so that nothing says which is white; "
            "save it with 8 or 16 bits",
        )
    if not image.mode.startswith("I"):
        return 0, False
    bits = tags.get(_BITS, (16,))[0]
    return 2**bits - 1, tags.get(_PHOTOMETRIC) == 0


def _cut_transparency(image: PIL.Image.Image) -> None:
    """A PNG's transparent colour of 16 bits a channel, cut to the upper eight as Pillow cuts the pixels."""
    clear = image.info.get("transparency")
    tiles: Any = getattr(image, "tile", None)
    if image.format == "PNG" and isinstance(clear, tuple) and tiles and "16B" in str(tiles[0][3]):
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _orientation(image: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block is not a reason to lose the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reduced(image: PIL.Image.Image, budget: int, *, scans: bool, turned: bool) -> tuple[int, int]:
    """(bytes, part) of a JPEG that is decoded at a part of its sides, so that it fits its budget.

    The coefficients of several scans are held at full size all the same.
    """
    whole = cost(image, scans=False, sideways=turned)
    held = image.width * image.height * 2 * len(image.getbands()) if scans else 0
    for part in (2, 4, 8):
        needed = held + whole // part**2
        if needed <= budget:
            break
    return needed, part


def _has_scans(data: bytes) -> bool:
    """Whether libjpeg holds all coefficients of this JPEG: a progressive one, or one whose first scan lacks a part."""
    place, frame, parts = 2, 0, 0
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:
            return frame in (0xC2, 0xCA) or data[place + 4 : place + 5] != bytes([parts])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, parts = marker, int.from_bytes(data[place + 9 : place + 10], "big")
        place += 1 if marker == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True  # cannot be told: assume the worse
