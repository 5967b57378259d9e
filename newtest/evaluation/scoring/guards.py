"""What is likely wrong with predictions that can be scored: permuted classes, a ranking stored backwards, chance.

Each function looks at one model and answers a sentence, or None. None of them changes a number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from newtest.intervals import clopper_pearson

__all__ = ["at_chance", "permuted", "stored_backwards", "string_order"]

Ints = npt.NDArray[np.int64]

_MOST_CLASSES = 3000
"""The best permutation is looked for up to here (the assignment problem is cubic)."""


def string_order(num_classes: int) -> Ints:
    """Entry i is the class whose folder comes i-th when the names "0", "1", ... are sorted as strings: 0, 1,
    10, 100, 101...
    """
    return np.array(sorted(range(num_classes), key=str), dtype=np.int64)


def stored_backwards(ranking: Ints, labels: Ints) -> str | None:
    """A ranking (N, K) whose last column is right more often than its first."""
    hits = (ranking == labels[:, None]).sum(axis=0)
    n = len(labels)
    if ranking.shape[1] < 2 or not _above(int(hits[-1]), int(hits[0]), n):
        return None
    return (
        f"the ranking is likely stored in reverse: its first column is right for {100 * hits[0] / n:.2f} % of the "
        f"images, its last for {100 * hits[-1] / n:.2f} %; if so, name the model with `reversed_models`"
    )


def permuted(top1: Ints, labels: Ints, num_classes: int) -> str | None:
    """Predictions that become far better when the classes are renamed: sorted folders, an offset, any permutation.

    A general permutation is learned on half of the images and judged on the other half, so chance cannot praise it.
    """
    k, n = int((top1 == labels).sum()), len(labels)
    if n < 10 or num_classes < 3:
        return None
    before = f"{100 * k / n:.2f} %"
    order = string_order(num_classes)
    fits: list[tuple[int, str]] = []
    for renamed, truth, reason in (
        (
            order[top1],
            labels,
            "class folders were sorted as strings ('10' before '2') when the model's classes were numbered",
        ),
        (
            top1,
            order[labels],
            "class folders were sorted as strings ('10' before '2') when this set's labels were numbered",
        ),
        (top1 - 1, labels, "the predictions count from 1, or have a background class first"),
        (top1 + 1, labels, "the labels count from 1"),
    ):
        better = int((renamed == truth).sum())
        if _above(better, k, n):
            fits.append((better, reason))
    if fits:
        said = "; or ".join(
            f"{100 * better / n:.2f} % if {reason}" for better, reason in sorted(fits, reverse=True)
        )
        return f"the classes may be permuted: {before} as read, {said}"
    if (
        num_classes > _MOST_CLASSES
        or k / n > 0.5
        or _best_mapping(top1, labels, num_classes) < 2 * k + 0.1 * n
    ):
        return None
    held_out = _held_out_permutation(top1, labels, num_classes)
    if not _above(held_out, k, n):
        return None
    return (
        f"the classes may be permuted: {before} as read, {100 * held_out / n:.2f} % under the best renaming "
        "(learned on one half of the images, counted on the other); compare the class lists"
    )


def at_chance(k: int, n: int, num_classes: int, *, by_position: bool, by_number: bool) -> str | None:
    """An accuracy that guessing would give, with the causes that the way of reading leaves open, the likeliest first.

    There is no warning where an accuracy halfway between guessing and perfect would fit the count as well.
    """
    low, high = clopper_pearson(k, n)
    chance = 1 / num_classes
    if num_classes < 2 or n < 2 * num_classes or float(low) > chance or float(high) > (1 + chance) / 2:
        return None
    causes = ["the model is untrained, or its weights or its preprocessing are not those it was trained with"]
    if by_number:
        causes.insert(0, "the classes are numbered in another order than the set's (name it with `classes`)")
    if by_position:
        causes.insert(0, "the rows are in another order than the set's (they were taken by position)")
    said = (
        causes[0] if len(causes) == 1 else "; ".join(f"({at}) {cause}" for at, cause in enumerate(causes, 1))
    )
    return (
        f"{100 * k / n:.2f} % is no better than guessing among {num_classes} classes; possible causes: {said}"
    )


def _above(better: int, k: int, n: int) -> bool:
    """Ten points or twice as many, and beyond what the two 95 % intervals allow."""
    if better - k < 0.1 * n and better < 2 * k + 0.02 * n:
        return False
    (low, _), (_, high) = (clopper_pearson(count, n) for count in (better, k))
    return bool(low > high)


def _best_mapping(top1: Ints, labels: Ints, num_classes: int) -> int:
    """Images right if every predicted class meant the true class it meets most: no permutation does better."""
    pairs, counts = np.unique(top1 * num_classes + labels, return_counts=True)
    best = np.zeros(num_classes, dtype=np.int64)
    np.maximum.at(best, pairs // num_classes, counts)
    return int(best.sum())


def _held_out_permutation(top1: Ints, labels: Ints, num_classes: int) -> int:
    half = np.empty(len(labels), dtype=np.int64)
    half[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2
    right = 0
    for part in (0, 1):
        learn, judge = half == part, half != part
        met = np.bincount(top1[learn] * num_classes + labels[learn], minlength=num_classes**2)
        _, renamed = linear_sum_assignment(met.reshape(num_classes, num_classes), maximize=True)
        right += int((renamed[top1[judge]] == labels[judge]).sum())
    return right
