"""``newtest probe``: labelled embeddings of two sets, probes with few and all labels, and how many labels suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.loading import encoder
from newtest.clip.probe import ProbeConfig, ProbeResult, probe, shots_to_match
from newtest.errors import EvaluationError
from newtest.evaluation.scoring.embeddings import read_embeddings, shared_rows
from newtest.evaluation.scoring.set_vectors import set_vectors
from newtest.evaluation.scoring.sets import find_set
from newtest.progress import UNWATCHED, Progress
from newtest.reading.arrays import open_arrays

__all__ = ["Efficiency", "Labelled", "ProbePoint", "Source", "label_efficiency", "labelled"]

"""Told (train or test, images in all, done since the last call) while an encoder runs."""


@dataclass(frozen=True)
class Labelled:
    """Embeddings (N, D) and the class of each row by name, (N,)."""

    name: str
    vectors: npt.NDArray[np.floating] = field(repr=False)
    classes: npt.NDArray[np.str_] = field(repr=False)
    unreadable: int = 0
    """Pictures of the set that could not be embedded and are not among the rows."""


@dataclass(frozen=True)
class Source:
    """How sets become embeddings; files of embeddings need none of it."""

    model: str = "conse"
    like: str | None = None
    """The tag of open_clip whose configuration a checkpoint needs."""
    device: str | None = None
    precision: str = "float32"
    study: Path = Path()
    cache: Path | None = None


@dataclass(frozen=True)
class ProbePoint:
    """All probes with as many labels: mean and standard deviation (over seeds) of their accuracies, in percent."""

    shots: int | None
    """Labelled images per class; None for all."""
    labels: float
    """Labelled images per class, on average: ``shots``, or what "all" comes to."""
    mean: float
    deviation: float | None
    """None for a single probe."""
    results: tuple[ProbeResult, ...] = field(repr=False)


@dataclass(frozen=True)
class Efficiency:
    """The label-efficiency curve, and what a zero-shot classifier is worth in labels per class."""

    train: str
    test: str
    points: tuple[ProbePoint, ...]
    zero_shot: float | None
    """Percent."""
    match: float | None
    """Labels per class with which the mean probe of so many equals ``zero_shot``; None where none tried does."""
    shared: int = 0
    """Test images whose embedding is also one of the training data: what was learned, not what was understood."""

    def to_json(self) -> dict[str, Any]:
        """Plain values: each point with its probes, without their predictions."""
        points = [
            {
                "shots": point.shots,
                "labels_per_class": point.labels,
                "accuracy": point.mean,
                "deviation": point.deviation,
                "probes": [
                    {key: value for key, value in asdict(one).items() if key not in ("predicted", "shots")}
                    for one in point.results
                ],
            }
            for point in self.points
        ]
        return {
            "train": self.train,
            "test": self.test,
            "zero_shot": self.zero_shot,
            "shots_to_match": self.match,
            "test_images_in_training": self.shared,
            "points": points,
        }


def labelled(which: str, source: Source, progress: Progress = UNWATCHED) -> Labelled:
    """Embeddings and classes of a set, or of an ``.npz`` with ``embeddings``, ``labels`` and optionally ``classes``.

    ``classes`` names what the labels (positions in it) mean; without it a label is its own name. Raises
    EvaluationError.
    """
    path = Path(which)
    if path.suffix == ".npz" and path.is_file():
        return _from_file(path)
    evaluated = find_set(which, source.study)
    model = encoder(source.model, like=source.like, device=source.device, precision=source.precision)
    embedded = set_vectors(evaluated, model, source.cache, progress)
    seen = embedded.readable
    if not seen.any():
        raise EvaluationError(f"{evaluated.name}: none of its {len(evaluated)} pictures could be read")
    names = np.array(evaluated.classes, dtype=np.str_)[evaluated.labels]
    return Labelled(evaluated.name, embedded.vectors[seen], names[seen], int((~seen).sum()))


def label_efficiency(
    train: Labelled, test: Labelled, config: ProbeConfig, zero_shot: float | None = None
) -> Efficiency:
    """Fit and score the probes; ``zero_shot`` is an accuracy in percent to match.

    Raises EvaluationError for test images of a class that the training data lacks, and as ``newtest.clip.probe`` does.
    """
    classes, labels = np.unique(train.classes, return_inverse=True)
    strange = np.setdiff1d(test.classes, classes)
    if len(strange):
        raise EvaluationError(
            f"{test.name}: {len(strange)} classes have no training image in {train.name}, first {str(strange[0])!r}"
        )
    truth = np.searchsorted(classes, test.classes)
    results = probe(train.vectors, labels, test.vectors, truth, config)
    match = None if zero_shot is None else shots_to_match(results, zero_shot)
    points = _points(results, len(labels) / len(classes))
    shared = shared_rows(train.vectors, test.vectors)
    return Efficiency(train.name, test.name, points, zero_shot, match, shared)


def _points(results: Sequence[ProbeResult], everything: float) -> tuple[ProbePoint, ...]:
    points = []
    for shots in dict.fromkeys(result.shots for result in results):
        some = tuple(result for result in results if result.shots == shots)
        values = [result.accuracy for result in some]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        labels = everything if shots is None else float(shots)
        points.append(ProbePoint(shots, labels, float(np.mean(values)), deviation, some))
    return tuple(points)


def _from_file(path: Path) -> Labelled:
    embedded = read_embeddings(path)
    labels = embedded.labels
    if labels is None:
        raise EvaluationError(f"{path}: a probe needs the classes: the array 'labels' is missing")
    if embedded.vectors.ndim != 2 or labels.shape != embedded.vectors.shape[:1] or not len(labels):
        raise EvaluationError(
            f"{path}: embeddings {embedded.vectors.shape} and labels {labels.shape} do not fit"
        )
    try:
        with open_arrays(path) as held:
            classes = held["classes"].astype(np.str_) if "classes" in held.files else None
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(f"{path}: its classes cannot be read ({error})") from error
    if classes is not None and (labels.min() < 0 or labels.max() >= len(classes)):
        raise EvaluationError(f"{path}: labels {labels.min()} to {labels.max()} for {len(classes)} classes")
    names = labels.astype(np.str_) if classes is None else classes[labels]
    seen = np.asarray(embedded.vectors.any(axis=1))
    return Labelled(embedded.name, embedded.vectors[seen], names[seen], int((~seen).sum()))
