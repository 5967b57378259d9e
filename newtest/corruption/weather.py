"""Weather: snow, frost, fog, brightness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.corruption.blur import drawn_out, zoomed

__all__ = ["brightness", "fog", "frost", "snow"]

Pixels = npt.NDArray[np.float64]
GREY = np.array([0.299, 0.587, 0.114])
"""Luma of Rec. 601."""


def snow(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Flakes drawn out by the wind, twice (once upside down), over a picture that is whitened."""
    mean, deviation, zoom, least, radius, blur, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    flakes = zoomed(draws.normal(mean, deviation, x.shape[:2]), zoom)
    flakes = np.clip(np.where(flakes < least, 0.0, flakes), 0, 1)
    flakes = np.round(drawn_out(flakes, radius, blur, draws.uniform(-135, -45)) * 255) / 255
    white = np.maximum(x, (x @ GREY)[..., None] * 1.5 + 0.5)
    # Both layers on a picture that is not a square: turned by 180 degrees, the second fits too.
    found: Pixels = kept * x + (1 - kept) * white + flakes[..., None] + flakes[::-1, ::-1, None]
    return found


def frost(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Ice crystals over the picture, mixed in these shares.

    The published code takes a piece of one of six photographs, which are not ours to ship: here the ice is drawn, in
    the photographs' mean colour and contrast. So this kind is like ImageNet-C's, and not the same.
    """
    kept, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    found: Pixels = kept * x + ice * _ice(x.shape[:2], draws)
    return found


_ICE = np.array([0.49, 0.57, 0.62])
"""Mean colour of the published code's photographs of frost."""


def _ice(shape: tuple[int, ...], draws: np.random.Generator) -> Pixels:
    """Needles in a few directions, denser in some places, (H, W, 3) in [0, 1]."""
    height, width = shape
    needles = np.zeros((height, width))
    for degrees in draws.uniform(-180, 180, 4):
        layer = drawn_out(draws.normal(0, 1, (height, width)), 9, 5.0, float(degrees))
        needles += np.abs(layer) / layer.std()
    needles = (needles - needles.mean()) / needles.std()
    clouds = _plasma(max(shape), 2.0, draws)[:height, :width]
    clouds = (clouds - clouds.mean()) / max(float(clouds.std()), 1e-9)
    grey = 0.09 * clouds + 0.05 * needles * (1 + 0.4 * np.tanh(clouds))
    tone = _ICE + draws.uniform(-0.12, 0.28)
    return np.asarray(np.clip(tone + grey[..., None], 0.0, 1.0), dtype=np.float64)


def fog(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """A plasma fractal added, and the whole darkened to the brightness it had."""
    amount, decay = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    brightest = float(x.max())
    clouds = _plasma(max(x.shape[:2]), decay, draws)[: x.shape[0], : x.shape[1]]
    found: Pixels = (x + amount * clouds[..., None]) * brightest / (brightest + amount)
    return found


def _plasma(side: int, decay: float, draws: np.random.Generator) -> Pixels:
    """A height map in [0, 1] by the diamond-square rule (Fournier, Fussell and Carpenter 1982), wrapped at its edges.

    Its side is the next power of two. Each round adds noise of half the last one's spacing, ``decay`` squared times as
    weak as the round before: the published code multiplies the amplitude with itself.
    """
    size = 1 << max(1, int(side - 1).bit_length())
    heights = np.zeros((size, size))
    step, amplitude = size, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        across = corners + np.roll(corners, -1, axis=0)
        heights[half::step, half::step] = _mean(across + np.roll(across, -1, axis=1), amplitude, draws)
        middles = heights[half::step, half::step]
        upright = middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        heights[::step, half::step] = _mean(upright, amplitude, draws)
        sideways = middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        heights[half::step, ::step] = _mean(sideways, amplitude, draws)
        step, amplitude = half, amplitude / decay
    heights -= heights.min()
    return np.asarray(heights / heights.max(), dtype=np.float64)


def _mean(four: Pixels, amplitude: float, draws: np.random.Generator) -> Pixels:
    found: Pixels = four / 4 + amplitude * draws.uniform(-amplitude, amplitude, four.shape)
    return found


def brightness(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """The V of HSV raised by this much; hue and saturation stay."""
    more = (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    value = x.max(axis=-1, keepdims=True)
    raised = np.clip(value + more, 0, 1)
    found = np.where(value > 0, x * (raised / np.where(value > 0, value, 1)), raised)
    return np.asarray(found, dtype=np.float64)
