"""The alpha curve of WiSE-FT: accuracy on shifted data against accuracy in distribution, one point an alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from newtest.evaluation.drawing import COLORS, Picture, axes_of, picture, style
from newtest.files import write_atomic

__all__ = ["draw_alpha_curve", "write_alpha_curve"]

IN_DISTRIBUTION = "in_distribution"


def draw_alpha_curve(points: Sequence[tuple[float, Mapping[str, float]]], chosen: float) -> Picture:
    """Draw (alpha, scores) points; scores hold ``in_distribution`` and any number of shifted sets.

    With a shifted set, x is the in-distribution score and y the shifted one (Wortsman et al. 2022, figure 1); without
    one, x is alpha.
    """
    ordered = sorted(points, key=lambda point: point[0])
    shifted = sorted({name for _, scores in ordered for name in scores} - {IN_DISTRIBUTION})
    with style():
        figure, axes = axes_of(4.2, 3.0)
        for color, name in zip(COLORS, shifted or [IN_DISTRIBUTION], strict=False):
            held = [(alpha, s) for alpha, s in ordered if IN_DISTRIBUTION in s and name in s]
            x = [s[IN_DISTRIBUTION] if shifted else alpha for alpha, s in held]
            y = [s[name] for _, s in held]
            axes.plot(x, y, color=color, marker="o", markersize=3.5, linewidth=1.2, label=name)
            for (alpha, _), left, up in zip(held, x, y, strict=True):
                if alpha in (0, 1, chosen):
                    star = (
                        {"marker": "*", "markersize": 11}
                        if alpha == chosen
                        else {"marker": "s", "markersize": 5}
                    )
                    axes.plot([left], [up], color=color, linestyle="", zorder=3, **star)  # type: ignore[arg-type]
                    axes.annotate(
                        f"α = {alpha:g}", (left, up), xytext=(5, 5), textcoords="offset points", fontsize=7.5
                    )
        axes.set_xlabel("in-distribution score" if shifted else "α (0: zero-shot, 1: fine-tuned)")
        axes.set_ylabel("shifted score" if shifted else "in-distribution score")
        axes.margins(0.12)
        if len(shifted) > 1:
            axes.legend(loc="best")
        alt = f"Scores along the interpolation; alpha {chosen:g} was chosen in distribution"
        return picture(figure, "alpha-curve", alt)


def write_alpha_curve(points: Sequence[tuple[float, Mapping[str, float]]], chosen: float, out: Path) -> None:
    """Write ``out/alpha-curve.png`` and ``.svg``."""
    drawn = draw_alpha_curve(points, chosen)
    write_atomic(out / "alpha-curve.png", drawn.png)
    write_atomic(out / "alpha-curve.svg", drawn.svg)
