"""The label-efficiency figure: accuracy of probes against labels per class (after Radford et al. 2021, figure 6)."""

from __future__ import annotations

from pathlib import Path

from newtest.drawing import COLORS, INK, Picture, axes_of, picture, style
from newtest.evaluation.scoring.probing import Efficiency
from newtest.lettering import legend, shown
from newtest.outputs import write_made

__all__ = ["draw_label_efficiency", "write_label_efficiency"]


def draw_label_efficiency(found: Efficiency) -> Picture:
    """Mean accuracy with one standard deviation over seeds, labels per class on a log scale.

    All labels are a square at their average per class. Zero-shot is a dashed line; a dotted one marks the labels that
    match it.
    """
    few = [point for point in found.points if point.shots is not None]
    full = [point for point in found.points if point.shots is None]
    with style():
        figure, axes = axes_of(4.4, 3.1)
        axes.set_xscale("log", base=2)
        if few:
            axes.errorbar(
                [point.labels for point in few],
                [point.mean for point in few],
                yerr=[point.deviation or 0.0 for point in few],
                color=COLORS[0],
                marker="o",
                markersize=4.5,
                linewidth=1.2,
                elinewidth=0.9,
                capsize=2.5,
                label="probe, few labels",
            )
        for point in full:
            axes.plot(
                [point.labels], [point.mean], color=COLORS[0], marker="s", markersize=6, linestyle="",
                label=f"probe, all labels ({point.labels:.3g} a class)",
            )  # fmt: skip
        if found.zero_shot is not None:
            label = f"zero-shot ({found.zero_shot:.1f} %)"
            axes.axhline(found.zero_shot, color=COLORS[1], linewidth=1.1, linestyle=(0, (5, 3)), label=label)
        if found.zero_shot is not None and found.match is not None:
            axes.axvline(found.match, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.annotate(
                f"{found.match:.1f} labels", (found.match, 0.97), xycoords=("data", "axes fraction"),
                xytext=(-4, 0), textcoords="offset points", horizontalalignment="right", fontsize=7.5,
            )  # fmt: skip
        marks = sorted({point.labels for point in few} or {point.labels for point in full})
        axes.set_xticks(marks, labels=[f"{mark:.3g}" for mark in marks])
        axes.minorticks_off()
        axes.set_xlabel("labelled images per class (log scale)")
        axes.set_ylabel(f"accuracy on {shown(found.test)}, %")
        legend(axes, loc="lower right")
        return picture(
            figure, "label-efficiency", f"Accuracy on {found.test} by labels per class, {found.train}"
        )


def write_label_efficiency(found: Efficiency, out: Path) -> None:
    """Write ``out/label-efficiency.png`` and ``.svg``."""
    drawn = draw_label_efficiency(found)
    write_made(out / "label-efficiency.png", drawn.png)
    write_made(out / "label-efficiency.svg", drawn.svg)
