"""The alpha curve of WiSE-FT: accuracy on shifted data against accuracy in distribution, one point an alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from newtest.drawing import COLORS, Picture, axes_of, picture, style
from newtest.lettering import label_of, legend
from newtest.outputs import write_made

__all__ = ["draw_alpha_curve", "write_alpha_curve"]

IN_DISTRIBUTION = "in_distribution"
_SHAPES = ("o", "^", "D", "v", "X", "P")
"""Of the curves; squares and stars have a meaning of their own."""


Curve = Sequence[tuple[float, Mapping[str, float]]]
"""(alpha, scores by set)."""


def draw_alpha_curve(points: Curve, chosen: float, *, outputs: Curve = ()) -> Picture:
    """Draw (alpha, scores) points; scores hold ``in_distribution`` and any number of shifted sets.

    With a shifted set, x is the in-distribution score and y the shifted one (Wortsman et al. 2022, figure 1); without
    one, x is alpha. ``outputs`` are the scores of output-space ensembles: a thin dashed line in the same colour.
    Squares are the two ends and a star is the chosen alpha, on every curve; the first one's are labelled.
    """
    shifted = sorted({name for _, scores in points for name in scores} - {IN_DISTRIBUTION})
    with style():
        figure, axes = axes_of(4.2, 3.0)
        for at, name in enumerate(shifted or [IN_DISTRIBUTION]):
            color, marker = COLORS[at % len(COLORS)], _SHAPES[at % len(_SHAPES)]
            alphas, x, y = _line(points, name)
            axes.plot(x, y, color=color, marker=marker, markersize=3.5, linewidth=1.2, label=label_of(name))
            if outputs:
                _, *mixed = _line(outputs, name)
                axes.plot(
                    *mixed,
                    color=color,
                    linewidth=0.9,
                    linestyle=(0, (4, 2)),
                    label=label_of(f"{name}, outputs mixed"),
                )
            for alpha, left, up in zip(alphas, x, y, strict=True):
                if alpha in (0, 1, chosen):
                    star = (
                        {"marker": "*", "markersize": 11}
                        if alpha == chosen
                        else {"marker": "s", "markersize": 5}
                    )
                    axes.plot([left], [up], color=color, linestyle="", zorder=3, **star)  # type: ignore[arg-type]
                    label = f"α = {alpha:g}" if at == 0 else ""
                    axes.annotate(label, (left, up), xytext=(5, 5), textcoords="offset points", fontsize=7.5)
        axes.set_xlabel("in-distribution score" if shifted else "α (0: zero-shot, 1: fine-tuned)")
        axes.set_ylabel("shifted score" if shifted else "in-distribution score")
        axes.margins(0.12)
        if len(shifted) > 1 or outputs:
            legend(axes, loc="best")
        alt = f"Scores along the interpolation; alpha {chosen:g} was chosen in distribution"
        return picture(figure, "alpha-curve", alt)


def write_alpha_curve(points: Curve, chosen: float, out: Path, *, outputs: Curve = ()) -> None:
    """Write ``out/alpha-curve.png`` and ``.svg``."""
    drawn = draw_alpha_curve(points, chosen, outputs=outputs)
    write_made(out / "alpha-curve.png", drawn.png)
    write_made(out / "alpha-curve.svg", drawn.svg)


def _line(points: Curve, name: str) -> tuple[list[float], list[float], list[float]]:
    """Alphas, x and y of a set's curve, by alpha; x is alpha itself for the in-distribution set."""
    held = [
        (alpha, s)
        for alpha, s in sorted(points, key=lambda point: point[0])
        if {IN_DISTRIBUTION, name} <= s.keys()
    ]
    alphas = [alpha for alpha, _ in held]
    x = alphas if name == IN_DISTRIBUTION else [s[IN_DISTRIBUTION] for _, s in held]
    return alphas, x, [s[name] for _, s in held]
