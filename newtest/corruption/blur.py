"""Blur: out of focus, through frosted glass, by motion, by zooming."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["defocus_blur", "drawn_out", "glass_blur", "motion_blur", "zoom_blur", "zoomed"]

Pixels = npt.NDArray[np.float64]


def defocus_blur(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """The mean over a disk, whose edge is smoothed a little."""
    radius, smoothing = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    kernel = _disk(radius, smoothing)
    return np.stack([ndimage.correlate(x[..., at], kernel, mode="mirror") for at in range(3)], axis=-1)


def _disk(radius: int, smoothing: float) -> Pixels:
    """A disk on a grid of at least 17 x 17, smoothed by a Gaussian of 3 taps (5 above a radius of 8)."""
    reach, taps = max(radius, 8), 1 if radius <= 8 else 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    weights = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * smoothing**2))
    weights /= weights.sum()
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, weights, axis=axis, mode="mirror")
    return np.asarray(disk, dtype=np.float64)


def glass_blur(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Smooth, take each pixel from a random place nearby (several times, one pixel after the other), smooth again.

    The published code means to swap two pixels, and copies one of them over the other; so do we, for ImageNet-C's
    pictures are made so.
    """
    deviation, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    smooth = np.floor(_gaussian(x, deviation) * 255 + 1e-6) / 255
    height, width = x.shape[:2]
    places = list(range(height * width))
    for _ in range(times):
        # Steps of -reach to reach - 1, as the published code draws them.
        steps = draws.integers(-reach, reach, size=(height, width, 2))
        moved = (steps[..., 1] * width + steps[..., 0]).tolist()
        for row in range(height - reach - 1, reach, -1):
            start, line = row * width, moved[row]
            for column in range(width - reach - 1, reach, -1):
                places[start + column] = places[start + column + line[column]]
    shuffled = smooth.reshape(-1, 3)[places].reshape(x.shape)
    return _gaussian(shuffled, deviation)


def _gaussian(x: Pixels, deviation: float) -> Pixels:
    """Each channel by itself, edges repeated."""
    return np.asarray(ndimage.gaussian_filter(x, (deviation, deviation, 0), mode="nearest"), dtype=np.float64)


def motion_blur(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Drawn out in a direction within 45 degrees of the horizontal."""
    radius, deviation = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    return drawn_out(x, radius, deviation, draws.uniform(-45, 45))


def drawn_out(x: Pixels, radius: int, deviation: float, degrees: float) -> Pixels:
    """ImageMagick's motion blur: copies of the picture along a line, weighted by half a Gaussian; edges repeated."""
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    weights /= weights.sum()
    down, right = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    found = np.zeros_like(x)
    for step, weight in zip(steps.tolist(), weights.tolist(), strict=True):
        moved_down, moved_right = math.ceil(step * down - 0.5), math.ceil(step * right - 0.5)
        if moved_down >= x.shape[0] or moved_right >= x.shape[1]:
            break
        from_rows = np.clip(rows + moved_down, 0, x.shape[0] - 1)
        from_columns = np.clip(columns + moved_right, 0, x.shape[1] - 1)
        found += weight * x[from_rows[:, None], from_columns]
    return found


def zoom_blur(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """The mean of the picture and of the picture at several magnifications."""
    most, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    factors = np.arange(1, most, step)
    return (x + sum(zoomed(x, float(factor)) for factor in factors)) / (len(factors) + 1)


def zoomed(x: Pixels, factor: float) -> Pixels:
    """The middle of a picture (H, W) or (H, W, 3), magnified to its size."""
    cut = []
    for side in x.shape[:2]:
        kept = math.ceil(side / factor)
        cut.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    factors = (factor, factor) + (1,) * (x.ndim - 2)
    large = ndimage.zoom(x[cut[0], cut[1]], factors, order=1)
    spare = [(got - wanted) // 2 for got, wanted in zip(large.shape, x.shape[:2], strict=False)]
    found = large[spare[0] : spare[0] + x.shape[0], spare[1] : spare[1] + x.shape[1]]
    short = [(0, wanted - got) for got, wanted in zip(found.shape, x.shape, strict=True)]
    return np.asarray(np.pad(found, short, mode="edge"), dtype=np.float64)
