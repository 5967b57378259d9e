"""Accuracy on the line: y on the new set against x on the original, and how far each model is off it.

Ordinary least squares through transformed accuracies, over the models of one named group (Taori et al. 2020:
the standard models only; logit there, probit in Miller et al. 2021). Effective robustness is
rho(f) = acc_y(f) - beta(acc_x(f)), with beta the line taken back to accuracies; relative robustness of an
intervention f' on a base model f is tau(f') = acc_y(f') - acc_y(f). Both in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.analysis.line_bootstrap import over_images, redraw
from newtest.evaluation.analysis.line_interval import (
    Fitted,
    Interval,
    Places,
    fitted,
    over_models,
    rho_errors,
)
from newtest.evaluation.analysis.line_model import Coefficients, Floats, LineConfig, design, ols, predict
from newtest.evaluation.analysis.line_noise import Noise, noise_of, points_per_unit
from newtest.evaluation.analysis.scales import from_percent
from newtest.evaluation.scoring.results import Results, pick

__all__ = ["MIN_MODELS", "MIN_RANGE", "Line", "LineConfig", "fit_line"]

MIN_MODELS = 8
MIN_RANGE = (45.0, 55.0)
"""The fitted models must span as much of each axis x as these percentages do, on the scale of the fit: less says
nothing about a slope. Near 100 % fewer points are as far apart on the logit: 94 to 99.5 % is six times as much.
"""
MIN_SIDE = 4
"""Models on each side of the pivot of two fits."""


@dataclass(frozen=True)
class Line:
    """A fitted line, its intervals, and every model's place beside it."""

    options: LineConfig
    n: int
    fit: Coefficients
    over_models: dict[str, Interval]
    """What further models of the kind would show: name of the coefficient -> interval (``line_interval``)."""
    over_images: dict[str, Interval] | None
    """What these models would show on endlessly many images; None where neither correctness per image nor k and n are
    known.
    """
    images_paired: bool
    """True: images were resampled for all models at once; False: each k was redrawn from Binomial(n, k/n)."""
    models: pd.DataFrame = field(repr=False)
    """model, group, base, fitted, x (or x:SET, several), y, predicted, rho, rho_lo, rho_hi, counted, tau (percent
    and points). ``counted`` says whether n is known of all its accuracies: else rho_lo..rho_hi know the line's
    uncertainty, and not the model's own.
    """
    left_out: tuple[tuple[str, str], ...] = ()
    """(model, reason) of every model that has no place in the plot, or none in the fit."""

    @property
    def slope(self) -> float:
        return self.fit.slopes[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values: n, slope, intercept, r2, their intervals, and rho per model."""
        axes, single = self.options.x, len(self.options.x) == 1
        models = [
            {str(key): _known(value) for key, value in row.items()} for row in self.models.to_dict("records")
        ]
        return {
            "x": axes[0] if single else list(axes),
            "y": self.options.y,
            "scale": self.options.scale,
            "group": self.options.group,
            "n": self.n,
            "slope": self.slope if single else dict(zip(axes, self.fit.slopes, strict=True)),
            "intercept": self.fit.intercept,
            "r2": _known(self.fit.r2),
            "bend": self.fit.bend,
            "jump": self.fit.jump,
            "pivot": self.options.pivot,
            "level": self.options.level,
            "intervals": {
                "over_models": _lists(self.over_models),
                "over_images": None if self.over_images is None else _lists(self.over_images),
                "images_paired": self.images_paired,
            },
            "left_out": [{"model": model, "reason": reason} for model, reason in self.left_out],
            "models": models,
        }


def _known(value: Any) -> Any:
    """None for what is not a number, which JSON cannot hold: R2 of a y that never changes, tau without a base."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _lists(found: dict[str, Interval]) -> dict[str, list[float | None]]:
    return {key: [_known(low), _known(high)] for key, (low, high) in found.items()}


def fit_line(
    results: Results,
    options: LineConfig,
    correct: Sequence[pd.DataFrame] | None = None,
    clusters: Sequence[npt.NDArray[np.int64]] | None = None,
) -> Line:
    """Fit and place every model.

    ``correct`` holds, for x.. then y, correctness tables (index models, one column per image, True where right), for a
    paired bootstrap over images; ``clusters`` the group of each image of the same sets.
    Raises EvaluationError for fewer than ``MIN_MODELS`` fitted models, less than
    ``MIN_RANGE`` of range on an x, too few on a side of two fits, or models all equal; UsageError for
    contradicting options.
    """
    if options.pivot is not None and len(options.x) > 1:
        raise UsageError("a pivot bends one axis: give one `x` with `pivot`")
    if options.two_fits and options.pivot is None:
        raise UsageError("two fits need a place to part: give `pivot` with `two_fits`")
    wide, missing = _points(results.table, options)
    excluded = {
        model: "excluded"
        for model in wide.index
        if any(fnmatchcase(model, pattern) for pattern in options.exclude)
    } | dict.fromkeys(results.left_out, "repeats another model, by the testbed's own convention")
    wide["fitted"] = ~wide.index.isin(list(excluded))
    if options.group is not None:
        wide["fitted"] &= wide["group"] == options.group
    inside = wide[wide["fitted"]]
    _refuse(inside, options, results.table)
    x = design(inside[_axes(options)].to_numpy(), options)
    y = from_percent(inside["y"], options.scale)
    coefficients, r2 = ols(x, y)
    fit = _coefficients(coefficients[0], float(r2[0]), options)
    sure = fitted(x, y, coefficients[0], len(options.x))
    noise = _noises(results.table, wide.index, options, correct, clusters)
    ours = [one.where(wide["fitted"].to_numpy(dtype=bool)) for one in noise]
    models = over_models(sure, fit.r2, ours[:-1], options.level)
    redrawn, paired = redraw(results.table, inside.index, options, correct, clusters)
    images = None
    if redrawn is not None:
        images = over_images(redrawn, y, sure, ours, options)
    _place(wide, fit, options, sure, noise)
    noted = [
        *missing,
        *((m, r) for m, r in excluded.items() if m in wide.index and _in_group(wide, m, options)),
    ]
    return Line(
        options,
        len(inside),
        fit,
        dict(zip(options.names, models, strict=True)),
        None if images is None else dict(zip(options.names, images, strict=True)),
        paired,
        wide.reset_index(),
        tuple(sorted(noted)),
    )


def _noises(
    table: pd.DataFrame,
    models: pd.Index,
    options: LineConfig,
    correct: Sequence[pd.DataFrame] | None,
    clusters: Sequence[npt.NDArray[np.int64]] | None,
) -> list[Noise]:
    """Of every x and y, of ``models``. They move together only where all of them have correctness on the set."""
    names = [*options.x, options.y]
    tables: Sequence[pd.DataFrame | None] = correct or [None] * len(names)
    groups: Sequence[npt.NDArray[np.int64] | None] = clusters or [None] * len(names)
    return [
        noise_of(table, name, models, options.scale, one, group)
        for name, one, group in zip(names, tables, groups, strict=True)
    ]


def _axes(options: LineConfig) -> list[str]:
    return ["x"] if len(options.x) == 1 else [f"x:{name}" for name in options.x]


def _in_group(wide: pd.DataFrame, model: str, options: LineConfig) -> bool:
    return options.group is None or str(wide.at[model, "group"]) == options.group


def _points(table: pd.DataFrame, options: LineConfig) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """One row per model that has a place in the plot, and (model, reason) of those that have none."""
    names = [*options.x, options.y]
    if len(set(names)) < len(names):
        raise UsageError(f"x and y must be different sets, got {', '.join(names)}")
    rows = pd.concat([pick(table, name) for name in names])
    wide = rows.pivot(index="model", columns="set", values="accuracy")[names]
    wide.columns = pd.Index([*_axes(options), "y"])
    about = rows.groupby("model")[["group", "base"]].max()
    wide.insert(0, "group", about["group"])
    wide.insert(1, "base", about["base"])
    points = wide[[*_axes(options), "y"]]
    reasons: dict[str, str] = {}
    for name, column in zip(names, points.columns, strict=True):
        for model, value in points[column].items():
            if np.isnan(value):
                reasons.setdefault(str(model), f"no accuracy on {name}")
            elif options.scale != "linear" and not 0 < value < 100:
                reasons.setdefault(
                    str(model), f"{value:g} % on {name} is infinite on the {options.scale} scale"
                )
    kept = wide[~wide.index.isin(list(reasons))].sort_index()
    group = options.group
    noted = [(m, r) for m, r in reasons.items() if group is None or wide.at[m, "group"] == group]
    return kept.copy(), noted


def _refuse(fitted: pd.DataFrame, options: LineConfig, table: pd.DataFrame) -> None:
    where = f"group {options.group!r}" if options.group else "the table"
    if len(fitted) < MIN_MODELS:
        groups = sorted(set(table["group"]) - {""})
        hint = (
            f"; groups are {', '.join(groups[:10])}" if options.group and options.group not in groups else ""
        )
        raise EvaluationError(
            f"no line from {len(fitted)} models of {where} on {options.y}: at least {MIN_MODELS} are needed{hint}"
        )
    for name, axis in zip(options.x, _axes(options), strict=True):
        low, high = from_percent([fitted[axis].min(), fitted[axis].max()], options.scale)
        least = float(np.diff(from_percent(MIN_RANGE, options.scale))[0])
        if high - low < least:
            raise EvaluationError(
                f"no line: the {len(fitted)} models of {where} span {fitted[axis].min():.2f} to "
                f"{fitted[axis].max():.2f} % on {name}, {high - low:.3g} of the "
                f"{options.scale} scale, and at least {least:.3g} (45 to 55 %) is needed; "
                "add models of other accuracies"
            )
    if options.two_fits and options.pivot is not None:
        above = int((fitted["x"] >= options.pivot).sum())
        if min(above, len(fitted) - above) < MIN_SIDE:
            raise EvaluationError(
                f"no line: {len(fitted) - above} models lie below {options.pivot:g} % on {options.x[0]} and {above} "
                f"above; each of two fits needs at least {MIN_SIDE}"
            )


def _coefficients(values: Floats, r2: float, options: LineConfig) -> Coefficients:
    if np.isnan(values).any():
        raise EvaluationError(
            "no line: the axes x (or the two sides of the pivot) do not vary independently over the fitted models"
        )
    named = dict(zip(options.names, map(float, values), strict=False))  # R2 is the last name, and no column
    slopes = tuple(float(v) for v in values[: len(options.x)])
    return Coefficients(slopes, named["intercept"], r2, named.get("bend"), named.get("jump"))


def _place(
    wide: pd.DataFrame, fit: Coefficients, options: LineConfig, sure: Fitted, noise: list[Noise]
) -> None:
    """Add predicted, rho with its interval and tau to the models, in place."""
    rows = wide[_axes(options)].to_numpy()
    wide["predicted"] = predict(fit, options, rows if len(options.x) > 1 else rows[:, 0])
    wide["rho"] = wide["y"] - wide["predicted"]
    places = Places(
        np.column_stack([design(rows, options), np.ones(len(rows))]),
        wide["fitted"].to_numpy(dtype=bool),
        points_per_unit(wide["y"], options.scale),
        points_per_unit(wide["predicted"], options.scale),
    )
    half = rho_errors(sure, places, noise, options.level)
    wide["rho_lo"], wide["rho_hi"] = wide["rho"] - half, wide["rho"] + half
    wide["counted"] = np.all([one.known for one in noise], axis=0)
    wide["tau"] = wide["y"] - wide["base"].map(wide["y"])
