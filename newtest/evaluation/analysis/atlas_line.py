"""One line of the atlas: fitted as ``newtest report line`` fits it, and every model's distance from it, tested.

The residual on the scale of the fit over its standard deviation (for a fitted model without itself: the externally
studentized residual, Cook and Weisberg 1982) has Student's t distribution for a model of the fitted kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

from newtest.evaluation.analysis.atlas_points import Mask, Points
from newtest.evaluation.analysis.line import MIN_MODELS, MIN_RANGE
from newtest.evaluation.analysis.line_interval import Fitted, Places, fitted, residual_noise, rho_errors
from newtest.evaluation.analysis.line_model import Floats, ols
from newtest.evaluation.analysis.line_noise import Noise, points_per_unit
from newtest.evaluation.analysis.scales import Scale, from_percent, to_percent

__all__ = ["AtlasLine", "atlas_line"]


@dataclass(frozen=True)
class AtlasLine:
    """One shift on one choice of axes. Arrays have a row per model of the atlas, NaN where it has no place.

    ``predicted``, ``rho``, ``half`` (half the 95 % interval of rho) in percent and points; ``t`` the studentized
    residual, ``p`` of it, ``p_holm`` after Holm; ``fitted`` says which models the line was fitted on. ``refused``
    says why there is no line.
    """

    y: str
    axes: tuple[str, ...]
    choice: str
    n: int = 0
    slopes: tuple[float, ...] = ()
    intercept: float = np.nan
    r2: float = np.nan
    scatter: float = np.nan
    """The standard deviation about the line, on the scale of the fit."""
    curve: float = 0.0
    """How much of the scatter a curve (the first axis squared) explains, adjusted for its degree of freedom; 0 to 1."""
    predicted: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    rho: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    half: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    t: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    p: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    p_holm: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    fitted: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False)
    counted: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False)
    """Of which models n is known on all these sets: else ``half`` knows the line's uncertainty, not the model's own."""
    outside: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False)
    """Which models lie beyond the fitted ones on an axis: the line is extrapolated there."""
    refused: str = ""

    def off(self, alpha: float) -> Mask:
        """Which models are off the line by more than chance."""
        return np.asarray(np.nan_to_num(self.p_holm, nan=1.0) < alpha, dtype=np.bool_)


def atlas_line(
    points: Points, y: str, axes: tuple[str, ...], choice: str, chosen: Mask, scale: Scale, level: float
) -> AtlasLine:
    """Fit the accuracies on ``y`` by those on ``axes`` over the models ``chosen`` (M,), and test every model."""
    percents = points.accuracy[[*axes, y]].to_numpy(dtype=np.float64)
    values = from_percent(percents, scale)
    placed: Mask = np.asarray(np.isfinite(values).all(axis=1), dtype=np.bool_)
    fit_on = placed & chosen
    nothing = np.full(len(percents), np.nan)
    if (refused := _refusal(percents[fit_on], axes, scale)) is not None:
        return AtlasLine(y, axes, choice, int(fit_on.sum()), rho=nothing, refused=refused)
    x, target = values[fit_on, :-1], values[fit_on, -1]
    coefficients, r2 = ols(x, target)
    if np.isnan(coefficients).any():
        return AtlasLine(
            y, axes, choice, int(fit_on.sum()), rho=nothing, refused="the axes do not vary independently"
        )
    fit = fitted(x, target, coefficients[0], len(axes))
    columns = np.column_stack([values[placed, :-1], np.ones(int(placed.sum()))])
    predicted = to_percent(columns @ coefficients[0], scale)
    places = Places(
        columns,
        fit_on[placed],
        points_per_unit(percents[placed, -1], scale),
        points_per_unit(predicted, scale),
    )
    noise = [points.noise(name, placed, scale) for name in (*axes, y)]
    half = rho_errors(fit, places, noise, level)
    t, p = _studentized(fit, columns, values[placed, -1], places.fitted, _own_noise(fit, places, noise))
    counted = np.zeros(len(placed), dtype=bool)
    counted[placed] = np.all([one.known for one in noise], axis=0)
    return AtlasLine(
        y,
        axes,
        choice,
        int(fit_on.sum()),
        tuple(float(value) for value in coefficients[0][:-1]),
        float(coefficients[0][-1]),
        float(r2[0]),
        float(np.sqrt(_squares(fit, target) / fit.free)),
        _curve(x, target, _squares(fit, target), fit.free),
        t=_spread(t, placed),
        p=_spread(p, placed),
        fitted=fit_on,
        counted=counted,
        outside=_outside(percents[:, :-1], fit_on, placed),
        predicted=_spread(predicted, placed),
        rho=_spread(percents[placed, -1] - predicted, placed),
        half=_spread(half, placed),
    )


def _refusal(percents: Floats, axes: tuple[str, ...], scale: Scale) -> str | None:
    """Why no line is fitted, by the rules of ``newtest report line``."""
    if len(percents) < MIN_MODELS:
        return f"{len(percents)} models; at least {MIN_MODELS} are needed"
    least = float(np.diff(from_percent(MIN_RANGE, scale))[0])
    for at, name in enumerate(axes):
        low, high = percents[:, at].min(), percents[:, at].max()
        if float(np.diff(from_percent([low, high], scale))[0]) < least:
            return f"the fitted models span only {low:.2f} to {high:.2f} % on {name}"
    return None


def _outside(axes: Floats, fit_on: Mask, placed: Mask) -> Mask:
    inside = axes[fit_on]
    beyond = (axes < inside.min(axis=0)) | (axes > inside.max(axis=0))
    return np.asarray(beyond.any(axis=1) & placed, dtype=bool)


def _squares(fit: Fitted, target: Floats) -> float:
    return float(((target - fit.columns @ fit.coefficients) ** 2).sum())


def _curve(x: Floats, target: Floats, squares: float, free: int) -> float:
    """1 less the ratio of the mean squares about a curve and about the line."""
    bent = np.column_stack([x, (x[:, 0] - x[:, 0].mean()) ** 2])
    coefficients, _ = ols(bent, target)
    if free < 2 or squares <= 0 or np.isnan(coefficients).any():
        return 0.0
    left = float(((target - np.column_stack([bent, np.ones(len(bent))]) @ coefficients[0]) ** 2).sum())
    return max(0.0, 1 - (left / (free - 1)) / (squares / free))


def _own_noise(fit: Fitted, places: Places, noise: list[Noise]) -> Floats:
    """What the luck of the images gives a model beyond what it gives the mean fitted one, on the scale (N,)."""
    unit = Places(places.columns, places.fitted, np.ones_like(places.at_line), np.ones_like(places.at_line))
    own = residual_noise(fit, unit, noise)
    more: Floats = np.maximum(own - own[places.fitted].mean(), 0.0)
    return more


def _studentized(
    fit: Fitted, columns: Floats, target: Floats, inside: Mask, noise: Floats
) -> tuple[Floats, Floats]:
    """Studentized residuals and their two-sided p; a fitted model is judged by the line without itself."""
    residual = target - columns @ fit.coefficients
    leverage = np.einsum("np,pq,nq->n", columns, fit.inverse, columns)
    whole = float((residual[inside] ** 2).sum())
    rest = np.maximum(1 - leverage, 1e-9)
    without = np.maximum(whole - residual**2 / rest, 0.0) / (fit.free - 1)
    variance = np.where(inside, without * rest, whole / fit.free * (1 + leverage)) + noise
    free = np.where(inside, fit.free - 1, fit.free)
    t = np.divide(residual, np.sqrt(variance), out=np.zeros_like(residual), where=variance > 0)
    return t, 2 * student.sf(np.abs(t), free)


def _spread(values: Floats, placed: Mask) -> Floats:
    whole = np.full(len(placed), np.nan)
    whole[placed] = values
    return whole
