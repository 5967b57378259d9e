"""How many points of accuracy a mismatch of frequencies can explain, given what models got right on the original.

A model's accuracy rises with the true frequency: by how much is the slope of correctness on the expected true frequency
of the original's images. (Regressing on k/n instead would flatten the slope: its noise sits in the regressor. The
expectation given the votes has no such bias when the relation is a line: regression calibration, Carroll et al. 2006.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import SamplingError
from newtest.frequency.gap import ScoredSet
from newtest.frequency.mixture import GRID, fit
from newtest.sampling.bias.diagnostics import Estimate, Z

__all__ = ["accuracy_slopes", "points_explained"]

Floats = npt.NDArray[np.float64]


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


def points_explained(original: ScoredSet, mismatch: Estimate, models: list[str]) -> pd.DataFrame:
    """One row a model: model, slope, points, low, high: the part of its accuracy gap that the mismatch explains.

    ``mismatch`` is original less drawn in [-1, 1] (``Diagnostics.mismatch``); points are of accuracy, with a 95 %
    interval that knows the errors of the slope and of the mismatch.
    """
    slopes, errors = accuracy_slopes(original)
    points = 100 * slopes * mismatch.value
    off = (mismatch.high - mismatch.low) / (2 * Z)
    half = 100 * Z * np.hypot(slopes * off, mismatch.value * errors)
    return pd.DataFrame(
        {"model": models, "slope": slopes, "points": points, "low": points - half, "high": points + half}
    )
