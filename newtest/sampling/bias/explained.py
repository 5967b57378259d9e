"""How many points of accuracy a mismatch of frequencies can explain, given what models got right on the original.

A model's accuracy rises with the true frequency: by how much is the slope of correctness on the expected true frequency
of the original's images. (Regressing on k/n instead would flatten the slope: its noise sits in the regressor. The
expectation given the votes has no such bias when the relation is a line: regression calibration, Carroll et al. 2006.
The expected square does the same for a bend.) Where accuracy is not a line in the frequency, two sets of equal mean can
differ: the bend is tested, and told in points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import SamplingError
from newtest.frequency.gap import ScoredSet
from newtest.frequency.mixture import GRID, fit
from newtest.sampling.bias.diagnostics import Diagnostics, Estimate, Z

__all__ = ["Bend", "accuracy_bend", "accuracy_slopes", "points_explained"]

Floats = npt.NDArray[np.float64]

CERTAIN = 2.575829
BENT = 0.02
"""How far the curve lies from the line (root mean square over the images) to be worth a warning: 2 points."""


@dataclass(frozen=True)
class Bend:
    """Of the mean model: coefficients of s and s^2, the standard error of the latter, and the curve's distance from the
    line over the images (root mean square, shares of accuracy).
    """

    slope: float
    square: float
    error: float
    distance: float

    @property
    def notable(self) -> bool:
        """Whether it is more than chance and more than 2 points."""
        return abs(self.square) > CERTAIN * self.error and self.distance > BENT


def accuracy_slopes(original: ScoredSet) -> tuple[Floats, Floats]:
    """Points of accuracy a point of true frequency, and its standard error, a model: two arrays (models,).

    Raises SamplingError when the images' expected frequencies do not differ.
    """
    expected = fit(original.counts).posterior(original.counts) @ GRID
    centred = expected - expected.mean()
    spread = float(centred @ centred)
    if len(centred) < 3 or spread < 1e-9:
        raise SamplingError(
            "the original's images all have the same expected frequency: no slope can be fitted"
        )
    deviations = original.correct - original.correct.mean(axis=0)
    slopes: Floats = centred @ deviations / spread
    rest = deviations - centred[:, None] * slopes
    # Correctness is 0 or 1, so its spread differs from image to image: White's (1980) standard error.
    errors: Floats = np.sqrt(centred**2 @ rest**2) / spread
    return slopes, errors


def accuracy_bend(original: ScoredSet) -> Bend | None:
    """A parabola of the mean model's correctness in s; None where the votes tell no s^2 apart from s."""
    posterior = fit(original.counts).posterior(original.counts)
    columns = np.column_stack([np.ones(len(original.counts)), posterior @ GRID, posterior @ GRID**2])
    right = original.correct.mean(axis=1)
    gram = columns.T @ columns
    if len(right) < 20 or np.linalg.cond(gram) > 1e9:
        return None
    inverse = np.linalg.inv(gram)
    found = inverse @ columns.T @ right
    score = columns * (right - columns @ found)[:, None] @ inverse
    line = np.linalg.lstsq(columns[:, :2], columns @ found, rcond=None)[0]
    distance = float(np.sqrt(np.mean((columns @ found - columns[:, :2] @ line) ** 2)))
    return Bend(float(found[1]), float(found[2]), float(np.sqrt(np.sum(score[:, 2] ** 2))), distance)


def points_explained(
    original: ScoredSet, diagnosis: Diagnostics | Estimate, models: list[str]
) -> pd.DataFrame:
    """One row per model: model, slope, points, low, high: the part of its accuracy gap that the mismatch explains.

    ``diagnosis``, or its ``mismatch`` (original less drawn in [-1, 1]); points are of accuracy, with a 95 % interval
    that knows the errors of the slope and of the mismatch. ``attrs["warnings"]`` says where accuracy is not a line.
    """
    mismatch = diagnosis.mismatch if isinstance(diagnosis, Diagnostics) else diagnosis
    slopes, errors = accuracy_slopes(original)
    points = 100 * slopes * mismatch.value
    off = (mismatch.high - mismatch.low) / (2 * Z)
    half = 100 * Z * np.hypot(slopes * off, mismatch.value * errors)
    table = pd.DataFrame(
        {"model": models, "slope": slopes, "points": points, "low": points - half, "high": points + half}
    )
    table.attrs["warnings"] = _bent(original, diagnosis)
    return table


def _bent(original: ScoredSet, diagnosis: Diagnostics | Estimate) -> list[str]:
    bend = accuracy_bend(original)
    if bend is None or not bend.notable:
        return []
    told = ""
    if isinstance(diagnosis, Diagnostics):
        grid = np.array(diagnosis.distributions.grid)
        apart = np.array(diagnosis.distributions.original) - np.array(diagnosis.distributions.drawn)
        points = 100 * float(np.sum(apart * (bend.slope * grid + bend.square * grid**2)))
        told = f"; along a parabola the two distributions explain {points:+.1f} points"
    return [
        f"accuracy is not a line in the frequency: the mean model's curve lies {100 * bend.distance:.1f} points from "
        f"it, so sets of equal mean frequency can differ in accuracy{told}"
    ]
