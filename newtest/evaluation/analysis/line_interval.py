"""Intervals of a line over models: which models there are is luck, and so is which images they were tried on.

Slope and intercept: HC3 standard errors (MacKinnon and White 1985) with t quantiles, which hold from 8 models up
where a bootstrap over models covers .87. Noise in x flattens a line; where k and n are known the intervals lie about
the slope less that effect (the moment correction of Fuller 1987, section 1.2), the fit itself stays the published one.
R2: Fisher's z, its variance by how far the line's values scatter. rho: the line's uncertainty and the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from newtest.evaluation.analysis.line_model import Floats
from newtest.evaluation.analysis.line_noise import Noise

__all__ = [
    "Fitted",
    "Interval",
    "Places",
    "fitted",
    "less_noise",
    "over_models",
    "residual_noise",
    "rho_errors",
]

Interval = tuple[float, float]
MOST_NOISE = 0.5
"""The noisier part of x's variance beyond which nothing is corrected: too little is known of the rest."""
NORMAL = 15.0
"""Models whose weight the normal distribution's kurtosis has beside the observed one: few models show none of it."""


@dataclass(frozen=True)
class Fitted:
    """A fit of M models on P columns, the ``axes`` first and the constant last: what its intervals need.

    ``inverse`` (P, P) of X'X, ``covariance`` (P, P) by HC3, ``free`` degrees of freedom.
    """

    columns: Floats
    axes: int
    coefficients: Floats
    inverse: Floats
    covariance: Floats
    free: int


def fitted(x: Floats, y: Floats, coefficients: Floats, axes: int) -> Fitted:
    """HC3: residuals over one less their leverage, in White's sandwich. ``x`` (M, P - 1) without the constant."""
    columns = np.column_stack([x, np.ones(len(y))])
    inverse = np.linalg.pinv(columns.T @ columns)
    leverage = np.einsum("mp,pq,mq->m", columns, inverse, columns)
    residual = y - columns @ coefficients
    # A model that the line passes through by itself (leverage 1) shows no residual to blow up.
    blown = residual / np.maximum(1 - leverage, 1e-6)
    score = columns * blown[:, None] @ inverse
    return Fitted(columns, axes, coefficients, inverse, score.T @ score, len(y) - columns.shape[1])


def over_models(fit: Fitted, r2: float, noise: list[Noise], level: float) -> list[Interval]:
    """The interval of each coefficient, then of R2. ``noise`` is that of each x, of the fitted models."""
    quantile = float(t.ppf((1 + level) / 2, fit.free))
    centre, widen = less_noise(fit, noise)
    half = quantile * widen * np.sqrt(np.diag(fit.covariance))
    found = [(float(c - h), float(c + h)) for c, h in zip(centre, half, strict=True)]
    return [*found, _r2_interval(fit, r2, level)]


def less_noise(fit: Fitted, noise: list[Noise]) -> tuple[Floats, float]:
    """The coefficients without what noise in x takes from them, and by how much that widens their intervals.

    Columns beyond the axes (a hinge) move with the first axis, where they move.
    """
    gram, axes = fit.columns.T @ fit.columns, fit.axes
    size = len(gram)
    blurred = np.zeros_like(gram)
    for axis, one in enumerate(noise):
        moves = np.zeros((len(fit.columns), size))
        moves[:, axis] = 1.0
        if axis == 0 and size > axes + 1:
            moves[:, axes] = fit.columns[:, axes] > 0  # the hinge; a step moves with nothing
        blurred += (moves * one.apart[:, None]).T @ moves
    centred = gram - np.outer(gram[-1], gram[-1]) / gram[-1, -1]
    spread = np.diag(centred)[:axes]
    share = float(np.max(np.diag(blurred)[:axes] / np.where(spread > 0, spread, np.inf), initial=0.0))
    if not 0 < share < MOST_NOISE:
        return fit.coefficients, 1.0
    target = gram @ fit.coefficients
    centre = np.asarray(np.linalg.solve(gram - blurred, target), dtype=np.float64)
    return centre, 1 / (1 - share)


def _r2_interval(fit: Fitted, r2: float, level: float) -> Interval:
    """Fisher's z of the multiple correlation; of accuracies as they are measured, with as many images.

    z has variance 1 / (M - 3) where the line's values are normal. Models that are spread evenly say more of R2,
    a few far ones less: (kurtosis + 1) / 4 times as much, the kurtosis shrunk towards the normal's 3.
    """
    freedom = fit.free - 1
    if not np.isfinite(r2) or freedom < 1:
        return np.nan, np.nan
    line = fit.columns @ fit.coefficients
    line = line - line.mean()
    power = float(np.mean(line**2))
    kurtosis = float(np.mean(line**4)) / power**2 if power > 0 else 3.0
    own = len(line) / (len(line) + NORMAL)
    factor = (own * kurtosis + (1 - own) * 3 + 1) / 4
    z = float(np.arctanh(np.sqrt(np.clip(r2, 0.0, 1 - 1e-15))))
    half = float(norm.ppf((1 + level) / 2)) * np.sqrt(factor / freedom)
    low, high = np.tanh([max(z - half, 0.0), z + half]) ** 2
    return float(low), float(high)


@dataclass(frozen=True)
class Places:
    """N models beside a line: ``columns`` (N, P) of the design, ``fitted`` (N,), and the points per unit of the scale
    at their accuracies and at the line's, (N,) each.
    """

    columns: Floats
    fitted: npt.NDArray[np.bool_]
    at_accuracy: Floats
    at_line: Floats

    @classmethod
    def on_scale(cls, columns: Floats) -> Places:
        """The fitted models themselves, in units of the scale."""
        one = np.ones(len(columns))
        return cls(columns, one.astype(bool), one, one)


def rho_errors(fit: Fitted, places: Places, noise: list[Noise], level: float) -> Floats:
    """Half the width (N,) of the intervals of rho, in points; ``noise`` of each x and of y, of the N models.

    What they are to cover is a model's distance from the line of all models that there could be, with as many images
    as there could be. Three things are unknown: the model's own accuracies, the fitted models' accuracies (its own
    among them, which pull the line along), and the fitted models' scatter about the line.
    """
    own, through = _noises(fit, places, noise)
    # HC3 saw the noise of the fitted models in their residuals: what is not noise is the models' own scatter.
    line = np.einsum("np,pq,nq->n", places.columns, fit.covariance, places.columns)
    scatter = places.at_line**2 * np.maximum(line - through, 0.0)
    total = own + scatter
    # Only the scatter's size is estimated: Satterthwaite's degrees of freedom, from the fit's to endlessly many.
    share = np.divide(scatter, total, out=np.zeros_like(total), where=total > 0)
    quantile = t.ppf((1 + level) / 2, fit.free / np.maximum(share, 1e-3) ** 2)
    half: Floats = quantile * np.sqrt(total)
    return half


def residual_noise(fit: Fitted, places: Places, noise: list[Noise]) -> Floats:
    """The variance (N,) that noise of the images gives the distance of each model from the line."""
    return _noises(fit, places, noise)[0]


def _noises(fit: Fitted, places: Places, noise: list[Noise]) -> tuple[Floats, Floats]:
    """That of the distance from the line, and that of the line's place itself, both (N,)."""
    rows = places.columns @ fit.inverse
    own, through = np.zeros(len(rows)), np.zeros(len(rows))
    for axis, one in enumerate(noise):
        slope = -_slopes(fit, places, axis) if axis < fit.axes else np.ones(len(rows))
        reach = slope * places.at_line if axis < fit.axes else places.at_accuracy
        moved, line = _moved(rows, places, one, slope, reach)
        own, through = own + moved, through + line
    return own, through


def _slopes(fit: Fitted, places: Places, axis: int) -> Floats:
    """The line's slope along an axis at each model: beyond a pivot it is another one."""
    slope = np.full(len(places.columns), fit.coefficients[axis])
    hinge = places.columns.shape[1] > fit.axes + 1
    if axis == 0 and hinge:
        slope = slope + fit.coefficients[fit.axes] * (places.columns[:, fit.axes] > 0)
    return slope


def _moved(rows: Floats, places: Places, noise: Noise, slope: Floats, reach: Floats) -> tuple[Floats, Floats]:
    """Variances (N,): of reach d - at_line h'(slope d), d being the noise, and of h'(slope d), the line's own move."""
    inside = places.fitted
    basis = places.columns[inside] * slope[inside, None]
    if noise.deviations is not None:
        line = rows @ (basis.T @ noise.deviations[inside])
        moved = reach[:, None] * noise.deviations - places.at_line[:, None] * line
        return (moved**2).sum(axis=1), (line**2).sum(axis=1)
    pull = basis.T * noise.variance[inside] @ basis
    line = np.einsum("np,pq,nq->n", rows, pull, rows)
    leverage = np.where(inside, np.einsum("np,np->n", rows, places.columns) * slope, 0.0)
    together = reach * places.at_line * leverage * noise.variance
    moved = np.maximum(reach**2 * noise.variance - 2 * together + places.at_line**2 * line, 0.0)
    return moved, line
