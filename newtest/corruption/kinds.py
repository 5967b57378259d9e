"""The fifteen kinds by name, and one way to apply them.

The kinds, their severities and their constants are those of ImageNet-C (Hendrycks and Dietterich 2019, "Benchmarking
Neural Network Robustness to Common Corruptions and Perturbations"; ImageNet-C/create_c of its repository). The code is
ours. They are meant for pictures of about 224 pixels: on larger ones the same blur is a smaller part of the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.corruption import blur, digital, noise, weather
from newtest.draws import generator
from newtest.errors import UsageError

__all__ = ["FAMILIES", "KINDS", "SEVERITIES", "corrupted"]

Pixels = npt.NDArray[np.float64]
Kind = Callable[[Pixels, int, np.random.Generator], Pixels]

FAMILIES: dict[str, dict[str, Kind]] = {
    "noise": {
        "gaussian_noise": noise.gaussian_noise,
        "shot_noise": noise.shot_noise,
        "impulse_noise": noise.impulse_noise,
    },
    "blur": {
        "defocus_blur": blur.defocus_blur,
        "glass_blur": blur.glass_blur,
        "motion_blur": blur.motion_blur,
        "zoom_blur": blur.zoom_blur,
    },
    "weather": {
        "snow": weather.snow,
        "frost": weather.frost,
        "fog": weather.fog,
        "brightness": weather.brightness,
    },
    "digital": {
        "contrast": digital.contrast,
        "elastic_transform": digital.elastic_transform,
        "pixelate": digital.pixelate,
        "jpeg_compression": digital.jpeg_compression,
    },
}
"""Family -> name -> function of pixels (H, W, 3) in [0, 1], severity 1 to 5 and a generator."""
KINDS: dict[str, Kind] = {name: kind for family in FAMILIES.values() for name, kind in family.items()}
SEVERITIES = (1, 2, 3, 4, 5)
LEAST_SIDE = 32
"""Pixels: below it the kernels are larger than the picture."""


def unknown(kind: str) -> str:
    """What a message says about a name that is not a kind."""
    return f"`kind` {kind}: unknown; known are {', '.join(KINDS)}; or a family: {', '.join(FAMILIES)}"


def corrupted(
    image: PIL.Image.Image, kind: str, severity: int, *, seed: int = 0, name: str = ""
) -> PIL.Image.Image:
    """An RGB picture of the same size, corrupted. The same ``seed`` and ``name`` (of the picture) give the same pixels.

    Raises UsageError for an unknown kind or severity, or a picture of less than 32 pixels on a side.
    """
    if kind not in KINDS:
        raise UsageError(unknown(kind))
    if severity not in SEVERITIES:
        raise UsageError(f"`severity` {severity}: known are 1 to 5")
    if min(image.size) < LEAST_SIDE:
        raise UsageError(
            f"a picture of {image.size[0]} x {image.size[1]} pixels; at least {LEAST_SIDE} a side are needed"
        )
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    draws = generator(seed, "corrupt", kind, str(severity), name)
    found = np.clip(KINDS[kind](pixels, severity, draws), 0.0, 1.0)
    # The published code cuts to whole numbers; so do we.
    return PIL.Image.fromarray((found * 255 + 1e-6).astype(np.uint8), "RGB")
