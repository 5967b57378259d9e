"""Who voted: what workers' own leniency does to a mismatch, and whether two crowds answered alike.

The correction knows counts only. Where single votes are known, three of its assumptions can be looked at: that workers
do not differ (or how far their differences move a mean), that one crowd judged original and pool, and that votes on an
image scatter as the binomial says (votes of one task against votes of several tasks on the same image).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.sampling.pairs import Pairs

__all__ = ["CrowdTest", "Votes", "equal_crowds", "leniency", "votes_of", "within_tasks", "worker_errors"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEW_COMMON = 30
"""Votes on common images that each crowd needs for a comparison."""


@dataclass(frozen=True)
class Votes:
    """V single votes: codes of the image (0 .. I - 1), worker and task (-1: unknown), the answer, and per image its
    place among the originals and among the pool (-1: not there); ``control`` (V,) marks votes on controls.
    """

    image: Ints
    worker: Ints
    task: Ints
    selected: Floats
    original: Ints
    pool: Ints
    control: npt.NDArray[np.bool_]

    @property
    def residual(self) -> tuple[Floats, Floats]:
        """Each vote less the mean of the others on its image, 0 for lone ones; and s (1 - s) of the image, (V,)."""
        shown = np.bincount(self.image).astype(np.float64)
        yes = np.bincount(self.image, self.selected)
        n, k = shown[self.image], yes[self.image]
        share = (k + 0.5) / (n + 1)
        others = np.divide(k - self.selected, n - 1, out=self.selected.copy(), where=n > 1)
        return self.selected - others, share * (1 - share)


@dataclass(frozen=True)
class CrowdTest:
    """The crowds of the original and of the pool. ``workers`` and ``tasks`` are the parts of the original's votes whose
    worker or task has votes on the pool, too; ``difference`` is how much more leniently the original's crowd answered
    on images that both saw (logits, with its standard error), None where too few were.
    """

    workers: float
    tasks: float
    difference: float | None = None
    error: float | None = None


def votes_of(frame: pd.DataFrame, original: Pairs, pool: Pairs) -> Votes | None:
    """Single votes with image_id, wnid, worker, selected, hit_id, control; None where there are none."""
    if frame.empty:
        return None
    places = pd.concat(
        [
            pd.DataFrame({"image_id": p.image_id, "wnid": p.wnid, name: np.arange(len(p))})
            for name, p in (("original", original), ("pool", pool))
        ]
    )
    places = places.groupby(["image_id", "wnid"], as_index=False).max()
    joined = frame.merge(places, on=["image_id", "wnid"], how="left")
    control = joined["control"].notna().to_numpy()
    known = joined[["original", "pool"]].notna().any(axis=1).to_numpy() | control
    joined, control = joined[known], control[known]
    if joined.empty:
        return None
    image = joined.groupby(["image_id", "wnid"], sort=True).ngroup().to_numpy()
    task = pd.factorize(joined["hit_id"], sort=True)[0]
    at = {name: joined[name].fillna(-1).to_numpy(dtype=np.int64) for name in ("original", "pool")}
    return Votes(
        image.astype(np.int64),
        pd.factorize(joined["worker"], sort=True)[0].astype(np.int64),
        task.astype(np.int64),
        joined["selected"].to_numpy(dtype=np.float64),
        at["original"],
        at["pool"],
        control,
    )


def leniency(votes: Votes) -> float:
    """The variance of workers' own leniency in logits, by the method of moments.

    A worker's residuals, weighed by s (1 - s), add up to leniency and noise; the products of two of them hold none of
    the noise. 0 where workers differ by no more than votes do.
    """
    residual, weight = votes.residual
    score, square = weight * residual, (weight * residual) ** 2
    together = np.bincount(votes.worker, score) ** 2 - np.bincount(votes.worker, square)
    pairs = np.bincount(votes.worker, weight**2) ** 2 - np.bincount(votes.worker, weight**4)
    return max(float(together.sum() / pairs.sum()), 0.0) if pairs.sum() > 0 else 0.0


def worker_errors(votes: Votes, original: Floats, pool: Floats) -> tuple[float, float]:
    """The standard deviation of workers' leniency (logits), and the error that it gives the difference of two means.

    ``original`` and ``pool`` are the weights of the images in either mean. A worker who judged both sets moves both.
    """
    shown = np.bincount(votes.image).astype(np.float64)[votes.image]
    weight = np.zeros(len(votes.image))
    for place, weights, sign in ((votes.original, original, 1), (votes.pool, pool, -1)):
        there = place >= 0
        weight[there] += sign * weights[place[there]]
    pull = np.bincount(votes.worker, weight / shown * votes.residual[1])
    variance = leniency(votes)
    return float(np.sqrt(variance)), float(np.sqrt(variance * np.sum(pull**2)))


def equal_crowds(votes: Votes) -> CrowdTest:
    """Whether the same people judged original and pool, and if not, whether they answered alike where both did."""
    asked, other = (votes.original >= 0) & ~votes.control, (votes.pool >= 0) & ~votes.control
    if not asked.any():
        asked = votes.original >= 0
    if not asked.any() or not other.any():
        return CrowdTest(1.0, 1.0)
    shared = np.isin(votes.worker, votes.worker[other])
    task = (votes.task >= 0) & np.isin(votes.task, votes.task[other])
    found = CrowdTest(float(shared[asked].mean()), float(task[asked].mean()))
    # A crowd's votes on common images: of workers who judged the one set only.
    theirs = np.isin(votes.worker, votes.worker[asked]) & ~shared
    ours = shared & ~np.isin(votes.worker, votes.worker[asked])
    images = int(votes.image.max()) + 1
    n = [np.bincount(votes.image[crowd], minlength=images).astype(np.float64) for crowd in (theirs, ours)]
    both = np.minimum(*n) > 0
    counted = both[votes.image] & (theirs | ours)
    if min(n[0][both].sum(), n[1][both].sum()) < FEW_COMMON:
        return found
    yes = [
        np.bincount(votes.image[crowd], votes.selected[crowd], minlength=images) for crowd in (theirs, ours)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [np.where(both, k / size, 0.0) for k, size in zip(yes, n, strict=True)]
        weight = np.where(both, n[0] * n[1] / (n[0] + n[1]), 0.0)
    share = (yes[0] + yes[1] + 0.5) / (n[0] + n[1] + 1)
    scale = float(np.sum(weight * share * (1 - share)))
    difference = float(np.sum(weight * (means[0] - means[1]))) / scale
    # Influence of a vote, then of a worker: votes of one person are not independent.
    sign = np.where(theirs, 1.0, -1.0)
    size = np.where(theirs, n[0][votes.image], n[1][votes.image])
    mean = np.where(theirs, means[0][votes.image], means[1][votes.image])
    lean = sign * difference * (share * (1 - share))[votes.image] / 2
    centre = np.where(size > 1, mean, share[votes.image] + lean)
    influence = np.zeros(len(votes.image))
    parts = weight[votes.image] * sign * (votes.selected - centre) / np.maximum(size, 1) / scale
    influence[counted] = parts[counted]
    by_worker = np.bincount(votes.worker, influence)
    return CrowdTest(found.workers, found.tasks, difference, float(np.sqrt(np.sum(by_worker**2))))


def within_tasks(votes: Votes) -> tuple[float, float] | None:
    """How much more alike two votes on an image are within one task than in two, as a correlation, with its error.

    None unless images were shown in several tasks, two votes and more in one of them.
    """
    known = (votes.task >= 0) & ~votes.control
    image = votes.image[known]
    shown = np.bincount(image, minlength=int(votes.image.max()) + 1).astype(np.float64)
    yes = np.bincount(image, votes.selected[known], minlength=len(shown))
    mean = np.divide(yes, shown, out=np.zeros_like(shown), where=shown > 0)
    rest = votes.selected[known] - mean[image]
    cells, cell = np.unique(image * (int(votes.task.max()) + 2) + votes.task[known], return_inverse=True)
    owner = cells // (int(votes.task.max()) + 2)
    sums, squares = np.bincount(cell, rest), np.bincount(cell, rest**2)
    size = np.bincount(cell).astype(np.float64)
    inner = np.bincount(owner, sums**2 - squares, minlength=len(shown))
    inner_pairs = np.bincount(owner, size * (size - 1), minlength=len(shown))
    total = -np.bincount(image, rest**2, minlength=len(shown))  # the rests of an image add up to 0
    outer, outer_pairs = total - inner, shown * (shown - 1) - inner_pairs
    usable = (inner_pairs > 0) & (outer_pairs > 0)
    if usable.sum() < FEW_COMMON:
        return None
    # A difference an image, so the images' own means cancel; weighed by how many pairs it rests on.
    weight = inner_pairs[usable] * outer_pairs[usable] / (inner_pairs + outer_pairs)[usable]
    apart = inner[usable] / inner_pairs[usable] - outer[usable] / outer_pairs[usable]
    n = shown[usable]
    spread = mean[usable] * (1 - mean[usable]) * n / np.maximum(n - 1, 1)
    scale = float(np.sum(weight * spread))
    if scale <= 0:
        return None
    value = float(np.sum(weight * apart)) / scale
    error = float(np.sqrt(np.sum((weight * (apart - value * spread)) ** 2))) / scale
    return value, error
