"""Colours as sRGB, 8 bits a channel, over white: what people see and what models take.

The rules. An ICC profile that fits the picture's channels is applied (perceptual intent), one that cannot be read or
does not fit is passed over, as browsers do. Grey of 9 to 16 bits is scaled so that the brightest value becomes 255.
What is transparent shows white. Colour spaces that are told in other ways (PNG's gAMA, cICP of AVIF and HEIC) are not
applied. The work goes in bands, so that no picture is in memory three times.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms

from newtest.images.opening import Opened

__all__ = ["as_srgb"]

_BAND = 1 << 20
"""Pixels that are worked on at a time."""
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SAME = 2
"""A profile that moves no colour by more than so many of 255 levels is sRGB's own."""
_LARGEST = 8 << 20
"""Bytes of a profile; those of presses have one or two million."""
_WHITE = (255, 255, 255, 255)


Apply = Callable[[PIL.Image.Image], PIL.Image.Image]


def as_srgb(opened: Opened, *, profile: bool = True) -> PIL.Image.Image:
    """The decoded picture as RGB; the very image where it is that already. ``profile``: apply the ICC profile."""
    image = opened.image
    transform = _profile_of(image) if profile else None
    if image.mode.startswith("I"):
        return _by_bands(image, lambda band: _deep(band, opened, transform))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _by_bands(image, lambda band: _over_white(band, transform))
    if image.mode == "RGB" and transform is None:
        return image
    return _by_bands(image, lambda band: _flat(band, transform))


def _by_bands(image: PIL.Image.Image, convert: Apply) -> PIL.Image.Image:
    made = PIL.Image.new("RGB", image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        made.paste(convert(band), (0, top))
    return made


def _flat(band: PIL.Image.Image, transform: _Profile | None) -> PIL.Image.Image:
    """Colours without what is transparent, as RGB."""
    if transform is None:
        return band.convert("RGB")
    return transform.apply(band if band.mode == transform.mode else band.convert(transform.mode))


def _over_white(band: PIL.Image.Image, transform: _Profile | None) -> PIL.Image.Image:
    layer = band.convert("RGBA")
    alpha = layer.getchannel("A")
    if transform is not None:
        layer = _flat(layer.convert("RGB"), transform)
        layer.putalpha(alpha)
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")


def _deep(band: PIL.Image.Image, opened: Opened, transform: _Profile | None) -> PIL.Image.Image:
    """Grey of more than 8 bits; where a PNG names one value as transparent, that is white."""
    values = np.asarray(band).astype(np.uint32)
    grey = np.minimum((values * 255 + opened.white // 2) // opened.white, 255).astype(np.uint8)
    if opened.inverted:
        grey = 255 - grey
    flat = np.array(_flat(PIL.Image.fromarray(grey), transform))
    clear = opened.image.info.get("transparency")
    if isinstance(clear, int):
        flat[values == clear] = 255
    return PIL.Image.fromarray(flat)


class _Profile:
    """A picture's ICC profile, ready to be applied to images of ``mode``."""

    def __init__(self, mode: str, transform: PIL.ImageCms.ImageCmsTransform) -> None:
        self.mode, self._transform = mode, transform

    def apply(self, image: PIL.Image.Image) -> PIL.Image.Image:
        made = self._transform.apply(image)
        made.info.pop("icc_profile", None)
        return made

    def moves(self) -> bool:
        """Whether any colour of a grid changes by what an eye could see."""
        levels = (0, 32, 64, 96, 128, 160, 192, 224, 255)
        grid = np.array(list(product(levels, repeat=3)), np.uint8)[None]
        image = PIL.Image.fromarray(grid)
        made = np.asarray(self.apply(image)).astype(int)
        return bool(np.abs(made - grid).max() > _SAME)


def _profile_of(image: PIL.Image.Image) -> _Profile | None:
    """The transform that a picture's profile asks for; None where it has none, or none that fits."""
    told = image.info.get("icc_profile")
    if not isinstance(told, bytes) or len(told) > _LARGEST:
        return None
    mode = {"CMYK": "CMYK", "L": "L", "LA": "L", "1": "L"}.get(
        image.mode, "L" if image.mode[0] == "I" else "RGB"
    )
    return _profile(told, mode)


@lru_cache(maxsize=16)
def _profile(told: bytes, mode: str) -> _Profile | None:
    try:
        read: Any = PIL.ImageCms.ImageCmsProfile(io.BytesIO(told))
        if _SPACES.get(read.profile.xcolor_space) != mode:
            return None
        transform = PIL.ImageCms.buildTransform(
            read,
            PIL.ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            PIL.ImageCms.Intent.PERCEPTUAL,
            PIL.ImageCms.Flags.NOCACHE,  # threads would share it
        )
        made = _Profile(mode, transform)
        return made if mode != "RGB" or made.moves() else None
    except Exception:  # a stranger's profile: no reason to lose the picture
        return None
