"""How sure a line is: the bootstrap over models and the one over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from newtest.draws import generator
from newtest.evaluation.analysis.line_model import Floats, LineConfig, design, ols
from newtest.evaluation.analysis.scales import from_percent
from newtest.evaluation.scoring.results import pick

__all__ = ["Interval", "intervals", "over_images", "over_models"]

Interval = tuple[float, float]
MOST_IMAGE_DRAWS = 200
"""Each of these redraws every k, which costs more than redrawing models; 200 settle a 95 % interval's ends
well enough.
"""


def over_models(x: Floats, y: Floats, options: LineConfig) -> tuple[Floats, Floats]:
    """Coefficients (B, .) and R2 (B,) of lines through models drawn with replacement; x (M, P), y (M,)."""
    rng = generator(options.seed, "line", "models", *options.x, options.y)
    weights = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=options.resamples).astype(np.float64)
    return ols(x, y, weights)


def over_images(
    table: pd.DataFrame, fitted: pd.DataFrame, options: LineConfig, correct: Sequence[pd.DataFrame] | None
) -> tuple[tuple[Floats, Floats] | None, bool]:
    """Coefficients (B, .) and R2 (B,) of lines through redrawn accuracies; B is at most ``MOST_IMAGE_DRAWS``.

    None where a set has neither counts nor correctness; the bool says whether images were drawn for all models alike.
    """
    rng = generator(options.seed, "line", "images", *options.x, options.y)
    count = min(options.resamples, MOST_IMAGE_DRAWS)
    redrawn = []
    paired = correct is not None
    for position, name in enumerate([*options.x, options.y]):
        matrix = correct[position].reindex(fitted.index) if correct else None
        rows = pick(table, name).set_index("model").reindex(fitted.index)
        n = rows["n"].to_numpy(dtype=np.float64, na_value=np.nan)
        if matrix is not None and matrix.notna().all(axis=None):
            right = matrix.to_numpy(dtype=np.float32)
            size = right.shape[1]
            weights = np.stack(
                [np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(count)]
            )
            redrawn.append(right @ weights.T.astype(np.float32) / size * 100)
        elif np.isnan(n).any() or (n == 0).any():
            return None, False
        else:
            paired = False
            share = rows["accuracy"].to_numpy(dtype=np.float64) / 100
            drawn = rng.binomial(n.astype(np.int64)[:, None], share[:, None], size=(len(n), count))
            redrawn.append(100 * drawn / n[:, None])
    found: list[tuple[Floats, Floats]] = []
    for draw in range(count):
        axes = np.column_stack([values[:, draw] for values in redrawn]).astype(np.float64)
        if options.scale != "linear":
            axes = axes[((axes > 0) & (axes < 100)).all(axis=1)]
        found.append(ols(design(axes[:, :-1], options), from_percent(axes[:, -1], options.scale)))
    return (np.concatenate([c for c, _ in found]), np.concatenate([r for _, r in found])), paired


def intervals(
    draws: tuple[Floats, Floats], options: LineConfig, around: tuple[Floats, float] | None = None
) -> dict[str, Interval]:
    """The interval of each coefficient and of R2, at ``options.level``; NaN where no resample had one.

    Percentile, or, ``around`` the fitted coefficients and R2, basic: [2 e - q_hi, 2 e - q_lo] (Davison and Hinkley
    1997, section 2.4), stretched to hold e. Over images only the latter will do: redrawing accuracies adds noise to x
    a second time, which flattens every resampled line and lowers its R2, so that a percentile interval can miss the
    estimate itself.
    """
    tail = (1 - options.level) / 2
    columns = np.column_stack(draws)
    centres = None if around is None else [*around[0], around[1]]
    found = {}
    for at, (name, column) in enumerate(zip(options.names, columns.T, strict=True)):
        sound = column[~np.isnan(column)]
        low, high = np.quantile(sound, [tail, 1 - tail]) if sound.size else (np.nan, np.nan)
        if centres is not None:
            low, high = min(2 * centres[at] - high, centres[at]), max(2 * centres[at] - low, centres[at])
            high = min(high, 1.0) if name == "r2" else high
        found[name] = (float(low), float(high))
    return found
