"""What a model is shown of a picture: the resizing, cut and scaling that its weights were trained with.

The order of operations is open_clip's (``open_clip.transform.image_transform``): resize the whole picture, cut the
middle out, convert to RGB. Resizing and cutting in one step moves the picture by a fraction of a pixel.
``tests/conformance/test_open_clip_pixels.py`` compares the pixels with open_clip's own, for every published tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.errors import UsageError

__all__ = ["Preprocessing", "centre_cut", "preprocessing_of"]

Pixels = npt.NDArray[np.uint8]
Triple = tuple[float, float, float]
ResizeMode = Literal["shortest", "longest", "squash"]

OPENAI_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
"""What open_clip assumes where a configuration names no other: channels of pixels in 0 to 1."""

MOST_SIDE = 4096
"""Of a model's input, in pixels: a configuration from a hub that asks for more is not believed."""
LONG = 64
"""A picture so many times as long as it is wide is never enlarged as a whole: 1 x 5,000,000 would take 240 GB."""

_FILTERS = {"bicubic": PIL.Image.Resampling.BICUBIC, "bilinear": PIL.Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocessing:
    """``size`` is (height, width) in pixels. ``mean`` and ``std`` are those of the channels, pixels in 0 to 1.

    ``shortest``: the shorter side is brought to the size, the middle cut out. ``longest``: the longer side, the rest
    filled with ``fill``. ``squash``: both sides, whatever the picture's shape.
    """

    size: tuple[int, int]
    resize_mode: ResizeMode = "shortest"
    interpolation: str = "bicubic"
    fill: int = 0
    mean: Triple = OPENAI_MEAN
    std: Triple = OPENAI_STD

    def pixels(self, image: PIL.Image.Image) -> Pixels:
        """A picture as uint8 pixels, shape (height, width, 3). Thread-safe; needs no torch."""
        height, width = self.size
        kind = _FILTERS[self.interpolation]
        if self.resize_mode == "squash":
            return _array(_resized(image, (width, height), kind))
        if self.resize_mode == "longest":
            fitted = _resized(image, _by_ratio(image, self.size, max), kind)
            return _array(centre_cut(fitted, self.size, self.fill))
        if height == width:
            whole = _short_side(image, height)
        else:  # open_clip leaves the interpolation at bicubic here
            whole, kind = _by_ratio(image, self.size, min), PIL.Image.Resampling.BICUBIC
        if max(whole) > LONG * max(self.size):
            return _array(_middle(image, whole, self.size, kind))
        return _array(centre_cut(_resized(image, whole, kind), self.size))

    def __str__(self) -> str:
        height, width = self.size
        how = {
            "shortest": f"shorter side to fit {width}x{height} ({self.interpolation}), centre cut",
            "longest": f"longer side to fit {width}x{height} ({self.interpolation}), filled with {self.fill}",
            "squash": f"squashed to {width}x{height} ({self.interpolation})",
        }[self.resize_mode]
        mean, std = (" ".join(f"{value:g}" for value in triple) for triple in (self.mean, self.std))
        return f"{how}, mean {mean}, std {std}"


def preprocessing_of(config: Mapping[str, Any], size: Any, where: str) -> Preprocessing:
    """From open_clip's names (size, mean, std, interpolation, resize_mode, fill_color); what is absent is its default.

    ``size`` is an int or (height, width). Raises UsageError that begins with ``where``.
    """
    try:
        sides = tuple(int(side) for side in (size if isinstance(size, (list, tuple)) else (size, size)))
        if len(sides) != 2 or not all(1 <= side <= MOST_SIDE for side in sides):
            raise ValueError(f"size {size!r}")
        if config.get("mode", "RGB") != "RGB":
            raise ValueError(f"mode {config['mode']!r}")
        mode = config.get("resize_mode") or "shortest"
        if mode not in ("shortest", "longest", "squash"):
            raise ValueError(f"resize_mode {mode!r}")
        interpolation = config.get("interpolation") or "bicubic"
        if interpolation == "random":  # of the training alone
            interpolation = "bicubic"
        if interpolation not in _FILTERS:
            raise ValueError(f"interpolation {interpolation!r}")
        fill = int(config.get("fill_color") or 0)
        mean, std = _triple(config.get("mean") or OPENAI_MEAN), _triple(config.get("std") or OPENAI_STD)
        if not 0 <= fill <= 255 or not all(value > 0 for value in std):
            raise ValueError(f"fill_color {fill}, std {std}")
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{where}: open_clip does not know its preprocessing ({error})") from error
    return Preprocessing((sides[0], sides[1]), cast(ResizeMode, mode), interpolation, fill, mean, std)


def centre_cut(image: PIL.Image.Image, size: tuple[int, int], fill: int = 0) -> PIL.Image.Image:
    """The middle of (height, width), with ``fill`` around a smaller picture; rounded as torchvision does."""
    height, width = size
    image = _padded(image, size, fill)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image if image.size == (width, height) else image.crop((left, top, left + width, top + height))


def _padded(image: PIL.Image.Image, size: tuple[int, int], fill: int) -> PIL.Image.Image:
    width, height = max(size[1], image.width), max(size[0], image.height)
    if (width, height) == image.size:
        return image
    colour = (fill,) * len(image.getbands())
    ground = PIL.Image.new(image.mode, (width, height), colour if len(colour) > 1 else fill)
    if palette := image.getpalette():
        ground.putpalette(palette)
    ground.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return ground


def _resized(image: PIL.Image.Image, size: tuple[int, int], kind: PIL.Image.Resampling) -> PIL.Image.Image:
    return image if image.size == size else image.resize(size, kind)


def _short_side(image: PIL.Image.Image, side: int) -> tuple[int, int]:
    """(width, height) with the shorter side at ``side``; the other is cut to a whole number, not rounded."""
    short, long = min(image.size), max(image.size)
    other = int(side * long / short)
    return (side, other) if image.width <= image.height else (other, side)


def _by_ratio(image: PIL.Image.Image, size: tuple[int, int], which: Any) -> tuple[int, int]:
    """(width, height) that fit ``size`` by the larger or the smaller of the two ratios, rounded."""
    ratio = which(image.height / size[0], image.width / size[1])
    return max(1, round(image.width / ratio)), max(1, round(image.height / ratio))


def _middle(
    image: PIL.Image.Image, whole: tuple[int, int], size: tuple[int, int], kind: PIL.Image.Resampling
) -> PIL.Image.Image:
    """The middle of the picture at the size ``whole`` without making the rest: equal but for rounding."""
    left, top = round((whole[0] - size[1]) / 2), round((whole[1] - size[0]) / 2)
    across, down = image.width / whole[0], image.height / whole[1]
    right, bottom = min((left + size[1]) * across, image.width), min((top + size[0]) * down, image.height)
    return image.resize((size[1], size[0]), kind, box=(left * across, top * down, right, bottom))


def _array(image: PIL.Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"), np.uint8)


def _triple(values: Any) -> Triple:
    numbers = [float(value) for value in values] if isinstance(values, (list, tuple)) else [float(values)] * 3
    if len(numbers) != 3:
        raise ValueError(f"{len(numbers)} channels")
    return numbers[0], numbers[1], numbers[2]
