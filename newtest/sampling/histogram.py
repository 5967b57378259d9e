"""Histograms of selection frequencies, from integer counts, and their scaling to a number of images.

6 of 10 votes lie on the edge 0.6 exactly, so edges are fractions and the comparison is ``k * q >= p * n``:
floating point never decides on which side of an edge an image falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["at_least", "bin_labels", "bin_of", "exact", "largest_remainder"]

Ints = npt.NDArray[np.int64]


def exact(value: float) -> Fraction:
    """The decimal that a person wrote: 0.6 is 3/5, not the nearest binary fraction. Denominators up to a
    million.
    """
    return Fraction(str(value)).limit_denominator(1_000_000)


def at_least(num_selected: Ints, num_shown: Ints, frequency: float) -> npt.NDArray[np.bool_]:
    """Whether num_selected / num_shown >= frequency, exactly; false where nobody was asked."""
    edge = exact(frequency)
    return (num_shown > 0) & (num_selected * edge.denominator >= edge.numerator * num_shown)


def bin_of(num_selected: Ints, num_shown: Ints, edges: Sequence[float]) -> Ints:
    """The bin of each image, 0 .. len(edges): half-open [lo, hi), the last one closed. Shaped as counts."""
    bins = np.zeros(num_selected.shape, dtype=np.int64)
    for edge in edges:
        bins += at_least(num_selected, num_shown, edge)
    return bins


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """What the bins are called, lowest first: ``[0,0.2)`` ... ``[0.8,1]``."""
    bounds = ["0", *(f"{edge:g}" for edge in edges), "1"]
    last = len(bounds) - 2
    return tuple(f"[{bounds[i]},{bounds[i + 1]}{']' if i == last else ')'}" for i in range(len(bounds) - 1))


def largest_remainder(counts: npt.ArrayLike, total: int) -> Ints:
    """Scale rows of counts to integers that add up to ``total``: Hamilton's method, ties to the higher bin.

    ``counts`` is (bins,) or (classes, bins), not negative; the result has its shape. A row of zeros stays
    zero. The tie rule is ImageNetV2's: [0,1,1,1,0] to 10 gives [0,3,3,4,0].
    """
    rows = np.atleast_2d(np.asarray(counts, dtype=np.int64))
    sums = rows.sum(axis=1, keepdims=True)
    scaled, safe = rows * total, np.maximum(sums, 1)
    result, remainder = scaled // safe, scaled % safe
    left = np.where(sums[:, 0] > 0, total, 0) - result.sum(axis=1)
    width = rows.shape[1]
    # A key without ties: the remainder first, then the higher bin.
    order = np.argsort(-(remainder * width + np.arange(width)), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(width), order.shape), axis=1)
    result += ranks < left[:, None]
    scaled_rows: Ints = result.reshape(np.shape(counts))
    return scaled_rows
