"""How sure a line is of its images: the same models on other images of the same kind.

Slope and intercept: accuracies are redrawn, and the line fitted anew. Redrawing adds noise a second time, which
flattens every redrawn line; by as much as it does so the intervals lie on the other side of the estimate (Davison and
Hinkley 1997, section 2.4). R2: the sum of squares about the line, in units of the noise, is noncentral chi-square; the
interval of its noncentrality, which is what endlessly many images would leave of it, is found by inversion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import ncx2, norm

from newtest.draws import bootstrap_rows, generator
from newtest.evaluation.analysis.line_interval import Fitted, Interval, Places, less_noise, residual_noise
from newtest.evaluation.analysis.line_model import Floats, LineConfig, design, ols_each
from newtest.evaluation.analysis.line_noise import Noise
from newtest.evaluation.analysis.scales import from_percent
from newtest.evaluation.scoring.results import pick

__all__ = ["over_images", "redraw"]

MOST_IMAGE_DRAWS = 400
"""Each of these redraws every k, which costs more than redrawing models."""
MUCH = 1e4
"""A sum of squares, in units of the noise, whose root is normal for all that matters."""


def over_images(
    redrawn: Sequence[Floats], y: Floats, fit: Fitted, noise: Sequence[Noise], options: LineConfig
) -> list[Interval]:
    """The interval of each coefficient, then of R2, of these models with endlessly many images.

    ``redrawn`` holds an array (M, B) of accuracies (percent) for each x and y; ``y`` (M,) are the measured ones in
    units of the scale, and ``noise`` is of the same sets and models.
    """
    draws = _refitted(redrawn, options)
    draws = draws[~np.isnan(draws).any(axis=1)]
    if len(draws) < 2:
        return [(np.nan, np.nan)] * (len(fit.coefficients) + 1)
    centre = 2 * fit.coefficients - draws.mean(axis=0)
    # Flattened twice, the redrawn slopes lie closer together by as much.
    widen = less_noise(fit, list(noise[:-1]))[1] ** 2
    half = float(norm.ppf((1 + options.level) / 2)) * widen * draws.std(axis=0, ddof=1)
    low, high = np.minimum(centre - half, fit.coefficients), np.maximum(centre + half, fit.coefficients)
    found = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return [*found, _r2_interval(y, fit, draws, noise, options.level)]


def _refitted(redrawn: Sequence[Floats], options: LineConfig) -> Floats:
    """Coefficients (B, P) of the lines through redrawn accuracies."""
    stack = np.stack(redrawn, axis=-1)  # (M, B, x.. and y)
    sound = np.ones(stack.shape[:2], dtype=bool)
    if options.scale != "linear":
        sound &= ((stack > 0) & (stack < 100)).all(axis=2)
        stack = np.where(sound[:, :, None], stack, 50.0)  # any value: its weight is 0
    models, count, axes = stack.shape
    x = design(stack[:, :, :-1].reshape(-1, axes - 1), options).reshape(models, count, -1)
    return ols_each(x, from_percent(stack[:, :, -1], options.scale), sound.astype(np.float64))


def _r2_interval(y: Floats, fit: Fitted, draws: Floats, noise: Sequence[Noise], level: float) -> Interval:
    """Of the models' own squares about the line to those along it; stretched to hold the estimate."""
    line = fit.columns @ fit.coefficients
    along, about = float(((line - line.mean()) ** 2).sum()), float(((y - line) ** 2).sum())
    if along <= 0:
        return np.nan, np.nan
    unit = float(residual_noise(fit, Places.on_scale(fit.columns), list(noise)).sum()) / fit.free
    moved = fit.columns @ draws.T
    spread = ((moved - moved.mean(axis=0)) ** 2).sum(axis=0)
    along_off = float(norm.ppf((1 + level) / 2)) * float(spread.std(ddof=1)) / along
    ends = _noncentrality(about / unit, fit.free, level) if unit > 0 else (about, about)
    shares = []
    for end, sign in zip(ends, (-1, 1), strict=True):
        off = np.log(max(end * unit, 1e-300) / max(about, 1e-300))
        ratio = about / along * np.exp(sign * np.hypot(off, along_off))
        shares.append(1 / (1 + ratio))
    estimate = along / (along + about)
    return float(min(shares[1], estimate)), float(max(shares[0], estimate))


def _noncentrality(seen: float, free: int, level: float) -> Interval:
    """The interval of a noncentral chi-square's noncentrality, from one value of it; its low end may be 0."""
    tails = ((1 + level) / 2, (1 - level) / 2)
    if seen > MUCH:
        roots = [np.sqrt(seen) - float(norm.ppf(tail)) for tail in tails]
        low, high = (max(root, 0.0) ** 2 - (free - 1) for root in roots)
        return max(low, 0.0), max(high, 0.0)
    found = []
    for tail in tails:

        def above(lambda_: float, tail: float = tail) -> float:
            return float(ncx2.cdf(seen, free, lambda_)) - tail

        most = (np.sqrt(seen) + 10) ** 2
        found.append(0.0 if above(1e-9) <= 0 else float(brentq(above, 1e-9, most, xtol=1e-6)))
    return found[0], found[1]


def redraw(
    table: pd.DataFrame,
    models: pd.Index,
    options: LineConfig,
    correct: Sequence[pd.DataFrame] | None,
    clusters: Sequence[npt.NDArray[np.int64]] | None = None,
) -> tuple[list[Floats] | None, bool]:
    """Accuracies (models, B) of other images, for each x and y; B is at most ``MOST_IMAGE_DRAWS``.

    ``clusters`` of each set draw groups of images.
    None where a set has neither counts nor correctness; the bool says whether images were drawn for all models alike.
    """
    rng = generator(options.seed, "line", "images", *options.x, options.y)
    count = min(options.resamples, MOST_IMAGE_DRAWS)
    redrawn: list[Floats] = []
    paired = correct is not None
    for position, name in enumerate([*options.x, options.y]):
        matrix = correct[position].reindex(models) if correct else None
        rows = pick(table, name).set_index("model").reindex(models)
        n = rows["n"].to_numpy(dtype=np.float64, na_value=np.nan)
        if matrix is not None and matrix.notna().all(axis=None):
            right = matrix.to_numpy(dtype=np.float32)
            size = right.shape[1]
            rows_of = bootstrap_rows(size, clusters[position] if clusters else None)
            weights = np.stack([np.bincount(rows_of(rng), minlength=size) for _ in range(count)])
            sums = right @ weights.T.astype(np.float32)
            redrawn.append((sums / weights.sum(axis=1).astype(np.float32) * 100).astype(np.float64))
        elif np.isnan(n).any() or (n == 0).any():
            return None, False
        else:
            paired = False
            share = rows["accuracy"].to_numpy(dtype=np.float64) / 100
            drawn = rng.binomial(n.astype(np.int64)[:, None], share[:, None], size=(len(n), count))
            redrawn.append(100 * drawn / n[:, None])
    return redrawn, paired
