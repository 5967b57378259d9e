"""The gap in parts against simulated sets whose parts are known: error of each part and coverage of its interval.

    python benchmarks/gap_parts.py [--simulations N] [--replicates R]

Images have a true frequency s, spread differently for one label and for several, and P(right) = .15 + .8 s - .25 if
they show several classes - .02 on the new set. The true parts are integrals over those densities. Cases: 10 and 20
votes per image, 10,000 and 3,000 images, no difference at all, a new set that was chosen by the very votes (with the
pool's counts), and images in groups of ten that are right together (with their clusters, and without).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom

from newtest.evaluation.analysis.gap_parts import GapParts, MeasuredSet, gap_parts
from newtest.frequency.counts import VoteCounts

Floats = npt.NDArray[np.float64]
GRID = np.linspace(0.00025, 0.99975, 2000)
MODELS = 12


@dataclass(frozen=True)
class Population:
    """``share`` of images with several labels; Beta parameters of s for one label and for several."""

    share: float
    one: tuple[float, float]
    several: tuple[float, float]
    loss: float = 0.0

    def densities(self) -> Floats:
        """Over the kind of image and s, (2, G), adding up to 1."""
        kinds = np.stack([beta.pdf(GRID, *self.one), beta.pdf(GRID, *self.several)])
        return np.asarray(kinds / kinds.sum(axis=1)[:, None] * np.array([[1 - self.share], [self.share]]))

    def right(self, s: Floats, several: npt.NDArray[np.bool_]) -> Floats:
        """P(right)."""
        return np.clip(0.15 + 0.8 * s - 0.25 * several - self.loss, 0, 1)


def truth(original: Population, new: Population) -> Floats:
    """observed, frequency, several, rest in points, (4,)."""
    return _truth(original, new, new.densities())


def drawn(
    random: np.random.Generator, population: Population, images: int, votes: int, together: int = 1
) -> MeasuredSet:
    """A set of images, in groups of ``together`` of one kind and frequency that all models see alike."""
    groups = images // together
    several = random.random(groups) < population.share
    s = np.where(several, random.beta(*population.several, groups), random.beta(*population.one, groups))
    several, s = np.repeat(several, together), np.repeat(s, together)
    right = random.binomial(MODELS, population.right(s, several)) / MODELS
    counts = VoteCounts(random.binomial(votes, s), np.full(len(s), votes))
    return MeasuredSet(right, several, counts, np.repeat(np.arange(groups), together))


def chosen(random: np.random.Generator, pool: MeasuredSet, images: int) -> MeasuredSet:
    """About so many images of a pool, the more likely the more people selected them: by the very votes."""
    assert pool.votes is not None
    weight = 0.05 + pool.votes.frequency**2
    return pool.where(random.random(len(weight)) < weight * images / weight.sum())


def row(name: str, found: list[GapParts], true: Floats, seconds: float) -> None:
    """Print the mean error, its standard deviation and the coverage of each part."""
    parts = [[one.observed, one.frequency, one.several, one.rest] for one in found]
    points = np.array([[part.points if part else np.nan for part in one] for one in parts])
    inside = np.array(
        [[bool(p and p.lo <= x <= p.hi) for p, x in zip(one, true, strict=True)] for one in parts]
    )
    print(f"{name} ({len(found)} simulations, {seconds / len(found):.1f} s each)")
    for at, part in enumerate(("observed", "frequency", "several", "rest")):
        error = points[:, at].mean() - true[at]
        print(
            f"    {part:10s} true {true[at]:6.2f}  error {error:+.2f} (sd {points[:, at].std():.2f})  "
            f"inside {inside[:, at].mean():.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=20)
    options = parser.parse_args()
    original = Population(0.15, (4, 1.5), (3, 1.8))
    new = Population(0.30, (2.5, 1.6), (2, 1.8), 0.02)
    same = replace(original)
    cases: list[tuple[str, Population, int, int, int, bool]] = [
        ("10,000 images, 10 votes", new, 10_000, 10, 1, True),
        ("10,000 images, 20 votes", new, 10_000, 20, 1, True),
        ("3,000 images, 10 votes", new, 3_000, 10, 1, True),
        ("10,000 images, 10 votes, no difference", same, 10_000, 10, 1, True),
        ("10,000 images in groups of ten, clustered", new, 10_000, 10, 10, True),
        ("the same, as if they were separate", new, 10_000, 10, 10, False),
    ]
    for number, (name, population, images, votes, together, clustered) in enumerate(cases):
        random, start, found = np.random.default_rng(number), time.perf_counter(), []
        for seed in range(options.simulations):
            sets = [drawn(random, one, images, votes, together) for one in (original, population)]
            if together == 1 or not clustered:
                sets = [replace(one, clusters=None) for one in sets]
            found.append(gap_parts(*sets, replicates=options.replicates, seed=seed))
        row(name, found, truth(original, population), time.perf_counter() - start)
    random, start, found = np.random.default_rng(99), time.perf_counter(), []
    for seed in range(options.simulations):
        pool = drawn(random, new, 60_000, 10)
        first, second = drawn(random, original, 10_000, 10), chosen(random, pool, 10_000)
        found.append(
            gap_parts(
                replace(first, clusters=None),
                second,
                pool=pool.votes,
                replicates=options.replicates,
                seed=seed,
            )
        )
    row(
        "10,000 images chosen from 60,000 by their votes",
        found,
        _chosen_truth(original, new),
        time.perf_counter() - start,
    )


def _chosen_truth(original: Population, pool: Population) -> Floats:
    """The parts where the new set is the pool's images, weighed by the chance that their 10 votes get them in."""
    k = np.arange(11)
    chance = binom.pmf(k[:, None], 10, GRID[None])
    weight = ((0.05 + (k / 10) ** 2)[:, None] * chance).sum(axis=0)
    ours = pool.densities() * weight
    return _truth(original, pool, ours / ours.sum())


def _truth(original: Population, new: Population, ours: Floats) -> Floats:
    kinds = np.array([[False], [True]])
    theirs, right = original.densities(), new.right(GRID[None], kinds)
    plain, first = float((ours * right).sum()), float((theirs * original.right(GRID[None], kinds)).sum())
    by_m = float((ours * (theirs.sum(axis=1) / ours.sum(axis=1))[:, None] * right).sum())
    at_s = (ours * right).sum(axis=0) / ours.sum(axis=0)
    by_f, both = float(theirs.sum(axis=0) @ at_s), float((theirs * right).sum())
    frequency, several = ((by_f - plain) + (both - by_m)) / 2, ((by_m - plain) + (both - by_f)) / 2
    return 100 * np.array([first - plain, frequency, several, first - both])


if __name__ == "__main__":
    main()
