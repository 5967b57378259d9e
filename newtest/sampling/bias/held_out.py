"""The held-out check: match on half of each image's votes, measure on the other half.

The other half had no part in the choice, so its mean is an unbiased estimate of the true frequencies that were drawn,
whatever their distribution is: the gap rests on no model. It judges the rule as it works with half the votes, where
the bias of matching k/n (which falls about as 1 / votes) is about twice what it is with all of them, and where the
correction, too, misses more: with 2 of 5 votes hardly anything is known of an image. So a gap is not a cause for alarm
by itself. The alarm compares the held-out votes of the drawn images with what the seen half and the estimated
distributions predict of them: if votes are binomial and the distributions right, the difference is noise whose size is
known, whatever the rule, the votes and the classes are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.draws import generator
from newtest.frequency.counts import VoteCounts
from newtest.frequency.mixture import ClassMixtures, fit_classes
from newtest.sampling.config import SamplingConfig
from newtest.sampling.draw import draw
from newtest.sampling.pairs import Pairs
from newtest.sampling.plan import DrawPlan

__all__ = ["SPLITS", "HeldOut", "held_out"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SPLITS = 4


@dataclass(frozen=True)
class HeldOut:
    """Mean frequencies in the held-out votes, in [0, 1], averaged over the splits.

    ``gap`` is original less drawn. ``standard_error`` is that of one split's gap, averaged: the splits share their
    images, so it overstates the error of their mean. ``spread`` is the standard deviation between splits.
    ``votes`` is the median number of votes of a candidate that the matching saw. ``surprise`` is the drawn images' mean
    in the held-out votes less what the seen ones predict, with its standard error if the model holds; None in
    diagnoses of earlier versions.
    """

    splits: int
    votes: float
    original: float
    drawn: float
    gap: float
    standard_error: float
    spread: float
    surprise: float | None = None
    surprise_error: float | None = None


def held_out(
    rule: Callable[[Pairs, Pairs, SamplingConfig], DrawPlan],
    eligible: Pairs,
    reference: Pairs,
    config: SamplingConfig,
    *,
    splits: int = SPLITS,
) -> HeldOut | None:
    """Check a rule; None when no split draws anything (no image has two votes, say).

    Images with fewer than two votes are left out, and so is the parent: the check is of the rule.
    """
    config = dataclasses.replace(config, min_votes=1, min_reference_votes=1, allow_incomplete=True)
    eligible = _splittable(dataclasses.replace(eligible, in_parent=np.zeros(len(eligible), dtype=bool)))
    reference = _splittable(reference)
    if not len(eligible):
        return None
    mixtures = fit_classes(
        VoteCounts(eligible.num_selected, eligible.num_shown), eligible.class_index, len(eligible.wnids)
    )
    results, surprises = [], []
    for split in range(splits):
        random = generator(config.seed, "held-out", str(split))
        seen_pool, kept_pool = _halves(eligible, random)
        seen_reference, kept_reference = _halves(reference, random)
        rows = draw(rule(seen_pool, seen_reference, dataclasses.replace(config, seed=split)), config)
        found = _gap(kept_reference, kept_pool, rows)
        if found is not None:
            results.append(found)
            surprises.append(_surprise(mixtures, seen_pool, kept_pool, rows))
    if not results:
        return None
    table = np.array(results)
    original, drawn, error = table.mean(axis=0)
    gaps = table[:, 0] - table[:, 1]
    return HeldOut(
        splits=len(results),
        votes=float(np.median(eligible.num_shown // 2)),
        original=float(original),
        drawn=float(drawn),
        gap=float(gaps.mean()),
        standard_error=float(error),
        spread=float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0,
        surprise=float(np.mean([value for value, _ in surprises])),
        surprise_error=float(np.mean([error for _, error in surprises])),
    )


def _surprise(mixtures: ClassMixtures, seen: Pairs, kept: Pairs, rows: Ints) -> tuple[float, float]:
    """The mean of k/n in the kept votes less its prediction, and its standard error.

    An image's kept votes vary by its posterior variance, and by s (1 - s) / n about its s.
    """
    counts = VoteCounts(seen.num_selected[rows], seen.num_shown[rows])
    mean, variance = mixtures.posterior_moments(counts, seen.class_index[rows])
    shown = kept.num_shown[rows]
    noise = (mean * (1 - mean) - variance) / shown
    found = kept.num_selected[rows] / shown
    return float(np.mean(found - mean)), float(np.sqrt(np.sum(variance + noise)) / len(rows))


def _splittable(pairs: Pairs) -> Pairs:
    return pairs.where(pairs.num_shown >= 2)


def _halves(pairs: Pairs, random: np.random.Generator) -> tuple[Pairs, Pairs]:
    """Each image's votes dealt into two halves at random; an odd one goes to the second."""
    shown = pairs.num_shown // 2
    selected = random.hypergeometric(pairs.num_selected, pairs.num_shown - pairs.num_selected, shown)
    return (
        dataclasses.replace(pairs, num_selected=selected, num_shown=shown),
        dataclasses.replace(
            pairs, num_selected=pairs.num_selected - selected, num_shown=pairs.num_shown - shown
        ),
    )


def _gap(reference: Pairs, pool: Pairs, rows: Ints) -> tuple[float, float, float] | None:
    """Mean frequency of the original (classes weighed as drawn) and of the drawn, and the error of the difference."""
    classes = len(pool.wnids)
    owner = pool.class_index[rows]
    size = np.bincount(reference.class_index, minlength=classes)
    known = size[owner] > 0
    owner, rows = owner[known], rows[known]
    if not rows.size:
        return None
    share = np.bincount(owner, minlength=classes) / len(rows)
    theirs = reference.num_selected / reference.num_shown
    weight = (share / np.maximum(size, 1))[reference.class_index]
    ours = pool.num_selected[rows] / pool.num_shown[rows]
    means = _class_means(theirs, reference.class_index, classes)
    # Sums and no products of vectors: BLAS adds these up in an order that depends on how many threads it has.
    original, drawn = float(np.sum(share * means)), float(ours.mean())
    within = theirs - means[reference.class_index]
    within_ours = ours - _class_means(ours, owner, classes)[owner]
    variance = float(np.sum(weight**2 * within**2)) + float(np.mean(within_ours**2)) / len(rows)
    return original, drawn, float(np.sqrt(variance))


def _class_means(values: Floats, owner: Ints, classes: int) -> Floats:
    size = np.bincount(owner, minlength=classes)
    means: Floats = np.bincount(owner, values, minlength=classes) / np.maximum(size, 1)
    return means
