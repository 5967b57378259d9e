"""Images made smaller, or written again in another format, while they are fetched: img2dataset's modes.

``keep_ratio`` makes the shorter side so long, ``keep_ratio_largest`` the longer one; ``center_crop`` makes the shorter
side so long and cuts a square out of the middle; ``border`` makes the longer side so long and fills up to a square
with white. Smaller pictures are made by averaging areas, larger ones by Lanczos' filter.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import PIL.Image

from newtest.errors import UsageError
from newtest.images import shown

__all__ = ["MODES", "Resize", "Resized", "resized"]

MODES = ("no", "keep_ratio", "keep_ratio_largest", "center_crop", "border")
_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Resize:
    """``size`` in pixels; ``quality`` of JPEG and WebP, 1 to 100. Mode ``no`` writes the image again in ``format``."""

    mode: Literal["no", "keep_ratio", "keep_ratio_largest", "center_crop", "border"] = "border"
    size: int = 256
    format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = 95
    only_if_bigger: bool = False
    """Leave an image as it came whose sides are small enough already; the squares of ``border`` are not made then."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"`resize` {self.mode!r} is not one of {', '.join(MODES)}")
        if self.format not in _FORMATS:
            raise UsageError(f"`format` {self.format!r} is not one of {', '.join(_FORMATS)}")
        if not 1 <= self.size <= 16_384:
            raise UsageError(f"`size` is 1 to 16,384 pixels, not {self.size}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"`quality` is 1 to 100, not {self.quality}")

    def describe(self) -> dict[str, Any]:
        """Plain values, for what a pool says of itself."""
        return asdict(self)


@dataclass(frozen=True)
class Resized:
    """The new bytes, Pillow's name of their format, and the size in pixels."""

    data: bytes
    format: str
    width: int
    height: int


def resized(data: bytes, config: Resize) -> Resized | None:
    """The image as it is to be kept; None where it stays as it came. EXIF orientation and ICC profile are applied, and
    no metadata is kept. Raises ImageError.
    """
    image = shown(data)
    if config.only_if_bigger and config.mode != "no" and _is_small(image.size, config):
        return None
    made = _made(image, config)
    buffer = io.BytesIO()
    if config.format == "png":
        made.save(buffer, "PNG")
    else:
        made.save(buffer, _FORMATS[config.format], quality=config.quality)
    return Resized(buffer.getvalue(), _FORMATS[config.format], made.width, made.height)


def _is_small(size: tuple[int, int], config: Resize) -> bool:
    side = max(size) if config.mode in ("keep_ratio_largest", "border") else min(size)
    return side <= config.size


def _made(image: PIL.Image.Image, config: Resize) -> PIL.Image.Image:
    if config.mode == "no":
        return image
    by_longer = config.mode in ("keep_ratio_largest", "border")
    scaled = _scaled(image, config.size / (max(image.size) if by_longer else min(image.size)))
    side = config.size
    if config.mode == "center_crop":
        left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
        return scaled.crop((left, top, left + side, top + side))
    if config.mode == "border":
        square = PIL.Image.new("RGB", (side, side), _WHITE)
        square.paste(scaled, ((side - scaled.width) // 2, (side - scaled.height) // 2))
        return square
    return scaled


def _scaled(image: PIL.Image.Image, factor: float) -> PIL.Image.Image:
    size = cast(tuple[int, int], tuple(max(1, round(side * factor)) for side in image.size))
    if size == image.size:
        return image
    return image.resize(size, PIL.Image.Resampling.BOX if factor < 1 else PIL.Image.Resampling.LANCZOS)
