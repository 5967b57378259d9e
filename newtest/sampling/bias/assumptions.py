"""What the correction takes for granted, tested where the data allow it, else said in points of frequency.

The mismatch assumes that votes are independent given the true frequency, that workers do not differ, that one crowd
judged both sets, and that how often an image was shown does not depend on the answers. Sizes are of mean frequency,
original less drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.frequency.counts import VoteCounts, tally
from newtest.frequency.mixture import GRID, fit, likelihood
from newtest.sampling.bias.crowds import CrowdTest, Votes, equal_crowds, within_tasks, worker_errors

__all__ = ["Assumptions", "check"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALIKE = (0.05, 0.1, 0.3)
"""Correlations of two votes on an image for which the mismatch is told."""
LENIENT = 0.3
"""The difference of two crowds in logits whose effect is told where it cannot be tested."""
CERTAIN = 2.575829
"""Standard errors: 1 % of clean sets are warned of by one test."""
NOTABLE = 0.005
SHARED = 0.5


@dataclass(frozen=True)
class Assumptions:
    """``alike``: pairs of a correlation of votes beyond the binomial and the mismatch that there would be with it.
    ``lenient``: what a difference of 0.3 logits between the crowds would add. ``measured`` and ``measured_error``:
    the correlation within tasks beyond that between tasks, None where images were shown in one task only.
    ``workers``: the standard deviation of workers' leniency in logits, ``worker_error`` what it adds to the error of
    the mismatch; None without single votes. ``follows_answers``: more people were asked where they disagreed.
    """

    alike: tuple[tuple[float, float], ...]
    lenient: float
    measured: float | None = None
    measured_error: float | None = None
    workers: float | None = None
    worker_error: float = 0.0
    crowds: CrowdTest | None = None
    follows_answers: bool = False

    def warnings(self) -> list[str]:
        """One sentence for each assumption that the data speak against, with its cause and its size."""
        return [told for told in (self._crowds(), self._tasks()) if told]

    def _crowds(self) -> str | None:
        test = self.crowds
        if test is None:
            return None
        if test.difference is not None and test.error is not None:
            size = 100 * self.lenient / LENIENT * test.difference
            if abs(test.difference) <= CERTAIN * test.error or abs(size) <= 100 * NOTABLE:
                return None
            return (
                f"unequal crowds: on images that both saw, the original's crowd says yes more often than the pool's by "
                f"{test.difference:+.2f} logits (standard error {test.error:.2f}), which makes it look easier "
                f"by {size:+.1f} points of frequency; show both sets to the same people"
            )
        if max(test.workers, test.tasks) >= SHARED:
            return None
        return (
            f"separate crowds: {100 * (1 - test.workers):.0f} % of the original's votes are of people who judged none "
            f"of the pool, and too few images were shown to both crowds to compare them; {LENIENT} logits between "
            f"them would be {100 * self.lenient:.1f} points of frequency; show both sets to the same people"
        )

    def _tasks(self) -> str | None:
        if self.measured is None or self.measured_error is None:
            return None
        off = self._at(self.measured)
        if self.measured <= CERTAIN * self.measured_error or abs(off) <= NOTABLE:
            return None
        return (
            f"votes on an image are more alike within a task than the binomial allows: correlation {self.measured:.3f} "
            f"(standard error {self.measured_error:.3f}); with it the drawn set is off by {100 * off:+.1f} points "
            "of frequency"
        )

    def notes(self) -> list[str]:
        """What cannot be tested here, and how much it would matter."""
        found = []
        if self.measured is None and self.alike:
            rhos, sizes = zip(*(pair for pair in self.alike if pair[0]), strict=True)
            found.append(
                "over-dispersion cannot be tested (no image was shown in several tasks); if votes on an image were "
                f"correlated by {_list(rhos, '{:g}')} beyond its frequency, the drawn set would be harder by "
                f"{_list([100 * size for size in sizes], '{:.1f}')} points of frequency"
            )
        elif self.measured is not None:
            found.append(
                f"votes on an image are more alike within a task than between tasks by {self.measured:+.3f} (a "
                f"correlation, standard error {self.measured_error:.3f}); what all tasks share is not seen"
            )
        if self.workers is None:
            found.append(
                f"single votes are not known: workers are taken to be alike, and the crowds of original and pool to be "
                f"one; {LENIENT} logits between them would be {100 * self.lenient:.1f} points of frequency"
            )
        elif self.worker_error > 0:
            found.append(
                f"workers differ by {self.workers:.2f} logits (standard deviation), which is in the interval: it adds "
                f"{100 * self.worker_error:.2f} points to the error of the mismatch"
            )
        if self.follows_answers:
            found.append(
                "people were asked more often where they disagreed: means are those of the mixture, as k/n is not "
                "unbiased then, and the held-out check is not judged"
            )
        return found

    def _at(self, rho: float) -> float:
        """The mismatch at a correlation, along the told ones."""
        told = np.array(self.alike)
        return float(np.interp(rho, told[:, 0], told[:, 1]))


def _list(values: Iterable[float], form: str) -> str:
    *some, last = (form.format(value) for value in values)
    return f"{', '.join(some)} or {last}"


def check(
    original: tuple[VoteCounts, Floats],
    pool: VoteCounts,
    drawn: Ints,
    mismatch: float,
    votes: Votes | None,
    *,
    follows: bool,
) -> Assumptions:
    """``original``: its counts and the weight of each image in the mean; ``drawn`` are positions in ``pool``."""
    chosen = tally(pool.where(drawn))
    share = chosen.images / len(drawn)
    plain = float(np.sum(share * _expected(pool, chosen.num_selected, chosen.num_shown, 0.0)))
    alike = [(0.0, mismatch)]
    for rho in ALIKE:
        scattered = float(np.sum(share * _expected(pool, chosen.num_selected, chosen.num_shown, rho)))
        alike.append((rho, mismatch + plain - scattered))
    frequency = pool.where(drawn).frequency
    lenient = LENIENT * float(np.mean(frequency * (1 - frequency)))
    if votes is None:
        return Assumptions(tuple(alike), lenient, follows_answers=follows)
    weights = np.zeros(len(pool))
    weights[drawn] = 1 / len(drawn)
    workers, error = worker_errors(votes, original[1], weights)
    measured, measured_error = within_tasks(votes) or (None, None)
    return Assumptions(
        tuple(alike), lenient, measured, measured_error, workers, error, equal_crowds(votes), follows
    )


def _expected(pool: VoteCounts, num_selected: Ints, num_shown: Ints, alike: float) -> Floats:
    """The expected true frequency of each pair of counts, if votes in the pool were so much alike."""
    weights = fit(pool, alike=alike).weights
    table = likelihood(VoteCounts(num_selected, num_shown), alike) * weights
    expected: Floats = (table @ GRID) / table.sum(axis=1)
    return expected
