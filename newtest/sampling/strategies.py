"""The strategies: plain functions from eligible candidates and the reference to a plan.

To add one: write a function ``(eligible, reference, config) -> DrawPlan``, name it in ``STRATEGIES`` and in
``config.StrategyName``. ``eligible`` and ``reference`` share their ``wnids``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from newtest.sampling.config import SamplingConfig
from newtest.sampling.histogram import bin_labels, bin_of, largest_remainder
from newtest.sampling.pairs import Pairs
from newtest.sampling.plan import NO_CELL, Cells, DrawPlan, one_cell_a_class

__all__ = [
    "STRATEGIES",
    "Strategy",
    "matched_frequency",
    "matched_keywords",
    "random",
    "take_all",
    "threshold",
    "top_images",
]

Strategy = Callable[[Pairs, Pairs, SamplingConfig], DrawPlan]


def matched_frequency(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """MatchedFrequency: the histogram of the original's frequencies in each class, scaled to ``per_class``.

    Only reference images with ``reference_votes`` votes count, and a class needs ``min_reference_images`` of
    them.
    """
    labels = bin_labels(config.bins)
    classes, width = len(eligible.wnids), len(labels)
    counted = reference.where(reference.num_shown >= config.reference_votes)
    places = counted.class_index * width + bin_of(counted.num_selected, counted.num_shown, config.bins)
    histogram = np.bincount(places, minlength=classes * width).reshape(classes, width).astype(np.int64)
    known = histogram.sum(axis=1)
    target = largest_remainder(histogram, config.per_class)
    target[known < config.min_reference_images] = 0
    lacking = {
        str(
            eligible.wnids[index]
        ): f"its reference has {known[index]} images with at least {config.reference_votes} votes, "
        f"{config.min_reference_images} are needed"
        for index in np.flatnonzero(known < config.min_reference_images)
    }
    fill_from = np.full((classes, width), NO_CELL)
    if config.fill_upward:
        fill_from[:, :-1] = np.arange(classes * width).reshape(classes, width)[:, 1:]
    cells = Cells(
        np.repeat(np.arange(classes), width),
        labels * classes,
        histogram.ravel(),
        target.ravel(),
        fill_from.ravel(),
    )
    cell_of = eligible.class_index * width + bin_of(eligible.num_selected, eligible.num_shown, config.bins)
    return DrawPlan(eligible, cells, cell_of, lacking=lacking)


def threshold(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """Threshold0.7: uniform among the candidates at or above the threshold (see eligibility)."""
    own = dict(config.class_thresholds)
    labels = tuple(f"[{own.get(wnid, config.threshold):g},1]" for wnid in eligible.wnids)
    return _per_class(eligible, reference, config, labels)


def random(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """Uniform among all that are eligible: the baseline that no vote informs."""
    return _per_class(eligible, reference, config, ("all",) * len(eligible.wnids))


def top_images(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """TopImages: the first by (frequency, number of votes, in the parent, image id), each descending.

    Equal fractions of integers are equal as floats too, so the float frequency orders exactly.
    """
    plan = _per_class(eligible, reference, config, ("all",) * len(eligible.wnids))
    frequency = eligible.num_selected / np.maximum(eligible.num_shown, 1)
    descending_id = -np.arange(len(eligible))  # the pairs are sorted by image id within a class
    order = np.lexsort((descending_id, ~eligible.in_parent, -eligible.num_shown, -frequency))
    rank = np.empty(len(eligible), dtype=np.int64)
    rank[order] = np.arange(len(eligible))
    return DrawPlan(plan.eligible, plan.cells, plan.cell_of, rank)


def take_all(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """Everything that is eligible; a class with nothing is lacking."""
    classes = len(eligible.wnids)
    found = np.bincount(eligible.class_index, minlength=classes).astype(np.int64)
    originals = np.bincount(reference.class_index, minlength=classes).astype(np.int64)
    lacking = {str(eligible.wnids[index]): "no candidate is eligible" for index in np.flatnonzero(found == 0)}
    cells = one_cell_a_class(eligible, ("all",) * classes, found, originals)
    return DrawPlan(eligible, cells, eligible.class_index, lacking=lacking)


def matched_keywords(eligible: Pairs, reference: Pairs, config: SamplingConfig) -> DrawPlan:
    """CIFAR-10.1's rule (Recht et al. 2018): a class's search keywords in the original's proportions.

    Cells are the keywords of the original, rarest first, so that ties of the largest remainder go to the more
    frequent one (then to the later in the alphabet). Candidates under other keywords are never drawn.
    """
    keywords: list[Counter[str]] = [Counter() for _ in eligible.wnids]
    for index, key in zip(reference.class_index, reference.search_key, strict=True):
        if key is not None:
            keywords[index][key] += 1
    class_index: list[int] = []
    label: list[str] = []
    counts: list[int] = []
    target: list[int] = []
    for index, counter in enumerate(keywords):
        ordered = sorted(counter.items(), key=lambda item: (item[1], item[0]))
        class_index += [index] * len(ordered)
        label += [key for key, _ in ordered]
        counts += [count for _, count in ordered]
        if ordered:
            target += largest_remainder([count for _, count in ordered], config.per_class).tolist()
    places = {pair: cell for cell, pair in enumerate(zip(class_index, label, strict=True))}
    pairs = zip(eligible.class_index.tolist(), eligible.search_key, strict=True)
    cell_of = np.fromiter((places.get(pair, NO_CELL) for pair in pairs), dtype=np.int64, count=len(eligible))
    lacking = {
        str(eligible.wnids[index]): "no image of its reference has a search_key"
        for index, counter in enumerate(keywords)
        if not counter
    }
    arrays = (np.array(values, dtype=np.int64) for values in (class_index, counts, target))
    owners, originals, targets = arrays
    cells = Cells(owners, tuple(label), originals, targets, np.full(len(label), NO_CELL))
    return DrawPlan(eligible, cells, cell_of, lacking=lacking)


STRATEGIES: Mapping[str, Strategy] = {
    "matched-frequency": matched_frequency,
    "threshold": threshold,
    "top-images": top_images,
    "random": random,
    "matched-keywords": matched_keywords,
    "all": take_all,
}


def _per_class(
    eligible: Pairs, reference: Pairs, config: SamplingConfig, labels: tuple[str, ...]
) -> DrawPlan:
    classes = len(eligible.wnids)
    originals = np.bincount(reference.class_index, minlength=classes).astype(np.int64)
    target = np.full(classes, config.per_class, dtype=np.int64)
    return DrawPlan(eligible, one_cell_a_class(eligible, labels, target, originals), eligible.class_index)
