"""Numbers for one model on one set, other than top-1: top-5, mean per class, 11-point mean average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["average_precision_11", "mean_per_class", "rank_of_truth", "several"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def rank_of_truth(scores: Floats, labels: Ints) -> Ints:
    """How many classes score above the true one, (N,): 0 is top-1, below 5 is top-5. A tie goes to the lower class."""
    truth = scores[np.arange(len(labels)), labels]
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    ahead = (scores > truth[:, None]) | ((scores == truth[:, None]) & earlier)
    return np.asarray(ahead.sum(axis=1), dtype=np.int64)


def mean_per_class(correct: npt.NDArray[np.bool_], labels: Ints) -> float:
    """The mean over classes of the share that is right, in [0, 1]; classes without an image do not count."""
    shown = np.bincount(labels)
    right = np.bincount(labels, weights=correct, minlength=len(shown))
    some = shown > 0
    return float((right[some] / shown[some]).mean())


def several(evaluated: EvaluationSet, top1: Ints, correct: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Of a set with several labels per image: ``given_correct`` (N,), right by the class that the set itself gives,
    its sum ``given_k``, and ``single_k`` of ``single_n``, right among the images with one label.
    """
    given = evaluated.labels if evaluated.given is None else evaluated.given
    by_given = (top1 == given) & (given >= 0)
    single = evaluated.counts == 1
    return {
        "given_k": int(by_given.sum()),
        "single_k": int((correct & single).sum()),
        "single_n": int(single.sum()),
        "given_correct": by_given,
    }


def average_precision_11(scores: Floats, labels: Ints) -> float:
    """Mean over classes of PASCAL VOC 2007's average precision, in [0, 1]: the mean over the recalls 0, .1,
    ..., 1 of the best precision at that recall or above. Classes without an image do not count. Equal scores are
    one threshold, so the order of the set plays no part. ``labels`` (N,), or (N, T) where images show several classes.
    """
    found = []
    truths = labels[:, None] if labels.ndim == 1 else labels
    for cls in np.unique(labels):
        order = np.argsort(-scores[:, cls], kind="stable")
        ranked = scores[order, cls]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        hits = np.cumsum((truths[order] == cls).any(axis=1))[ends]
        recall = hits / hits[-1]
        precision = hits / (ends + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        # The first place whose recall reaches t; a hair of tolerance keeps 3/10 at 0.3.
        at = np.searchsorted(recall, np.arange(11) / 10 - 1e-12)
        found.append(best[np.minimum(at, len(best) - 1)].mean())
    return float(np.mean(found))
