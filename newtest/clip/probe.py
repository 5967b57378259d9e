"""Probes: logistic regression on frozen embeddings, with few or all labels (Radford et al. 2021, section 3.2)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.clip.zeroshot import normalised
from newtest.draws import generator
from newtest.errors import MissingExtra, UsageError

__all__ = ["ProbeConfig", "ProbeResult", "parse_shots", "probe", "shots_to_match"]

Ints = npt.NDArray[np.int64]

RARE, SPLITS = 8, 5
"""A class with fewer labels than the first is rare; then so many splits are looked at instead of one."""
ENOUGH = 4
"""Labels that at least one class must have for C to be chosen."""


@dataclass(frozen=True)
class ProbeConfig:
    """``shots`` are labelled images per class; None among them is all of them. ``strengths`` are values of C, the
    inverse of the L2 penalty, of which one is chosen on a split of the training data alone."""

    shots: tuple[int | None, ...] = (1, 2, 4, 8, 16, None)
    seeds: int = 3
    strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0)
    held_out: float = 0.25
    """Share of each class's training data on which C is chosen; where no class has 4 labels C stays 1."""
    seed: int = 0
    max_iterations: int = 1000


@dataclass(frozen=True)
class ProbeResult:
    """One probe: k of n test images right. ``shots`` is None for all labels.

    ``unsplit`` classes have no part in the choice of C: they have one label, or (all of them) no class has 4.
    """

    shots: int | None
    seed: int
    strength: float
    k: int
    n: int
    predicted: Ints
    unsplit: int = 0

    @property
    def accuracy(self) -> float:
        return 100 * self.k / self.n


def probe(
    train: npt.ArrayLike,
    labels: npt.ArrayLike,
    test: npt.ArrayLike,
    truth: npt.ArrayLike,
    config: ProbeConfig | None = None,
) -> list[ProbeResult]:
    """Fit and score probes on (N, D) training and (M, D) test embeddings with integer labels (N,) and (M,).

    Embeddings are normalised first. The test data is looked at once a probe, after C is chosen. A number of shots that
    some class has not is left out. Raises MissingExtra without scikit-learn, UsageError for arrays that do not fit.
    """
    config = config or ProbeConfig()
    x, y = normalised(train), np.asarray(labels, dtype=np.int64)
    tx, ty = normalised(test), np.asarray(truth, dtype=np.int64)
    if len(x) != len(y) or len(tx) != len(ty) or not len(ty) or x.shape[1] != tx.shape[1]:
        raise UsageError(f"embeddings {x.shape} and {tx.shape} do not fit labels {y.shape} and {ty.shape}")
    if len(np.unique(y)) < 2:
        raise UsageError("a probe needs training images of at least two classes")
    fewest = int(np.unique(y, return_counts=True)[1].min())
    results = []
    for shots in config.shots:
        if shots is not None and shots > fewest:
            continue
        for seed in range(config.seeds if shots is not None else 1):
            rows = np.arange(len(y)) if shots is None else _few(y, shots, config.seed + seed)
            strength, unsplit = _choose_strength(x[rows], y[rows], config)
            predicted = np.asarray(_fit(x[rows], y[rows], strength, config).predict(tx), dtype=np.int64)
            results.append(
                ProbeResult(shots, seed, strength, int((predicted == ty).sum()), len(ty), predicted, unsplit)
            )
    return results


def parse_shots(text: str) -> tuple[int | None, ...]:
    """``1,2,4,all`` -> (1, 2, 4, None), ascending, each once. Raises UsageError."""
    try:
        words = {word.strip() for word in text.split(",")}
        numbers = sorted(int(word) for word in words - {"all"})
    except ValueError:
        raise UsageError(f"shots {text!r} are not whole numbers with commas, or all") from None
    if numbers and numbers[0] < 1:
        raise UsageError(f"shots {text!r}: at least 1 image per class is needed")
    return (*numbers, *((None,) if "all" in words else ()))


def shots_to_match(results: Sequence[ProbeResult], zero_shot: float) -> float | None:
    """Labels per class after which the mean probe equals a zero-shot accuracy (percent), between the shots tried.

    Linear in log2 of the shots between neighbours, as in Radford et al. 2021, figure 7; None if it never does, and the
    fewest shots tried if those already do.
    """
    tried = sorted({result.shots for result in results if result.shots is not None})
    means = [float(np.mean([r.accuracy for r in results if r.shots == shots])) for shots in tried]
    if means and means[0] >= zero_shot:
        return float(tried[0])
    for (few, low), (more, high) in zip(
        zip(tried, means, strict=True), list(zip(tried, means, strict=True))[1:], strict=False
    ):
        if low < zero_shot <= high:
            share = (zero_shot - low) / (high - low)
            return float(2 ** (np.log2(few) + share * (np.log2(more) - np.log2(few))))
    return None


def _few(labels: Ints, shots: int, seed: int) -> Ints:
    rows = [
        generator(seed, "probe", str(value)).choice(np.flatnonzero(labels == value), shots, replace=False)
        for value in np.unique(labels)
    ]
    return np.sort(np.concatenate(rows))


def _choose_strength(x: npt.NDArray[np.float32], y: Ints, config: ProbeConfig) -> tuple[float, int]:
    """The C with the best mean accuracy per class on held-out parts, of equals the strongest penalty; and ``unsplit``.

    Each class counts the same, or a rare one would have no say. A class with one label is all in training, a rare one
    holds one label back; where there are rare ones, several splits are looked at, for one label is chance.
    """
    values, counts = np.unique(y, return_counts=True)
    if counts.max() < ENOUGH:
        return 1.0, len(values)
    splits = SPLITS if counts.min() < RARE else 1
    strengths = sorted(config.strengths)
    scores = np.zeros(len(strengths))
    for split in range(splits):
        held = _held_out(y, values, counts, config, split)
        kept = np.setdiff1d(np.arange(len(y)), held)
        share = 1 / _counts_of(y[held])
        for at, strength in enumerate(strengths):
            right = _fit(x[kept], y[kept], strength, config).predict(x[held]) == y[held]
            scores[at] += (right * share).sum() / share.sum()
    best = int(np.flatnonzero(scores >= scores.max() - 1e-9)[0])
    return strengths[best], int((counts == 1).sum())


def _counts_of(labels: Ints) -> npt.NDArray[np.int64]:
    """How often each label occurs among all of them, (N,)."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(counts[place])


def _held_out(y: Ints, values: Ints, counts: Ints, config: ProbeConfig, split: int) -> npt.NDArray[np.int64]:
    """Rows of each class that has two labels or more: its share, at least one and never all."""
    name = "probe-split" if split == 0 else f"probe-split-{split}"
    parts = [
        generator(config.seed, name, str(value)).choice(
            np.flatnonzero(y == value),
            min(count - 1, max(1, round(config.held_out * count))),
            replace=False,
        )
        for value, count in zip(values, counts, strict=True)
        if count > 1
    ]
    return np.concatenate(parts)


def _fit(x: npt.NDArray[np.float32], y: Ints, strength: float, config: ProbeConfig):  # type: ignore[no-untyped-def]
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("scikit-learn", "probe") from error
    with warnings.catch_warnings():
        # Few images per class are the point of a probe, and no sign that the labels are numbers to regress on.
        warnings.filterwarnings(
            "ignore", message="The number of unique classes is greater", category=UserWarning
        )
        return LogisticRegression(C=strength, max_iter=config.max_iterations).fit(x, y)
