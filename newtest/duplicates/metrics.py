"""Distances of two pictures, pixel by pixel: squared L2 and DSSIM on 256 x 256 RGB. Smaller is closer, for both.

The thresholds under which ImageNetV2's authors looked at a pair (Recht et al. 2019) are constants here. Their file of
recorded distances holds the *root* of the squared L2 and of the squared fc7 distance; the thresholds are squared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import uniform_filter

from newtest.files import bytes_of
from newtest.images import shown

__all__ = [
    "DSSIM",
    "DSSIM_CLOSE",
    "L2",
    "L2_CLOSE",
    "cells",
    "dssim",
    "l2_proposals",
    "picture",
    "squared_l2",
]

L2 = "l2-256"
"""Metric: sum of squared differences over 256 x 256 x 3 levels of 0..255; 0 is the same picture."""
L2_CLOSE = 1.2e8
DSSIM = "dssim-35"
"""Metric: (1 - SSIM) / 2 with a window of 35 pixels, the mean over channels; 0 is the same picture, 1 the opposite."""
DSSIM_CLOSE = 0.2205
SIDE, CELL, WINDOW = 256, 16, 35

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def picture(path: Path) -> Picture:
    """(256, 256, 3) levels, EXIF orientation applied, squashed. Raises ImageError, and OSError without the file."""
    upright = shown(bytes_of(path), within=4 * SIDE)
    return np.asarray(upright.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0))


def squared_l2(a: Picture, b: Picture) -> float:
    """Sum of squared differences, exact."""
    difference = a.astype(np.int64) - b.astype(np.int64)
    return float((difference * difference).sum())


def dssim(a: Picture, b: Picture) -> float:
    """(1 - SSIM) / 2: SSIM of Wang et al. (2004) with a uniform window and sample covariance, windows inside only."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    size = (WINDOW, WINDOW, 1)
    mean_x, mean_y = uniform_filter(x, size), uniform_filter(y, size)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    var_x = sample * (uniform_filter(x * x, size) - mean_x * mean_x)
    var_y = sample * (uniform_filter(y * y, size) - mean_y * mean_y)
    both = sample * (uniform_filter(x * y, size) - mean_x * mean_y)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (
        (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    )
    edge = WINDOW // 2
    return float((1 - ssim[edge:-edge, edge:-edge].mean()) / 2)


def cells(a: Picture) -> Floats:
    """Means of the 16 x 16 pixel cells, about the middle grey: 768 numbers. See ``l2_proposals``."""
    blocks = a.reshape(CELL, SIDE // CELL, CELL, SIDE // CELL, 3).astype(np.float32) - 127.5
    return np.asarray(blocks.mean(axis=(1, 3)).reshape(-1))


def l2_proposals(
    left: Floats, right: Floats, limit: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(i, j) of all pairs whose squared L2 may be at most ``limit``; none is missed. Both are (n, 768) of ``cells``.

    256 times the squared distance of the cells' means is never more than that of the pictures (Jensen), and a squared
    distance is an inner product of rows with two numbers added, which ``newtest.neighbors`` searches exactly.
    """
    from newtest.neighbors import pairs_above

    squares = [np.einsum("nd,nd->n", side, side, dtype=np.float64) for side in (left, right)]
    middle = float(np.sqrt(max(max(s.max(initial=0.0) for s in squares), 1.0)))
    half, one = [-s / (2 * middle) for s in squares], [np.full(len(s), middle) for s in squares]
    a = np.concatenate([left, np.stack([half[0], one[0]], axis=1)], axis=1).astype(np.float32)
    b = np.concatenate([right, np.stack([one[1], half[1]], axis=1)], axis=1).astype(np.float32)
    slack = 1e-6 * middle * middle  # what rounding the two added numbers to float32 can do
    area = (SIDE // CELL) ** 2
    i, j, _ = pairs_above(a, b, threshold=-limit / (2 * area) - slack, backend="numpy")
    return i, j
