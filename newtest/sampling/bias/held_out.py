"""The held-out check: match on half of each image's votes, measure on the other half.

The other half had no part in the choice, so its mean is an unbiased estimate of the true frequencies that were drawn,
whatever their distribution is: this check rests on no model. It judges the rule as it works with half the votes, where
the bias of matching k/n (which falls about as 1 / votes) is about twice what it is with all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.draws import generator
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
    ``votes`` is the median number of votes of a candidate that the matching saw.
    """

    splits: int
    votes: float
    original: float
    drawn: float
    gap: float
    standard_error: float
    spread: float


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
    results = []
    for split in range(splits):
        random = generator(config.seed, "held-out", str(split))
        seen_pool, kept_pool = _halves(eligible, random)
        seen_reference, kept_reference = _halves(reference, random)
        rows = draw(rule(seen_pool, seen_reference, dataclasses.replace(config, seed=split)), config)
        found = _gap(kept_reference, kept_pool, rows)
        if found is not None:
            results.append(found)
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
    )


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
