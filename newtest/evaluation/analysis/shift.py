"""Has the distribution shifted: can a classifier tell the sets apart, and what that costs between datasets.

The classifier is a linear softmax on standardised embeddings with an L2 penalty, judged by cross-validation only.
A test set that is a perfect replica gives an AUC of 0.5 (Lopez-Paz and Oquab 2017); "name that dataset" is the same
with several sets (Torralba and Efros 2011), as is the matrix of accuracies across datasets with its percent drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_softmax
from scipy.stats import binomtest, rankdata

from newtest.draws import generator
from newtest.errors import EvaluationError, MissingExtra
from newtest.evaluation.scoring.embeddings import shared_rows
from newtest.intervals import clopper_pearson

__all__ = ["Named", "Telling", "cross_dataset", "fit_softmax", "name_that_dataset", "overlap", "tell_apart"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 5
MIN_IMAGES = 20
"""A set with fewer embeddings than this says nothing."""


@dataclass(frozen=True)
class Telling:
    """Cross-validated AUC of new against original: 0.5 means that they cannot be told apart.

    The 95 % interval is a bootstrap over images, widened for the folds' shared training images.
    """

    original: int
    new: int
    auc: float
    lo: float
    hi: float
    shared: int
    """Images of the new set whose embedding is also one of the original: the same pictures pull the AUC below 0.5."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Named:
    """The n-way game: ``k`` of ``n`` held-out images were given to the right set; ``chance`` is the share of
    the largest.
    """

    names: tuple[str, ...]
    k: int
    n: int
    lo: float
    hi: float
    chance: float
    confusion: Ints
    """Rows: the true set; columns: the set named."""

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "names": list(self.names),
            "accuracy": self.k / self.n,
            "confusion": self.confusion.tolist(),
        }


def tell_apart(original: Floats, new: Floats, *, seed: int = 0, resamples: int = 500) -> Telling:
    """Can a linear classifier tell two sets of embeddings (N, D) and (M, D) apart? Raises EvaluationError for
    shapes that do not fit, NaN, or fewer than ``MIN_IMAGES`` in a set.
    """
    x, y = _stack({"original": original, "new": new})
    scores = _held_out(x, y, 2, seed)
    score = scores[:, 1] - scores[:, 0]
    rng = generator(seed, "tell-apart")
    drawn = []
    groups = [np.flatnonzero(y == label) for label in (0, 1)]
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(group, size=len(group)) for group in groups])
        drawn.append(_auc(score[rows], y[rows]))
    # The folds' classifiers share most of their training images, so held-out scores vary together: Nadeau and Bengio
    # (2003) widen the variance by 1 + K n_test / n_train, which is 1 + K / (K - 1).
    half = 1.96 * float(np.std(drawn, ddof=1)) * float(np.sqrt(1 + FOLDS / (FOLDS - 1)))
    auc = _auc(score, y)
    shared = shared_rows(original, new)
    return Telling(len(original), len(new), auc, max(0.0, auc - half), min(1.0, auc + half), shared)


def name_that_dataset(sets: Mapping[str, Floats], *, seed: int = 0) -> Named:
    """The n-way game over embeddings of each set. Raises EvaluationError as ``tell_apart``."""
    x, y = _stack(sets)
    named = _held_out(x, y, len(sets), seed).argmax(axis=1)
    confusion = np.bincount(y * len(sets) + named, minlength=len(sets) ** 2).reshape(len(sets), len(sets))
    k, n = int(np.trace(confusion)), len(y)
    low, high = clopper_pearson(k, n)
    return Named(
        tuple(sets),
        k,
        n,
        float(low),
        float(high),
        float(np.bincount(y).max() / n),
        confusion.astype(np.int64),
    )


def cross_dataset(sets: Mapping[str, tuple[Floats, Ints]], *, seed: int = 0) -> pd.DataFrame:
    """Train on half of each dataset, test on the other halves: accuracies in percent, rows trained on,
    columns tested on, and ``drop``: 100 (self - mean of the others) / self, in percent. Each dataset is
    (embeddings (N, D), classes (N,)).
    """
    names = list(sets)
    classes = max(int(labels.max()) for _, labels in sets.values()) + 1
    halves = {}
    for name, (x, labels) in sets.items():
        if len(x) != len(labels):
            raise EvaluationError(f"{name}: {len(x)} embeddings but {len(labels)} classes")
        if labels.min() < 0:
            raise EvaluationError(f"{name}: a class is negative")
        order = generator(seed, "cross-dataset", name).permutation(len(x))
        halves[name] = (order[: len(x) // 2], order[len(x) // 2 :])
    found = pd.DataFrame(index=pd.Index(names, name="trained on"), columns=names, dtype=np.float64)
    for trained in names:
        x, labels = sets[trained]
        learn = halves[trained][0]
        centre, scale = _moments(x[learn])
        weights = fit_softmax((x[learn] - centre) / scale, labels[learn], classes)
        for tested in names:
            held, truth = (part[halves[tested][1]] for part in sets[tested])
            answers = (((held - centre) / scale) @ weights[:-1] + weights[-1]).argmax(axis=1)
            found.loc[trained, tested] = 100 * float((answers == truth).mean())
    own = np.diag(found.to_numpy())
    others = (found.to_numpy().sum(axis=1) - own) / max(len(names) - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["drop"] = np.where(own > 0, 100 * (own - others) / own, np.nan)
    return found


def overlap(correct: pd.DataFrame, overlapping: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Accuracy on the images that overlap the training set and on those that do not, as in CLIP's
    contamination analysis.

    ``correct``: index models, a column per image; ``overlapping``: (N,). Columns: model, n_overlap, overlap,
    overlap_lo, overlap_hi, clean, clean_lo, clean_hi, all, gain (percent, points: all - clean) and p, one-sided: the
    chance of so many right among the overlapping images at the clean accuracy. Raises EvaluationError when either part
    is empty.
    """
    if overlapping.all() or not overlapping.any():
        part = "all" if overlapping.all() else "none"
        raise EvaluationError(f"{part} of the images overlap: there is nothing to compare")
    right = correct.to_numpy(dtype=bool)
    parts = {"overlap": right[:, overlapping], "clean": right[:, ~overlapping]}
    found = pd.DataFrame({"model": correct.index.astype(str), "n_overlap": int(overlapping.sum())})
    for name, images in parts.items():
        k = images.sum(axis=1)
        low, high = clopper_pearson(k, images.shape[1])
        found[name], found[f"{name}_lo"], found[f"{name}_hi"] = (
            100 * k / images.shape[1],
            100 * low,
            100 * high,
        )
    found["all"] = 100 * right.mean(axis=1)
    found["gain"] = found["all"] - found["clean"]
    hits = parts["overlap"].sum(axis=1)
    found["p"] = [
        float(binomtest(int(k), int(overlapping.sum()), clean / 100, alternative="greater").pvalue)
        for k, clean in zip(hits, found["clean"], strict=True)
    ]
    return found


def fit_softmax(x: Floats, labels: Ints, classes: int, *, penalty: float = 1e-2) -> Floats:
    """Weights (D + 1, C), the last row the bias, of the softmax regression with ``penalty`` / 2 |W|^2 a sample.

    scikit-learn's, whose C is the inverse of the penalty of the whole sample; the bias is not penalised. A class
    without samples has a bias of minus infinity. Raises MissingExtra.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("scikit-learn", "probe") from error
    weights = np.zeros((x.shape[1] + 1, classes))
    weights[-1] = -np.inf
    seen = np.unique(labels)
    if len(seen) == 1:
        weights[-1, seen] = 0.0
        return weights
    # Of two classes it fits the difference d of their columns, and |d|^2 is twice the |W|^2 of +-d/2.
    strength = (2 if len(seen) == 2 else 1) / (len(x) * penalty)
    found = LogisticRegression(C=strength, max_iter=1000, tol=1e-6).fit(x, labels)
    rows = np.column_stack([found.coef_, found.intercept_])
    weights[:, seen] = (np.vstack([-rows / 2, rows / 2]) if len(seen) == 2 else rows).T
    return weights


def _stack(sets: Mapping[str, Floats]) -> tuple[Floats, Ints]:
    if len(sets) < 2:
        raise EvaluationError("at least two sets of embeddings are needed to tell them apart")
    for name, x in sets.items():
        if x.ndim != 2 or len(x) < MIN_IMAGES:
            raise EvaluationError(
                f"{name}: {MIN_IMAGES} or more embeddings (N, D) are needed, this is of shape {x.shape}"
            )
        if not np.isfinite(x).all():
            raise EvaluationError(
                f"{name}: {int((~np.isfinite(x)).any(axis=1).sum())} embeddings hold NaN or infinity"
            )
    widths = {name: x.shape[1] for name, x in sets.items()}
    if len(set(widths.values())) > 1:
        raise EvaluationError(
            f"the embeddings are of different widths ({widths}); embed all sets with one encoder"
        )
    x = np.concatenate([np.asarray(part, dtype=np.float64) for part in sets.values()])
    return x, np.repeat(np.arange(len(sets)), [len(part) for part in sets.values()]).astype(np.int64)


def _held_out(x: Floats, y: Ints, classes: int, seed: int) -> Floats:
    """Log-odds (N, C) of every image from a classifier that never saw it: stratified folds."""
    fold = np.empty(len(y), dtype=np.int64)
    for label in range(classes):
        rows = np.flatnonzero(y == label)
        fold[generator(seed, "folds", str(label)).permutation(rows)] = np.arange(len(rows)) % FOLDS
    scores = np.empty((len(y), classes))
    for held in range(FOLDS):
        learn, judge = fold != held, fold == held
        centre, scale = _moments(x[learn])
        weights = fit_softmax((x[learn] - centre) / scale, y[learn], classes)
        scores[judge] = log_softmax(((x[judge] - centre) / scale) @ weights[:-1] + weights[-1], axis=1)
    return scores


def _moments(x: Floats) -> tuple[Floats, Floats]:
    scale = x.std(axis=0)
    return x.mean(axis=0), np.where(scale > 0, scale, 1.0)


def _auc(scores: Floats, labels: Ints) -> float:
    """P[score of a new image > score of an original one], ties half (Mann and Whitney)."""
    ranks = rankdata(scores)
    positive = labels == 1
    count = int(positive.sum())
    rest = len(labels) - count
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * rest))
