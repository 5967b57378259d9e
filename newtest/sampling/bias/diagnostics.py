"""How well a drawn set matches the original in the frequencies that nobody sees.

For any strategy: the expected true frequency of the original, of the pool and of the drawn set, with intervals; their
distributions; the held-out check; and warnings, as sentences, where the estimates should not be trusted. Frequencies
lie in [0, 1]. Only classes that have both drawn images and originals with enough votes are compared, and the original
and the pool are weighed by class as the drawn set is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.draws import generator
from newtest.frequency.counts import VoteCounts, tally
from newtest.frequency.mixture import GRID, likelihood, resample_weights
from newtest.frequency.weights import GROUPS, group_of
from newtest.sampling.bias.assumptions import CERTAIN, NOTABLE, Assumptions, check
from newtest.sampling.bias.crowds import CrowdTest, votes_of
from newtest.sampling.bias.design import follows_answers
from newtest.sampling.bias.held_out import HeldOut
from newtest.sampling.bias.strategy import Population
from newtest.sampling.config import SamplingConfig
from newtest.sampling.pairs import Pairs

__all__ = ["Diagnostics", "Estimate", "diagnose"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REPLICATES = 50
Z = 1.959964
FEW_VOTES = 5
WIDE = 0.02
"""Half an interval of a mean frequency beyond which the images are called too few."""
CLASS_OFF = 0.05
SHORT = 0.05
"""Share of the original that may lie where the pool has too few candidates."""


@dataclass(frozen=True)
class Estimate:
    """A mean frequency, or a difference of two, with its 95 % interval (normal)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, standard_error: float) -> Estimate:
        return cls(value, value - Z * standard_error, value + Z * standard_error)


@dataclass(frozen=True)
class Distributions:
    """Shares of images at each true frequency of ``grid``: what a plot shows. Each adds up to 1."""

    grid: tuple[float, ...]
    original: tuple[float, ...]
    pool: tuple[float, ...]
    drawn: tuple[float, ...]


@dataclass(frozen=True)
class Diagnostics:
    """See the module's docstring. ``mismatch`` is original less drawn: positive when the drawn set is harder.

    ``observed`` is the drawn set's mean k/n, which flatters it. ``classes_off`` counts classes whose own mean
    is off by more than 0.05. ``shrinkage`` are the strengths of the original's and the pool's class distributions.
    """

    images: int
    classes: int
    original: Estimate
    pool: Estimate
    drawn: Estimate
    mismatch: Estimate
    observed: float
    classes_off: int
    shrinkage: tuple[float, float]
    distributions: Distributions
    held_out: HeldOut | None
    warnings: tuple[str, ...]
    assumptions: Assumptions | None = None
    """None in diagnoses of earlier versions."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Diagnostics:
        """From the plain dicts and lists that JSON keeps of it (``newtest.config.to_mapping``)."""
        whole = dict(values)
        for name in ("original", "pool", "drawn", "mismatch"):
            whole[name] = Estimate(**whole[name])
        shares = {name: tuple(row) for name, row in whole["distributions"].items()}
        checked, assumed = whole.get("held_out"), whole.get("assumptions")
        return cls(
            **whole
            | {
                "distributions": Distributions(**shares),
                "held_out": HeldOut(**checked) if checked else None,
                "shrinkage": tuple(whole["shrinkage"]),
                "warnings": tuple(whole["warnings"]),
                "assumptions": _assumptions(assumed) if assumed else None,
            }
        )


def _assumptions(values: Mapping[str, Any]) -> Assumptions:
    crowds = values.get("crowds")
    alike = tuple((float(rho), float(value)) for rho, value in values["alike"])
    return Assumptions(**{**values, "alike": alike, "crowds": CrowdTest(**crowds) if crowds else None})


def diagnose(
    eligible: Pairs,
    reference: Pairs,
    drawn: Ints,
    config: SamplingConfig,
    checked: HeldOut | None,
    votes: pd.DataFrame | None = None,
) -> Diagnostics | None:
    """Diagnose the draw of positions ``drawn`` among ``eligible``; None when nothing can be compared.

    ``reference`` shares its classes with ``eligible``; its images with fewer than ``reference_votes`` votes do not
    count. ``checked`` is the result of the held-out check. ``votes``, where single ones are known, has image_id, wnid,
    worker, selected, hit_id and control (null where there is none).
    """
    counted = reference.where(reference.num_shown >= max(config.reference_votes, 1))
    voted = eligible.where(eligible.num_shown >= 1)
    place = np.cumsum(eligible.num_shown >= 1) - 1
    drawn = place[drawn[eligible.num_shown[drawn] >= 1]]
    known = np.bincount(counted.class_index, minlength=len(eligible.wnids))
    drawn = drawn[known[voted.class_index[drawn]] > 0]
    if not drawn.size:
        return None
    original, pool = Population.of(counted), Population.of(voted)
    share = np.bincount(voted.class_index[drawn], minlength=len(known)) / len(drawn)
    expected, variance = pool.moments
    noise = np.sqrt(variance[drawn].sum()) / len(drawn)
    prior = _prior_error(pool.counts, drawn, config.seed)
    follows = follows_answers(original.counts) or follows_answers(pool.counts)
    theirs, their_error = _weighed(original, share, config.seed if follows else None)
    ours, our_error = float(expected[drawn].mean()), float(np.hypot(noise, prior))
    single = None if votes is None else votes_of(votes, counted, voted)
    assumed = check(
        (original.counts, _image_weights(original, share)),
        pool.counts,
        drawn,
        theirs - ours,
        single,
        follows=follows,
    )
    error = float(np.sqrt(their_error**2 + our_error**2 + assumed.worker_error**2))
    mismatch = Estimate.of(theirs - ours, error)
    owner = pool.class_index[drawn]
    size = np.bincount(owner, minlength=len(share))
    class_means = np.bincount(owner, expected[drawn], minlength=len(share)) / np.maximum(size, 1)
    off = np.abs(original.mixtures.members @ GRID - class_means)[share > 0] > CLASS_OFF
    found = Diagnostics(
        images=len(drawn),
        classes=int((share > 0).sum()),
        original=Estimate.of(theirs, their_error),
        pool=Estimate.of(*_weighed(pool, share, config.seed if follows else None)),
        drawn=Estimate.of(ours, our_error),
        mismatch=mismatch,
        observed=float(pool.counts.frequency[drawn].mean()),
        classes_off=int(off.sum()),
        shrinkage=(original.mixtures.strength, pool.mixtures.strength),
        distributions=_distributions(original, pool, drawn, share),
        held_out=checked,
        warnings=(),
        assumptions=assumed,
    )
    return replace(found, warnings=_warnings(found, original, pool, share, config))


def _image_weights(population: Population, share: Floats) -> Floats:
    """What each image weighs in the mean with classes weighed by ``share``, (N,)."""
    size = np.bincount(population.class_index, minlength=len(share))
    weights: Floats = (share / np.maximum(size, 1))[population.class_index]
    return weights


def _weighed(population: Population, share: Floats, seed: int | None = None) -> tuple[float, float]:
    """The mean of k/n with classes weighed by ``share``, and its standard error over images: no model is needed.

    With ``seed``, for votes whose number follows the answers, the mean of the expected true frequencies: k/n is
    not an unbiased estimate then, while the likelihood does not depend on when the asking stops.
    """
    frequency, owner = population.counts.frequency, population.class_index
    extra = 0.0
    if seed is not None:
        weights = _image_weights(population, share)
        frequency, variance = population.moments
        there = np.flatnonzero(weights > 0)
        prior = _prior_error(population.counts, there, seed)
        extra = float(np.sum(weights**2 * variance)) + prior**2
    size = np.bincount(owner, minlength=len(share))
    means = np.bincount(owner, frequency, minlength=len(share)) / np.maximum(size, 1)
    lone = size[owner] < 2
    deviation = np.where(lone, frequency - frequency.mean(), frequency - means[owner])
    weight = (share / np.maximum(size, 1))[owner]
    correction = np.where(lone, 1.0, size[owner] / np.maximum(size[owner] - 1, 1))
    spread = float(np.sum(weight**2 * deviation**2 * correction))
    return float(np.sum(share * means)), float(np.sqrt(spread + extra))


def _prior_error(pool: VoteCounts, drawn: Ints, seed: int) -> float:
    """How far the drawn set's expected frequency moves when the pool's pooled distribution is fitted to resamples."""
    weights = resample_weights(pool, generator(seed, "diagnose"), REPLICATES)
    found = tally(pool.where(drawn))
    table = likelihood(found)
    means = (table * GRID) @ weights.T / (table @ weights.T)
    return float((found.images @ means / len(drawn)).std(ddof=1))


def _distributions(original: Population, pool: Population, drawn: Ints, share: Floats) -> Distributions:
    ours = pool.mixtures.mean_posterior(pool.counts.where(drawn), pool.class_index[drawn])
    rows = (share @ original.mixtures.members, share @ pool.mixtures.members, ours)
    return Distributions(_rounded(GRID), *(_rounded(row) for row in rows))


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in np.round(values, 6))


def _warnings(
    found: Diagnostics, original: Population, pool: Population, share: Floats, config: SamplingConfig
) -> tuple[str, ...]:
    warnings = []
    for name, counts in (("original", original.counts), ("pool", pool.counts)):
        votes = float(np.median(counts.num_shown))
        if votes < FEW_VOTES:
            warnings.append(
                f"few votes: the {name} has {votes:g} an image (median), which hardly tells true frequencies apart; "
                f"collect at least {FEW_VOTES}"
            )
    for name, estimate in (("original", found.original), ("drawn set", found.drawn)):
        half = (estimate.high - estimate.low) / 2
        if half > WIDE:
            warnings.append(
                f"few images: the {name}'s mean frequency is known to +- {100 * half:.1f} points only"
            )
    short = _shortfall(original, pool, share, found.images)
    if short > SHORT:
        warnings.append(
            f"the pool lacks what the original has: {100 * short:.0f} % of the original lies at frequencies where "
            "there are too few candidates; collect more"
        )
    if abs(found.mismatch.value) > NOTABLE:
        remedy = config.strategy == "matched-frequency" and config.bias_correction == "none"
        advice = "; `bias_correction` mixture may remove it" if remedy else ""
        harder = "harder" if found.mismatch.value > 0 else "easier"
        warnings.append(
            f"the drawn set is expected to be {harder} than the original by {100 * abs(found.mismatch.value):.1f} "
            f"points of frequency{advice}"
        )
    follows = found.assumptions is not None and found.assumptions.follows_answers
    if (held := found.held_out) and held.surprise is not None and not follows:
        error = held.surprise_error or 0.0
        if abs(held.surprise) > max(CERTAIN * error, 2 * NOTABLE):
            warnings.append(
                f"held-out votes disagree with the estimated distributions: those of the drawn images are "
                f"{100 * held.surprise:+.1f} points of frequency off what the other half predicts (standard error "
                f"{100 * error:.1f}), so the mismatch may be off by as much"
            )
    if found.assumptions is not None:
        warnings += found.assumptions.warnings()
    return tuple(warnings)


def _shortfall(original: Population, pool: Population, share: Floats, images: int) -> float:
    """The part of the original for which no candidate would be left even if true frequencies were known."""
    group = group_of(GRID)
    wanted = np.bincount(group, share @ original.mixtures.members, minlength=GROUPS)
    size = np.bincount(pool.class_index, minlength=len(share)) * (share > 0)
    supply = np.bincount(group, size @ pool.mixtures.members, minlength=GROUPS) / images
    # A step of the grid to either side is not a mismatch: shares are compared from the top down.
    lacking = np.cumsum((wanted - supply)[::-1])
    below = np.cumsum(wanted - supply)
    return float(max(lacking.max(), below.max(), 0.0))
