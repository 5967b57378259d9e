"""Many-to-one maps between label spaces: a model of 1,000 outputs scored on 30 super-classes, or on a subset.

For a set that covers some of the classes, the x axis of a line is the accuracy on those classes: score the original
through the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.reading.separated import it_has

__all__ = ["ClassMap", "class_map", "read_class_map", "restrict", "unreached"]


@dataclass(frozen=True)
class ClassMap:
    """``target[i]`` is the position in ``inputs`` (the set's classes) of the model's output i, or -1 for none."""

    outputs: tuple[str, ...]
    """The model's classes, in the order of its outputs."""
    inputs: tuple[str, ...]
    """The set's classes."""
    target: npt.NDArray[np.int64]
    extra: Mapping[str, int] = field(default_factory=dict)
    """Names that an answer may have beside those of ``outputs``, as positions in ``target`` after theirs."""

    @property
    def looked_at(self) -> npt.NDArray[np.bool_]:
        """Which outputs mean a class of the set, (outputs,)."""
        return self.target[: len(self.outputs)] >= 0

    @property
    def merges(self) -> bool:
        """Whether some class of the set has several outputs."""
        reached = self.target[: len(self.outputs)]
        return int(self.looked_at.sum()) > len(set(reached[self.looked_at].tolist()))

    def classes(self, outputs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Outputs, any shape, to the set's classes; an output that belongs to none is -1, and never right."""
        return self.target[outputs]

    def scores(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scores (N, outputs) to (N, classes of the set): each class takes the largest score of its outputs.

        The largest, not the sum: logits have no sum that means anything, and of probabilities both are in use.
        Outputs of no class are not looked at, which is how ImageNet models are scored on subsets.
        Raises EvaluationError when the width is not that of ``outputs``.
        """
        if scores.shape[1] != len(self.outputs):
            raise EvaluationError(
                f"{scores.shape[1]} scores per image, but the class map has {len(self.outputs)} outputs"
            )
        merged = np.full((len(scores), len(self.inputs)), -np.inf)
        for output, cls in enumerate(self.target[: len(self.outputs)]):
            if cls >= 0:
                np.maximum(merged[:, cls], scores[:, output], out=merged[:, cls])
        return merged


def class_map(
    outputs: tuple[str, ...],
    inputs: tuple[str, ...],
    names: Mapping[str, str] | None = None,
    *,
    partial: bool = False,
) -> ClassMap:
    """A map from names: ``names[output]`` is the set's class of a model's class. An output that is not in ``names``
    means the class of its own name, if ``names`` leads to that, or is None.

    Raises EvaluationError when a class of the set is reached by no output (its images could never be right), unless
    ``partial``.
    """
    position = {name: at for at, name in enumerate(inputs)}
    given = names or {}
    more = tuple(name for name in given if name not in set(outputs))
    targets = set(given.values())
    meant = [given.get(o, o if names is None or o in targets else "") for o in (*outputs, *more)]
    target = np.array([position.get(name, -1) for name in meant], dtype=np.int64)
    missing = unreached(ClassMap(outputs, inputs, target))
    if missing and not partial:
        raise EvaluationError(
            f"{len(missing)} classes of the set are reached by no output of the model, first {missing[0]!r}; "
            "say with `unreachable` whether their images are left-out or count as wrong"
        )
    extra = {name: len(outputs) + at for at, name in enumerate(more)}
    return ClassMap(outputs, inputs, target, extra)


def unreached(mapping: ClassMap) -> tuple[str, ...]:
    """The set's classes that no output and no other name of an answer means."""
    reached = set(mapping.target.tolist())
    return tuple(name for at, name in enumerate(mapping.inputs) if at not in reached)


def read_class_map(path: Path) -> dict[str, str]:
    """A table with the columns ``from`` (the model's class) and ``to`` (the set's). Raises EvaluationError."""
    frame = read_frame(path)
    if not {"from", "to"} <= set(frame.columns):
        raise EvaluationError(f"{path}: a class map has the columns 'from' and 'to'; {it_has(frame.columns)}")
    if frame.empty:
        raise EvaluationError(f"{path}: the class map has no rows")
    for column in ("from", "to"):
        frame[column] = frame[column].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
        if (empty := int((frame[column].isna() | (frame[column] == "")).sum())) > 0:
            raise EvaluationError(f"{path}: {empty} rows have no {column!r}")
    repeated = frame[frame["from"].duplicated()]
    if len(repeated):
        raise EvaluationError(
            f"{path}: class {repeated['from'].iloc[0]!r} has two targets; a class map is many to one"
        )
    return dict(zip(frame["from"].astype(str), frame["to"].astype(str), strict=True))


def restrict(
    evaluated: EvaluationSet, names: Mapping[str, str] | None, kept: tuple[str, ...]
) -> EvaluationSet:
    """The images of a set whose class, taken through ``names``, is one of ``kept``: the original on the new
    set's classes. Of an image with several true classes, those that stay.

    Predictions in the order of the whole set still fit it. Raises EvaluationError when no image is left.
    """
    position = {name: at for at, name in enumerate(kept)}
    to = np.array(
        [position.get(name if names is None else names.get(name, ""), -1) for name in evaluated.classes]
        + [-1],
        dtype=np.int64,
    )
    every = evaluated.labels[:, None]
    if evaluated.also is not None:
        every = np.concatenate([every, evaluated.also], axis=1)
    placed = to[every]  # -1, no further class, picks the last entry: -1
    # Classes that stay go to the front, in their order.
    placed = np.take_along_axis(placed, np.argsort(placed < 0, axis=1, kind="stable"), axis=1)
    inside = placed[:, 0] >= 0
    if not inside.any():
        raise EvaluationError(f"{evaluated.source}: none of its images is of a class that is scored")
    part, images = placed[inside], evaluated.images[inside].reset_index(drop=True)
    given = None if evaluated.given is None else to[evaluated.given][inside]
    shown = part[:, 0] if given is None else np.where(given < 0, part[:, 0], given)
    images["class"] = [kept[at] for at in shown]
    also = part[:, 1:] if part.shape[1] > 1 and (part[:, 1:] >= 0).any() else None
    if not evaluated.has_ids:
        images["image_id"] = [str(at) for at in range(len(images))]
    taken = evaluated.taken
    if not inside.all():
        taken = np.ones(len(inside), dtype=bool) if taken is None else taken.copy()
        taken[np.flatnonzero(taken)] = inside
    return replace(
        evaluated, classes=kept, labels=part[:, 0].copy(), images=images, also=also, given=given, taken=taken
    )
