"""The picture of a forecast: expected error against dollars, a line per number of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.drawing import INK, Picture, axes_of, looks, picture, style
from newtest.lettering import label_of, legend
from newtest.planner.outlook import Forecast, Outlook

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_forecast", "told"]


def draw_forecast(found: Forecast) -> Picture:
    """The number beside a point is its votes per image, the bar what chance in the simulations leaves open; the ring
    is the cheapest design within the points that were asked for (dotted)."""
    groups = sorted({o.design.candidates for o in found.outlooks})
    names = [f"{count} candidates per class" for count in groups]
    with style():
        figure, axes = axes_of(4.6, 3.1)
        for count, (name, look) in zip(groups, looks(names).items(), strict=True):
            mine = [o for o in found.outlooks if o.design.candidates == count]
            for even, line in ((True, "-"), (False, "none")):
                some = sorted((o for o in mine if (o.design.most is None) == even), key=lambda o: o.dollars)
                axes.errorbar(
                    [float(o.dollars) for o in some],
                    [o.error for o in some],
                    yerr=[o.error_noise for o in some],
                    color=look.color,
                    marker=look.marker,
                    markersize=4.5,
                    markerfacecolor=look.color if even else "white",
                    linewidth=1.2,
                    linestyle=line,
                    label=label_of(name) if even else None,
                )
                for outlook in some:
                    axes.annotate(
                        outlook.design.text, _at(outlook), (4, 4), textcoords="offset points", fontsize=7
                    )
        if found.within is not None:
            axes.axhline(found.within, color=INK, linewidth=0.9, linestyle=":")
        if found.best is not None:
            axes.plot(
                *([value] for value in _at(found.best)), "o", markersize=12, color=INK, fillstyle="none"
            )
        _scales(axes, [float(o.dollars) for o in found.outlooks])
        axes.set_xlabel("dollars, fees included")
        axes.set_ylabel("expected error (points of frequency)")
        legend(axes, loc="lower left")
        best = found.best
        named = "" if best is None else f"; the cheapest within {found.within:g} is {told(best)}"
        return picture(
            figure,
            "design",
            f"Expected error of the drawn set's difficulty against cost, for {len(found.outlooks)} designs{named}",
        )


def _scales(axes: Axes, dollars: list[float]) -> None:
    """Dollars on a logarithmic scale with ticks that are read at once; errors from 0."""
    from matplotlib.ticker import LogLocator, NullLocator

    wide = max(dollars) / min(dollars) > 5
    steps = (1.0, 2.0, 5.0) if wide else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.margins(x=0.12)
    axes.set_ylim(bottom=0)


def told(outlook: Outlook) -> str:
    """A design in words."""
    design = outlook.design
    return (
        f"{design.candidates} candidates per class and {design.text} votes per image "
        f"(error {outlook.error:.2f} points, ${outlook.dollars:,})"
    )


def _at(outlook: Outlook) -> tuple[float, float]:
    return float(outlook.dollars), outlook.error
