"""The luck of the images: how far the accuracies on a set would move if other images of its kind had been drawn.

Where the correctness of each image is known, so is how models move together; from k and n alone every model is taken
to move by itself, Binomial(n, k/n), which overstates what is left of it beside a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from newtest.evaluation.analysis.scales import Scale, from_percent
from newtest.evaluation.scoring.results import pick

__all__ = ["Noise", "noise_of", "points_per_unit"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Of N models on one set, in units of the scale. ``known`` (N,) says where n is; elsewhere the variance is 0.

    ``deviations`` (N, images) add up, squared, to the variance; None where models move independently.
    """

    variance: Floats
    known: npt.NDArray[np.bool_]
    deviations: Floats | None = None

    def where(self, rows: npt.NDArray[np.bool_]) -> Noise:
        """Some of the models."""
        deviations = None if self.deviations is None else self.deviations[rows]
        return Noise(self.variance[rows], self.known[rows], deviations)

    @property
    def apart(self) -> Floats:
        """The variance (N,) of each model's move less the mean of all moves: what shifts every model bends no line."""
        if self.deviations is None:
            return self.variance
        apart: Floats = ((self.deviations - self.deviations.mean(axis=0)) ** 2).sum(axis=1)
        return apart


def points_per_unit(percent: npt.ArrayLike, scale: Scale) -> Floats:
    """The derivative of accuracy (points) by the scale's unit."""
    share = np.asarray(percent, dtype=np.float64) / 100
    if scale == "linear":
        return np.ones_like(share)
    slope = share * (1 - share) if scale == "logit" else norm.pdf(from_percent(100 * share, "probit"))
    return np.asarray(100 * slope, dtype=np.float64)


def noise_of(
    table: pd.DataFrame,
    name: str,
    models: pd.Index,
    scale: Scale,
    correct: pd.DataFrame | None,
    clusters: npt.NDArray[np.int64] | None = None,
) -> Noise:
    """The noise of ``models`` on the set ``name`` of a results table. ``clusters``: the group of each image, whose
    deviations add up first (with G / (G - 1)).
    """
    rows = pick(table, name).set_index("model").reindex(models)
    accuracy = rows["accuracy"].to_numpy(dtype=np.float64)
    unit = points_per_unit(accuracy, scale)
    if correct is not None:
        matrix = correct.reindex(models)
        if matrix.notna().all(axis=None):
            right = matrix.to_numpy(dtype=np.float32)
            moved = 100 * (right - right.mean(axis=1, keepdims=True)) / right.shape[1]
            moved = moved / unit[:, None].astype(np.float32)
            if clusters is not None:
                order = np.argsort(clusters, kind="stable")
                starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
                moved = np.add.reduceat(moved[:, order], starts, axis=1)
                moved = moved * np.float32(np.sqrt(len(starts) / max(len(starts) - 1, 1)))
            variance = (moved.astype(np.float64) ** 2).sum(axis=1)
            return Noise(variance, np.ones(len(models), dtype=bool), moved)
    n = rows["n"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = n > 0
    n = np.where(known, n, 1.0)
    share = (accuracy / 100 * n + 0.5) / (n + 1)  # none of few is not surely none
    variance = np.where(known, 1e4 * share * (1 - share) / n / unit**2, 0.0)
    return Noise(variance, known)
