"""A world like the pilot's: classes whose candidates and originals have true frequencies as the pilot's votes suggest.

The distribution of true frequencies in either population is the maximum-likelihood mixture of the pilot's counts, class
by class, shrunk towards all classes (``newtest.frequency``). A simulated class takes after one of the pilot's classes,
in both populations, for easy classes have easy candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.frequency.counts import VoteCounts
from newtest.frequency.mixture import GRID, fit_classes
from newtest.planner.pilot import Pilot
from newtest.planner.voting import Crowd
from newtest.sampling.pairs import Pairs

__all__ = ["Truth", "World"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """True frequencies of K classes: ``candidates`` (K, C) and ``originals`` (K, O); ``usable`` (K, C) marks the
    candidates that may be drawn."""

    candidates: Floats
    originals: Floats
    usable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Cumulative distributions on the grid of frequencies, (pilot classes, G), of both populations."""

    candidates: Floats
    originals: Floats
    usable: float
    crowd: Crowd

    @classmethod
    def of(cls, pilot: Pilot) -> World:
        """The world that the pilot's votes suggest."""
        places = np.unique(pilot.candidates.class_index)
        return cls(
            _cumulative(pilot.candidates, places),
            _cumulative(pilot.originals, places),
            pilot.usable,
            pilot.crowd,
        )

    def truth(self, random: np.random.Generator, classes: int, candidates: int, originals: int) -> Truth:
        """Draw K classes; every class of the pilot serves as often as the others, but for one time."""
        known = len(self.candidates)
        rounds = [random.permutation(known) for _ in range(-(-classes // known))]
        chosen = np.concatenate(rounds)[:classes]
        return Truth(
            _drawn(random, self.candidates[chosen], candidates),
            _drawn(random, self.originals[chosen], originals),
            random.random((classes, candidates)) < self.usable,
        )


def _cumulative(pairs: Pairs, places: Ints) -> Floats:
    owner = np.searchsorted(places, pairs.class_index)
    counts = VoteCounts(pairs.num_selected, pairs.num_shown)
    return np.cumsum(fit_classes(counts, owner, len(places)).weights, axis=1)


def _drawn(random: np.random.Generator, cumulative: Floats, images: int) -> Floats:
    chance = random.random((len(cumulative), images))
    rows = [np.searchsorted(row, u) for row, u in zip(cumulative, chance, strict=True)]
    found: Floats = GRID[np.minimum(np.array(rows), len(GRID) - 1)]
    return found
