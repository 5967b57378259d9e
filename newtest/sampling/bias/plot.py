"""The picture of a diagnosis: the distributions of true frequency of the original, the pool and the drawn set."""

from __future__ import annotations

import numpy as np

from newtest.drawing import Picture, axes_of, looks, picture, style
from newtest.lettering import label_of, legend
from newtest.sampling.bias.diagnostics import Diagnostics

__all__ = ["draw_distributions"]


def draw_distributions(found: Diagnostics, name: str) -> Picture:
    """Cumulative shares of images up to each true frequency, with the means as ticks on the axis.

    Curves that lie on one another are populations that match; the drawn curve left of the original's is a harder set.
    """
    grid = np.array(found.distributions.grid)
    sets = {"original": found.original, "pool": found.pool, "drawn": found.drawn}
    widths = {"original": 3.2, "pool": 1.4, "drawn": 1.4}
    with style():
        figure, axes = axes_of(4.2, 2.9)
        for (label, look), estimate in zip(looks(list(sets)).items(), sets.values(), strict=True):
            shares = np.cumsum(getattr(found.distributions, label))
            axes.plot(
                grid,
                100 * shares,
                color=look.color,
                linewidth=widths[label],
                alpha=0.55 if label == "original" else 1.0,
                linestyle="--" if label == "pool" else "-",
                label=label_of(
                    f"{label}, mean {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
                ),
            )
            axes.plot([estimate.value] * 2, [0, 5], color=look.color, linewidth=2.0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 100)
        axes.set_xlabel("true selection frequency (estimated)")
        axes.set_ylabel("images up to it (%)")
        legend(axes, loc="upper left")
        return picture(
            figure,
            "frequencies",
            f"Cumulative distributions of the true selection frequency: original {found.original.value:.3f}, "
            f"pool {found.pool.value:.3f}, {name} {found.drawn.value:.3f} on average",
        )
