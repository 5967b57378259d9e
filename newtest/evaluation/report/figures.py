"""The figures: scatter with the line, frequency histograms, accuracy by frequency, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.drawing import COLORS, INK, Picture, axes_of, looks, picture, style
from newtest.evaluation.analysis.frequency_gap import BINS, ByFrequency
from newtest.evaluation.analysis.line import Line
from newtest.evaluation.analysis.line_model import predict
from newtest.evaluation.analysis.scales import Scale, from_percent, ticks, to_percent
from newtest.evaluation.scoring.results import pick
from newtest.intervals import clopper_pearson
from newtest.lettering import label_of, legend, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Scatter", "draw_curves", "draw_histogram", "draw_matrix", "draw_scatter", "scatter_of"]

MOST_ERROR_BARS = 300
"""Above so many points error bars are a grey cloud, and are left out."""
THIN = {"X": 1.4, "P": 1.5, "*": 2.0}
"""Shapes that cover less than a disc of the same size get more of it."""


@dataclass(frozen=True)
class Scatter:
    """Points of the plot: columns model, group, x, y (percent), and n_x, n_y (NaN where there are no counts)."""

    points: pd.DataFrame
    x_label: str
    y_label: str
    scale: Scale = "logit"
    line: Line | None = None
    name: str = "scatter"


@dataclass(frozen=True)
class Curve:
    """One line of a chart: k of n at each category; n = 0 leaves a gap."""

    label: str
    k: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]


def draw_scatter(scatter: Scatter) -> Picture:
    """New against original accuracy: groups by colour and shape, 95 % intervals both ways, y = x, the fitted line."""
    points = scatter.points
    shown = (
        points
        if scatter.scale == "linear"
        else points[points[["x", "y"]].gt(0).all(axis=1) & points[["x", "y"]].lt(100).all(axis=1)]
    )
    low, high = _limits(shown, scatter.scale)
    fitted = scatter.line.options.group if scatter.line is not None else None
    groups = sorted(set(shown["group"]), key=lambda group: (group != fitted, group))
    hover: dict[str, list[str]] = {}
    size = 30.0 if len(shown) <= MOST_ERROR_BARS else 9.0
    with style():
        figure, axes = axes_of(4.4, 4.3)
        ends = from_percent([low, high], scatter.scale)
        axes.plot(ends, ends, color="#9aa1a9", linewidth=0.9, linestyle=(0, (4, 3)), label="y = x", zorder=1)
        if scatter.line is not None:
            _draw_line(axes, scatter.line, low, high)
        if 0 < len(shown) <= MOST_ERROR_BARS:
            _error_bars(axes, shown, scatter.scale)
        for at, (group, look) in enumerate(looks(groups).items()):
            rows = shown[shown["group"] == group]
            gid = f"points-{at}"
            axes.scatter(
                from_percent(rows["x"], scatter.scale),
                from_percent(rows["y"], scatter.scale),
                s=size * THIN.get(look.marker, 1.0),
                color=look.color,
                marker=look.marker,
                edgecolors="white",
                linewidths=0.5,
                alpha=0.95 if len(shown) <= MOST_ERROR_BARS else 0.6,
                label=label_of(group) or ("models" if len(groups) == 1 else "no group"),
                gid=gid,
                zorder=4,
            )
            hover[gid] = [f"{row.model}: {row.x:.2f} → {row.y:.2f}" for row in rows.itertuples()]
        marks = ticks(low, high, scatter.scale)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(from_percent(marks, scatter.scale), labels=[f"{mark:g}" for mark in marks])
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_aspect("equal")
        suffix = "" if scatter.scale == "linear" else f" ({scatter.scale} scale)"
        axes.set_xlabel(_axis_label(scatter.x_label, suffix))
        axes.set_ylabel(_axis_label(scatter.y_label, suffix))
        small = {"fontsize": 7} if len(groups) > 5 else {}
        legend(axes, loc="upper left", handletextpad=0.4, labelspacing=0.3, borderaxespad=0.2, **small)
        alt = f"Accuracy on {scatter.y_label} against {scatter.x_label}, {len(shown)} models"
        return picture(figure, scatter.name, alt, hover)


def scatter_of(
    table: pd.DataFrame, sets: tuple[str, str], scale: Scale, line: Line | None, name: str = "scatter"
) -> Scatter:
    """The points of a results table for (original, new); models that lack one of the two have none."""
    original, new = sets
    one, two = (pick(table, name).set_index("model") for name in sets)
    models = sorted(set(one.index) & set(two.index))
    one, two = one.loc[models], two.loc[models]
    points = pd.DataFrame(
        {"model": models, "group": one["group"].where(one["group"] != "", two["group"]).to_numpy()}
    )
    for axis, part in (("x", one), ("y", two)):
        points[axis] = part["accuracy"].to_numpy(dtype=np.float64)
        points[f"n_{axis}"] = part["n"].to_numpy(dtype=np.float64, na_value=np.nan)
    return Scatter(points.dropna(subset=["x", "y"]), original, new, scale, line, name)


def draw_histogram(
    original: npt.ArrayLike, new: npt.ArrayLike, labels: tuple[str, str], name: str
) -> Picture:
    """Selection frequencies (in [0, 1]) of two sets side by side, as shares of each set, in bins of a tenth."""
    edges = np.arange(11) / 10  # not linspace, whose 0.3 and 0.7 are not those of 3 / 10 and 7 / 10
    with style():
        figure, axes = axes_of(4.0, 2.5)
        for at, (values, label) in enumerate(zip((original, new), labels, strict=True)):
            values = np.asarray(values, dtype=np.float64)
            share = np.histogram(values, edges)[0] / max(len(values), 1) * 100
            axes.bar(
                np.arange(10) + (at - 0.5) * 0.4,
                share,
                width=0.38,
                color=COLORS[at],
                label=label_of(label),
                hatch="" if at == 0 else "////",
                edgecolor="white",
                linewidth=0.5,
            )
        axes.set_xticks(np.arange(11) - 0.5, labels=[f"{edge:.1f}" for edge in edges])
        axes.set_xlabel("selection frequency")
        axes.set_ylabel("share of the set, %")
        axes.grid(visible=False, axis="x")
        legend(axes, loc="upper left")
        return picture(figure, name, f"Selection frequencies of {labels[0]} and {labels[1]}")


def draw_curves(
    categories: Sequence[str], curves: Sequence[Curve], labels: tuple[str, str], name: str
) -> Picture:
    """Accuracies (percent, with 95 % intervals) over ordered categories, one curve per set."""
    with style():
        figure, axes = axes_of(4.0, 2.8)
        at = np.arange(len(categories))
        drawn = zip(looks([curve.label for curve in curves]).items(), curves, strict=True)
        for place, ((label, look), curve) in enumerate(drawn):
            some = curve.n > 0
            share = 100 * curve.k[some] / curve.n[some]
            low, high = clopper_pearson(curve.k[some], curve.n[some])
            bars = np.clip([share - 100 * low, 100 * high - share], 0, None)
            axes.errorbar(
                at[some] + 0.07 * (place - (len(curves) - 1) / 2),
                share,
                yerr=bars,
                color=look.color,
                marker=look.marker,
                markersize=4.5,
                linewidth=1.2,
                elinewidth=0.8,
                label=label_of(label),
            )
        axes.set_xticks(at, labels=[shown(category) for category in categories])
        axes.set_xlabel(shown(labels[0]))
        axes.set_ylabel(shown(labels[1]))
        legend(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
        return picture(figure, name, f"{labels[1]} by {labels[0]}")


def draw_matrix(values: npt.ArrayLike, names: Sequence[str], label: str, name: str) -> Picture:
    """A square matrix as a heat map; row and column names as long as they stay legible (80 rows)."""
    matrix = np.asarray(values, dtype=np.float64)
    size = min(7.2, max(3.4, 1.6 + 0.11 * len(names)))
    with style():
        figure, axes = axes_of(size + 0.6, size)
        image = axes.imshow(matrix, cmap="cividis", interpolation="nearest")
        axes.grid(visible=False)
        written = [shown(name) for name in names]
        if len(names) <= 80:
            small = 7 if len(names) <= 30 else 4.5
            axes.set_xticks(range(len(names)), labels=written, rotation=90, fontsize=small)
            axes.set_yticks(range(len(names)), labels=written, fontsize=small)
        figure.colorbar(image, ax=axes, label=shown(label), shrink=0.8)
        return picture(figure, name, f"{label}, {len(names)} by {len(names)}")


def _axis_label(name: str, suffix: str) -> str:
    """In two lines where the set's name is long, so that it does not leave the figure."""
    return f"accuracy on{chr(10) if len(name) > 20 else ' '}{shown(name)}, %{suffix}"


def _limits(points: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """One range (percent) for both axes, with a margin on the scale, so that y = x is the diagonal."""
    values = points[["x", "y"]].to_numpy(dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 10.0, 90.0
    low, high = from_percent([values.min(), values.max()], scale)
    margin = max(0.06 * (high - low), 0.5 if scale == "linear" else 0.05)
    low, high = to_percent([low - margin, high + margin], scale)
    return (max(0.0, low), min(100.0, high)) if scale == "linear" else (float(low), float(high))


def _draw_line(axes: Axes, line: Line, low: float, high: float) -> None:
    """The fitted line over the whole axis, drawn through enough points that a bend or another scale shows."""
    if len(line.options.x) > 1:
        return
    start, end = from_percent([low, high], line.options.scale)
    grid = to_percent(np.linspace(start, end, 200), line.options.scale)
    scale = line.options.scale
    axes.plot(
        from_percent(grid, scale),
        from_percent(predict(line.fit, line.options, grid), scale),
        color=INK,
        linewidth=1.3,
        label=f"fit, {line.n} models: slope {line.slope:.2f}, R² {line.fit.r2:.3f}",
        zorder=2,
    )


def _error_bars(axes: Axes, points: pd.DataFrame, scale: Scale) -> None:
    from matplotlib.collections import LineCollection

    for along, across in (("x", "y"), ("y", "x")):
        rows = points[points[f"n_{along}"].gt(0)]
        if rows.empty:
            continue
        n = rows[f"n_{along}"].to_numpy(dtype=np.float64)
        low, high = clopper_pearson(np.round(rows[along].to_numpy(dtype=np.float64) * n / 100), n)
        # An interval that reaches 0 or 1 has no end on the logit: draw it past the frame.
        clipped = np.clip([100 * low, 100 * high], *((0, 100) if scale == "linear" else (1e-3, 100 - 1e-3)))
        ends = from_percent(clipped, scale)
        fixed = from_percent(rows[across], scale)
        pairs = [
            ((a, f), (b, f)) if along == "x" else ((f, a), (f, b))
            for a, b, f in zip(*ends, fixed, strict=True)
        ]
        axes.add_collection(
            LineCollection(
                pairs,
                colors="#7d858e",
                linewidths=0.6,
                alpha=float(np.clip(15 / len(points), 0.25, 0.6)),
                zorder=3,
            )
        )


def draw_by_frequency(sets: list[ByFrequency], name: str = "accuracy-by-frequency") -> Picture:
    """Accuracy of the mean model against selection frequency, a curve per set, intervals over images."""
    curves = []
    for part in sets:
        mean = np.divide(part.k, part.n, out=np.zeros(5), where=part.n > 0)
        curves.append(Curve(part.set, np.round(mean * part.images).astype(np.int64), part.images))
    return draw_curves(BINS, curves, ("selection frequency", "mean accuracy, %"), name)
