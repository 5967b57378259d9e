"""The arithmetic of a line: what is fitted, least squares, and the way back to accuracies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.evaluation.analysis.scales import Scale, from_percent, to_percent

__all__ = ["Coefficients", "Floats", "LineConfig", "design", "ols", "ols_each", "predict"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LineConfig:
    """What to fit. Several ``x`` are several in-distribution axes at once; ``pivot`` (percent) bends the line there."""

    x: tuple[str, ...]
    y: str
    scale: Scale = "logit"
    group: str | None = None
    """The group whose models are fitted; None fits all."""
    exclude: tuple[str, ...] = ()
    """Models (shell patterns) that are shown but not fitted."""
    pivot: float | None = None
    two_fits: bool = False
    """Fit both sides of the pivot by themselves: the line may jump there, too, as the testbed's for ImageNet-A."""
    resamples: int = 400
    """How often the images are redrawn; more than 400 are not."""
    level: float = 0.95
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is fitted, in the order of the columns of ``design``, with the constant and R2."""
        slopes = ["slope"] if len(self.x) == 1 else [f"slope:{name}" for name in self.x]
        pivot = [] if self.pivot is None else ["bend", "jump"] if self.two_fits else ["bend"]
        return (*slopes, *pivot, "intercept", "r2")


@dataclass(frozen=True)
class Coefficients:
    """A fit in axis units (linear: percent). ``bend`` is the change of slope above the pivot, and ``jump`` the
    line's step there (two fits); None without one.
    """

    slopes: tuple[float, ...]
    intercept: float
    r2: float
    bend: float | None = None
    jump: float | None = None

    @property
    def values(self) -> list[float]:
        """In the order of ``LineConfig.names``, without R2."""
        pivot = [value for value in (self.bend, self.jump) if value is not None]
        return [*self.slopes, *pivot, self.intercept]


def design(rows: Floats, options: LineConfig) -> Floats:
    """Columns of the fit from accuracies (M, P): the transformed axes and, with a pivot, the hinge above it, and the
    step of two fits.
    """
    x = from_percent(rows, options.scale)
    if options.pivot is None:
        return x
    beyond = x[:, 0] - from_percent(options.pivot, options.scale)
    hinged = np.column_stack([x, np.maximum(0.0, beyond)])
    return np.column_stack([hinged, (beyond >= 0).astype(np.float64)]) if options.two_fits else hinged


def ols(x: Floats, y: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Least squares of y (M,) on columns x (M, P) and a constant, for each row of ``weights`` (B, M).

    Returns coefficients (B, P + 1), constant last, and R2 (B,). Without weights B is 1. Degenerate resamples
    (all the same model) give NaN.
    """
    weights = np.ones((1, len(y))) if weights is None else weights
    columns = np.column_stack([x, np.ones(len(y))])
    centre = np.append(x.mean(axis=0), 0.0)  # centring keeps the normal equations well conditioned
    columns = columns - centre
    gram = np.einsum("bm,mp,mq->bpq", weights, columns, columns, optimize=True)
    moment = np.einsum("bm,mp,m->bp", weights, columns, y, optimize=True)
    scale = np.sqrt(np.einsum("bpp->bp", gram))
    scale[scale == 0] = 1.0
    normal = gram / scale[:, :, None] / scale[:, None, :]
    sound = np.linalg.eigvalsh(normal)[:, 0] > 1e-10
    coefficients = np.full((len(weights), columns.shape[1]), np.nan)
    if sound.any():
        solved = np.linalg.solve(normal[sound], (moment[sound] / scale[sound])[:, :, None])[:, :, 0]
        coefficients[sound] = solved / scale[sound]
    residual = np.einsum("bm,bm->b", weights, (y - coefficients @ columns.T) ** 2)
    total_weight = weights.sum(axis=1)
    mean = weights @ y / total_weight
    total = np.einsum("bm,bm->b", weights, (y - mean[:, None]) ** 2)
    coefficients[:, -1] -= coefficients[:, :-1] @ centre[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 0, 1 - residual / total, np.nan)
    return coefficients, r2


def ols_each(x: Floats, y: Floats, weights: Floats) -> Floats:
    """The coefficients (B, P + 1) of ``ols`` for B tables at once: x (M, B, P), y (M, B), weights (M, B)."""
    columns = np.concatenate([x, np.ones((*y.shape, 1))], axis=2).transpose(1, 0, 2)
    target, weight = y.T, weights.T
    centre = np.zeros((columns.shape[0], columns.shape[2]))
    centre[:, :-1] = columns[:, :, :-1].mean(axis=1)
    columns = columns - centre[:, None, :]
    weighed = columns * weight[:, :, None]
    gram = weighed.transpose(0, 2, 1) @ columns
    moment = weighed.transpose(0, 2, 1) @ target[:, :, None]
    size = np.sqrt(np.maximum(np.einsum("bpp->bp", gram), np.finfo(np.float64).tiny))
    normal = gram / size[:, :, None] / size[:, None, :]
    sound = np.linalg.eigvalsh(normal)[:, 0] > 1e-10
    coefficients = np.full(size.shape, np.nan)
    coefficients[sound] = (np.linalg.solve(normal[sound], moment[sound] / size[sound][:, :, None]))[:, :, 0]
    coefficients /= size
    coefficients[:, -1] -= np.einsum("bp,bp->b", coefficients[:, :-1], centre[:, :-1])
    return coefficients


def predict(fit: Coefficients, options: LineConfig, percent: npt.ArrayLike) -> Floats:
    """The line's accuracy on y (percent) for accuracies on x (percent), shape (..., P) or (...) for one axis."""
    values = np.asarray(percent, dtype=np.float64)
    rows = values.reshape(-1, len(options.x))
    columns = np.column_stack([design(rows, options), np.ones(len(rows))])
    found = to_percent(columns @ np.array(fit.values), options.scale)
    return found.reshape(values.shape if len(options.x) == 1 else values.shape[:-1])
