"""The scales of accuracy plots: linear, logit (the ImageNet testbed), probit (Miller et al. 2021), and their ticks."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtr, ndtri

from newtest.errors import UsageError

__all__ = ["Scale", "check_scale", "from_percent", "ticks", "to_percent"]

Scale = Literal["logit", "probit", "linear"]
Floats = npt.NDArray[np.float64]

_TAIL = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_ROUND = np.array([*_TAIL, *range(10, 91, 5), *(100 - value for value in reversed(_TAIL))])
_MOST_TICKS = 8


def check_scale(name: str) -> Scale:
    """The scale of this name; raises UsageError that lists the three."""
    for scale in get_args(Scale):
        if name == scale:
            return scale  # type: ignore[no-any-return]
    raise UsageError(f"`scale` {name}: unknown scale; known are {', '.join(get_args(Scale))}")


def from_percent(percent: npt.ArrayLike, scale: Scale) -> Floats:
    """Percent to axis units, elementwise; 0 and 100 become -inf and inf on logit and probit."""
    values = np.asarray(percent, dtype=np.float64)
    if scale == "linear":
        return values
    return np.asarray(logit(values / 100) if scale == "logit" else ndtri(values / 100), dtype=np.float64)


def to_percent(axis: npt.ArrayLike, scale: Scale) -> Floats:
    """Axis units back to percent: the inverse of ``from_percent``."""
    values = np.asarray(axis, dtype=np.float64)
    if scale == "linear":
        return values
    return np.asarray(100 * (expit(values) if scale == "logit" else ndtr(values)), dtype=np.float64)


def ticks(low: float, high: float, scale: Scale) -> Floats:
    """Round percentages in [low, high] (percent), at most eight and far enough apart on the scale to be legible."""
    if scale == "linear":
        steps = [step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 25) if (high - low) / step <= _MOST_TICKS]
        step = steps[0] if steps else 25.0
        marks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
        return np.round(marks, 2) + 0.0  # no "-0"
    span = from_percent(high, scale) - from_percent(low, scale)
    for candidates in (np.arange(0, 100.5, 0.5)[1:-1], np.arange(1.0, 100), np.arange(2.0, 100, 2), _ROUND):
        inside = candidates[(candidates >= low) & (candidates <= high)]
        gaps = np.diff(from_percent(inside, scale))
        if len(inside) <= _MOST_TICKS and (len(gaps) == 0 or gaps.min() >= span / 14):
            return inside
    inside = _ROUND[(low <= _ROUND) & (high >= _ROUND)]
    kept: list[float] = []
    # Tens first, then fives, then the tails: what is kept earlier is never pushed out by a neighbour.
    for value in sorted(inside, key=lambda v: (v % 10 != 0, v % 5 != 0, abs(v - 50))):
        if all(abs(from_percent(value, scale) - from_percent(other, scale)) >= span / 11 for other in kept):
            kept.append(float(value))
    return np.array(sorted(kept))
