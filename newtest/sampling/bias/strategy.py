"""The strategy ``matched-frequency`` with ``bias_correction = "mixture"``: match true frequencies, not observed ones.

The published rule draws as many candidates a histogram bin of k/n as the original has there. The pool is harder
than the original, so among images with equal k/n the pool's have the lower true frequency, and the set drawn comes out
harder (Engstrom et al. 2020). Here both populations' true frequencies are estimated first (``mixture``), then
how many to draw at each expected true frequency (``weights``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from newtest.draws import generator
from newtest.frequency.counts import VoteCounts, tally
from newtest.frequency.mixture import IMAGES_AT_ONCE, POINTS, ClassMixtures, fit_classes, likelihood
from newtest.frequency.weights import EDGES, GROUPS, group_of, round_systematically, solve_together
from newtest.sampling.config import SamplingConfig
from newtest.sampling.pairs import Pairs
from newtest.sampling.plan import NO_CELL, Cells, DrawPlan

__all__ = ["Population", "matched_mixture"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """Images of C classes with votes, and the distributions of their true frequencies."""

    counts: VoteCounts
    class_index: Ints
    mixtures: ClassMixtures

    @classmethod
    def of(cls, pairs: Pairs) -> Population:
        """Fit the pairs' distributions. Raises SamplingError without pairs, or when one has no votes."""
        counts = VoteCounts(pairs.num_selected, pairs.num_shown)
        return cls(counts, pairs.class_index, fit_classes(counts, pairs.class_index, len(pairs.wnids)))

    @cached_property
    def moments(self) -> tuple[Floats, Floats]:
        """Mean and variance of each image's true frequency given its votes: two arrays (N,)."""
        return self.mixtures.posterior_moments(self.counts, self.class_index)

    @cached_property
    def group(self) -> Ints:
        """Each image's group of expected true frequency, 0 .. GROUPS - 1, shape (N,)."""
        return group_of(self.moments[0])

    @property
    def cell(self) -> Ints:
        """class_index * GROUPS + group, shape (N,)."""
        return self.class_index * GROUPS + self.group

    def group_posteriors(self) -> tuple[Floats, Ints]:
        """The mean posterior of each group (C, GROUPS, G), and its images (C, GROUPS)."""
        classes = len(self.mixtures.weights)
        sizes = np.bincount(self.cell, minlength=classes * GROUPS).astype(np.int64)
        sums = np.zeros((classes * GROUPS, POINTS))
        found = tally(self.counts)
        table = likelihood(found)
        order = np.argsort(self.cell, kind="stable")
        for start in range(0, len(order), IMAGES_AT_ONCE):
            rows = order[start : start + IMAGES_AT_ONCE]
            joint = table[found.pair_of[rows]] * self.mixtures.weights[self.class_index[rows]]
            joint /= joint.sum(axis=1, keepdims=True)
            cells, firsts = np.unique(self.cell[rows], return_index=True)
            sums[cells] += np.add.reduceat(joint, firsts, axis=0)
        means = sums / np.maximum(sizes, 1)[:, None]
        return means.reshape(classes, GROUPS, POINTS), sizes.reshape(classes, GROUPS)


def matched_mixture(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """How many candidates to draw at each expected true frequency, so that true frequencies match the original's.

    Reference images and classes count as in the published rule (``reference_votes``, ``min_reference_images``). The
    fractional numbers that ``weights.solve`` gives are rounded with the seed so that each is right in expectation.
    """
    counted = reference.where(reference.num_shown >= config.reference_votes)
    classes = len(eligible.wnids)
    known = np.bincount(counted.class_index, minlength=classes)
    enough = known >= config.min_reference_images
    lacking = {
        str(eligible.wnids[index]): f"its reference has {known[index]} images with at least "
        f"{config.reference_votes} votes, {config.min_reference_images} are needed"
        for index in np.flatnonzero(~enough)
    }
    target = np.zeros((classes, GROUPS), dtype=np.int64)
    original_sizes = np.zeros(classes * GROUPS, dtype=np.int64)
    cell_of = np.full(len(eligible), NO_CELL)
    if enough.any():
        original = Population.of(counted)
        original_sizes = np.bincount(original.cell, minlength=classes * GROUPS)
        target[enough, -1] = config.per_class  # what a class without candidates lacks
    if enough.any() and len(eligible):
        pool = Population.of(eligible)
        cell_of = pool.cell
        target[enough] = _whole_numbers(original, pool, enough, config)
    cells = Cells(
        np.repeat(np.arange(classes), GROUPS),
        _labels() * classes,
        original_sizes.astype(np.int64),
        target.ravel(),
        np.full(classes * GROUPS, NO_CELL),
    )
    return DrawPlan(eligible, cells, cell_of, lacking=lacking)


def _whole_numbers(
    original: Population,
    pool: Population,
    enough: npt.NDArray[np.bool_],
    config: SamplingConfig,
) -> Ints:
    """Images to draw, (classes with enough, GROUPS); each row adds up to ``per_class``."""
    posteriors, available = pool.group_posteriors()
    wanted = np.full(int(enough.sum()), float(config.per_class))
    solution = solve_together(
        original.mixtures.members[enough], posteriors[enough], available[enough].astype(np.float64), wanted
    )
    target = np.empty(solution.images.shape, dtype=np.int64)
    starts = _starts(int(enough.sum()), config.seed)
    for row, index in enumerate(np.flatnonzero(enough)):
        target[row] = _within(round_systematically(solution.images[row], starts[row]), available[index])
        # Too few candidates in all: the shortfall is reported against the highest group.
        target[row, -1] += config.per_class - target[row].sum()
    return target


def _starts(classes: int, seed: int) -> Floats:
    """Where the rounding of each class starts: uniform in [0, 1), spread evenly over the classes.

    A higher start rounds a class towards lower groups. With starts of their own, 30 classes together were off by half a
    point of frequency in one draw of three; spread evenly, classes make up for one another.
    """
    random = generator(seed, "sample", "mixture", "starts")
    starts: Floats = (random.permutation(classes) + random.random(classes)) / classes
    return starts


def _within(images: Ints, available: Ints) -> Ints:
    """Move what rounding puts beyond a group's supply to the nearest groups that have some left."""
    taken = np.minimum(images, available)
    for group in np.repeat(np.arange(len(images)), images - taken):
        spare = np.flatnonzero(available > taken)
        if spare.size:
            taken[spare[np.argmin(np.abs(spare - group))]] += 1
    return taken


def _labels() -> tuple[str, ...]:
    last = GROUPS - 1
    return tuple(f"[{EDGES[i]:.3f},{EDGES[i + 1]:.3f}{']' if i == last else ')'}" for i in range(GROUPS))
