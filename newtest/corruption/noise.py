"""Noise: Gaussian, shot (Poisson) and impulse (salt and pepper)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]

Pixels = npt.NDArray[np.float64]


def gaussian_noise(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """Normal noise on each value, of this standard deviation."""
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return x + draws.normal(0.0, deviation, x.shape)


def shot_noise(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """So many photons at full brightness, counted."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return draws.poisson(x * photons) / photons


def impulse_noise(x: Pixels, severity: int, draws: np.random.Generator) -> Pixels:
    """This share of all values becomes 0 or 1, either with the same chance."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    hit = draws.random(x.shape) < share
    return np.where(hit, (draws.random(x.shape) < 0.5).astype(np.float64), x)
