"""Vote counts as arrays, and their tally: how many images share the same two counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from newtest.errors import SamplingError

__all__ = ["DistinctCounts", "VoteCounts", "log_choose", "tally"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VoteCounts:
    """``num_selected`` of ``num_shown`` people selected each of N images: two integer arrays of shape (N,).

    The images may have unequal numbers of votes. Raises SamplingError unless 0 <= num_selected <= num_shown
    and 1 <= num_shown for at least one image.
    """

    num_selected: Ints
    num_shown: Ints

    def __post_init__(self) -> None:
        for name in ("num_selected", "num_shown"):
            given = np.asarray(getattr(self, name))
            whole = given.astype(np.int64)
            if given.ndim != 1 or not np.array_equal(whole, given):
                raise SamplingError(f"{name} must be one whole number per image")
            object.__setattr__(self, name, whole)
        if self.num_selected.shape != self.num_shown.shape or not self.num_shown.size:
            raise SamplingError(
                f"one pair of counts per image is required, for at least one image, got {self.num_selected.size} "
                f"num_selected and {self.num_shown.size} num_shown"
            )
        wrong = np.flatnonzero(
            (self.num_shown < 1) | (self.num_selected < 0) | (self.num_selected > self.num_shown)
        )
        if wrong.size:
            row = wrong[0]
            raise SamplingError(
                f"row {row}: {self.num_selected[row]} selected of {self.num_shown[row]} shown cannot be; leave "
                "out images without votes and check the rest"
            )

    def __len__(self) -> int:
        return int(self.num_shown.size)

    @property
    def frequency(self) -> Floats:
        """num_selected / num_shown, shape (N,)."""
        ratio: Floats = self.num_selected / self.num_shown
        return ratio

    def where(self, rows: npt.NDArray[np.bool_] | Ints | slice) -> VoteCounts:
        """Some of the images."""
        return VoteCounts(self.num_selected[rows], self.num_shown[rows])


@dataclass(frozen=True)
class DistinctCounts:
    """The P distinct pairs of counts, sorted by (num_shown, num_selected): all that a likelihood needs.

    ``images`` (P,) counts the images of each pair; ``pair_of`` (N,) is each image's pair.
    """

    num_selected: Ints
    num_shown: Ints
    images: Ints
    pair_of: Ints


def tally(counts: VoteCounts) -> DistinctCounts:
    """The distinct pairs of ``counts``."""
    width = int(counts.num_shown.max()) + 1
    codes, pair_of, images = np.unique(
        counts.num_shown * width + counts.num_selected, return_inverse=True, return_counts=True
    )
    return DistinctCounts(
        codes % width, codes // width, images.astype(np.int64), pair_of.reshape(-1).astype(np.int64)
    )


def log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """The logarithm of the binomial coefficient; -inf where k lies outside 0 .. n."""
    n, k = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64))
    result = np.full(n.shape, -np.inf)
    inside = (k >= 0) & (k <= n)
    n, k = n[inside], k[inside]
    result[inside] = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result
