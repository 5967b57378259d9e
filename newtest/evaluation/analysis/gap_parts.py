"""The gap in parts: what selection frequencies explain, what the share of multi-label images explains, and the rest.

Let A be a mean model's accuracy. The new set is reweighed so that it is spread as the original is: over its images with
one label and with several (A_M), over true selection frequencies (A_F; ``newtest.frequency.gap``, Engstrom et al.
2020), or over both at once, the frequencies within each kind of image (A_FM). Then

    gap  = A_original - A_new = frequency + several + rest
    rest = A_original - A_FM

and what both explain together, A_FM - A_new, is dealt to the two by the mean over the two orders in which they can be
taken (Shapley 1953), for images with several labels often have other frequencies too:

    several   = [(A_M - A_new) + (A_FM - A_F)] / 2
    frequency = [(A_F - A_new) + (A_FM - A_M)] / 2

Where only one of the two is known for both sets, it is A_M or A_F alone. The split is ours; that multi-label images
make up much of ImageNetV2's gap is Anzaku et al. 2024 (arXiv 2412.18409). Intervals: the standard error of a bootstrap
over the images (or their clusters) of both sets, with a t quantile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from newtest.draws import bootstrap_rows, generator
from newtest.errors import EvaluationError, SamplingError
from newtest.frequency.counts import VoteCounts
from newtest.frequency.gap import ScoredSet, matched_accuracy

__all__ = ["GapParts", "MeasuredSet", "Part", "gap_parts"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

REPLICATES = 100
FEW = 200
"""Images of one kind below which its distribution of frequencies is hardly known."""
NAMES = ("observed", "frequency", "several", "rest")


@dataclass(frozen=True)
class MeasuredSet:
    """A set as the split sees it: arrays (N,). Raises EvaluationError where the lengths differ or nothing is there."""

    correct: Floats
    """The share of models that are right on each image."""
    several: Bools | None = None
    """Whether the image has two or more valid labels; None: nobody knows."""
    votes: VoteCounts | None = None
    """Selection frequencies; None: there are none."""
    clusters: Ints | None = None
    """The group of each image; None: every image is drawn by itself."""

    def __post_init__(self) -> None:
        parts = [part for part in (self.several, self.votes, self.clusters) if part is not None]
        if not len(self.correct) or any(len(part) != len(self.correct) for part in parts):
            raise EvaluationError(
                "a set to be split has one value of each kind per image, for one image at least"
            )

    def where(self, rows: Ints | Bools) -> MeasuredSet:
        """Some of the images, or some of them several times."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            correct=self.correct[at],
            several=None if self.several is None else self.several[at],
            votes=None if self.votes is None else self.votes.where(at),
            clusters=None,
        )

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * float(self.correct.mean())


@dataclass(frozen=True)
class Part:
    """Points, with their standard error and 95 % interval."""

    points: float
    error: float
    lo: float
    hi: float


@dataclass(frozen=True)
class GapParts:
    """``observed`` = ``frequency`` + ``several`` + ``rest``, in points; a part is None where it cannot be told."""

    observed: Part
    frequency: Part | None
    several: Part | None
    rest: Part
    share_original: float | None
    """Of images with several labels, in percent."""
    share_new: float | None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gap_parts(
    original: MeasuredSet,
    new: MeasuredSet,
    *,
    pool: VoteCounts | None = None,
    replicates: int = REPLICATES,
    level: float = 0.95,
    seed: int = 0,
) -> GapParts:
    """Split the gap of two sets; see the module's docstring. ``pool``: the counts that the new set was chosen by.

    Raises EvaluationError where neither votes nor numbers of labels are known for both sets, and where one of them has
    no image of a kind that the other has.
    """
    by_votes = original.votes is not None and new.votes is not None
    by_labels = original.several is not None and new.several is not None
    if not by_votes and not by_labels:
        raise EvaluationError(
            "the gap has no parts to be told apart: both sets need votes, or several labels per image"
        )
    known = {"by_votes": by_votes, "by_labels": by_labels}
    warnings = [*_few(original, new, **known)]
    random = generator(seed, "gap-parts")
    values = _values(original, new, pool, random, warnings, **known)
    drawn, failed = [], 0
    resample = [bootstrap_rows(len(one.correct), one.clusters) for one in (original, new)]
    for _ in range(replicates):
        one, two = original.where(resample[0](random)), new.where(resample[1](random))
        try:
            drawn.append(_values(one, two, pool, random, [], **known))
        except (SamplingError, EvaluationError):  # a resample of a small set can lack what the split needs
            failed += 1
    if failed:
        warnings.append(f"{failed} of {replicates} resamples allow no split; the intervals are of the rest")
    parts = _parts(values, np.array(drawn), level)
    return GapParts(
        parts["observed"],
        parts["frequency"] if by_votes else None,
        parts["several"] if by_labels else None,
        parts["rest"],
        100 * float(original.several.mean()) if original.several is not None else None,
        100 * float(new.several.mean()) if new.several is not None else None,
        tuple(dict.fromkeys(warnings)),
    )


def _parts(values: Floats, drawn: Floats, level: float) -> dict[str, Part]:
    if len(drawn) > 1:
        errors = drawn.std(axis=0, ddof=1)
        half = t.ppf((1 + level) / 2, len(drawn) - 1) * errors
    else:
        errors = half = np.full(len(values), np.nan)
    rows = zip(values, errors, values - half, values + half, strict=True)
    return {name: Part(*map(float, row)) for name, row in zip(NAMES, rows, strict=True)}


def _values(
    original: MeasuredSet,
    new: MeasuredSet,
    pool: VoteCounts | None,
    random: np.random.Generator,
    warnings: list[str],
    *,
    by_votes: bool,
    by_labels: bool,
) -> Floats:
    """observed, frequency, several, rest in points, (4,); 0 for a part that is not known."""
    first, plain = original.accuracy, new.accuracy
    by_m = _by_labels(original, new) if by_labels else plain
    by_f = _by_votes(original, new, pool, warnings) if by_votes else plain
    both = by_f if by_votes else by_m
    if by_votes and by_labels:
        both = _by_both(original, new, pool, random, warnings)
    frequency = ((by_f - plain) + (both - by_m)) / 2 if by_votes else 0.0
    several = ((by_m - plain) + (both - by_f)) / 2 if by_labels else 0.0
    return np.array([first - plain, frequency, several, first - both])


def _kinds(measured: MeasuredSet) -> tuple[Bools, Bools]:
    assert measured.several is not None  # for mypy
    return ~measured.several, measured.several


def _by_labels(original: MeasuredSet, new: MeasuredSet) -> float:
    return sum(
        100 * float(theirs.mean()) * float(new.correct[ours].mean())
        for theirs, ours in _shared(original, new)
    )


def _shared(original: MeasuredSet, new: MeasuredSet) -> list[tuple[Bools, Bools]]:
    """The images of each kind in both sets. Raises EvaluationError where the new set lacks a kind."""
    found = []
    for name, theirs, ours in zip(
        ("one label", "several labels"), _kinds(original), _kinds(new), strict=True
    ):
        if not theirs.any():
            continue
        if not ours.any():
            raise EvaluationError(
                f"the new set has no image with {name}, so nothing can stand for the original's"
            )
        found.append((theirs, ours))
    return found


def _by_votes(original: MeasuredSet, new: MeasuredSet, pool: VoteCounts | None, warnings: list[str]) -> float:
    assert original.votes is not None  # for mypy
    assert new.votes is not None
    return float(matched_accuracy(original.votes, ScoredSet(new.votes, new.correct), pool, warnings)[0])


def _by_both(
    original: MeasuredSet,
    new: MeasuredSet,
    pool: VoteCounts | None,
    random: np.random.Generator,
    warnings: list[str],
) -> float:
    """Frequencies matched within the images of each kind, which then count as often as in the original."""
    total = 0.0
    for theirs, ours in _shared(original, new):
        part = None if pool is None else _pool_of(new, ours, pool, random)
        total += float(theirs.mean()) * _by_votes(original.where(theirs), new.where(ours), part, warnings)
    return total


def _pool_of(new: MeasuredSet, kind: Bools, pool: VoteCounts, random: np.random.Generator) -> VoteCounts:
    """The pool's images of a kind. Nobody knows them, but the new set was chosen by votes alone: at equal frequencies
    its images are of a kind as often as the pool's. So each image of the pool is of the kind by chance, with the share
    among the new set's images in its tenth of frequency (of all, where the set has none there).
    """
    assert new.votes is not None  # for mypy
    tenth, ours = (np.minimum(10 * c.num_selected // c.num_shown, 9) for c in (pool, new.votes))
    size, some = np.bincount(ours, minlength=10), np.bincount(ours, weights=kind, minlength=10)
    share = np.where(size > 0, some / np.maximum(size, 1), kind.mean())
    chosen = random.random(len(pool)) < share[tenth]
    return pool.where(np.flatnonzero(chosen)) if chosen.any() else pool


def _few(original: MeasuredSet, new: MeasuredSet, *, by_votes: bool, by_labels: bool) -> list[str]:
    if not (by_votes and by_labels):
        return []
    return [
        f"the {name} set has {int(kind.sum())} images with {what}: their frequencies are hardly known"
        for name, measured in (("original", original), ("new", new))
        for what, kind in zip(("one label", "several labels"), _kinds(measured), strict=True)
        if 0 < kind.sum() < FEW
    ]
