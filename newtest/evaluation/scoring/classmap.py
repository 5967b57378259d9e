"""Many-to-one maps between label spaces: a model of 1,000 outputs scored on 30 super-classes, or on a subset.

For a set that covers some of the classes, the x axis of a line is the accuracy on those classes: score the original
through the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.sets import EvaluationSet, make_set

__all__ = ["ClassMap", "class_map", "read_class_map", "restrict"]


@dataclass(frozen=True)
class ClassMap:
    """``target[i]`` is the position in ``inputs`` (the set's classes) of the model's output i, or -1 for none."""

    outputs: tuple[str, ...]
    """The model's classes, in the order of its outputs."""
    inputs: tuple[str, ...]
    """The set's classes."""
    target: npt.NDArray[np.int64]

    @property
    def looked_at(self) -> npt.NDArray[np.bool_]:
        """Which outputs mean a class of the set, (outputs,)."""
        return self.target >= 0

    @property
    def merges(self) -> bool:
        """Whether some class of the set has several outputs."""
        return int(self.looked_at.sum()) > len(self.inputs)

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
                f"{scores.shape[1]} scores an image, but the class map has {len(self.outputs)} outputs"
            )
        merged = np.full((len(scores), len(self.inputs)), -np.inf)
        for output, cls in enumerate(self.target):
            if cls >= 0:
                np.maximum(merged[:, cls], scores[:, output], out=merged[:, cls])
        return merged


def class_map(
    outputs: tuple[str, ...], inputs: tuple[str, ...], names: Mapping[str, str] | None = None
) -> ClassMap:
    """A map from names: ``names[output]`` is the set's class of a model's class; without it a class means itself.

    Raises EvaluationError when a class of the set is reached by no output (its images could never be right).
    """
    position = {name: at for at, name in enumerate(inputs)}
    target = np.array(
        [position.get((names or {}).get(o, "" if names else o), -1) for o in outputs], dtype=np.int64
    )
    missing = sorted(set(range(len(inputs))) - set(target.tolist()))
    if missing:
        raise EvaluationError(
            f"{len(missing)} classes of the set are reached by no output of the model, first {inputs[missing[0]]!r}"
        )
    return ClassMap(outputs, inputs, target)


def read_class_map(path: Path) -> dict[str, str]:
    """A table with the columns ``from`` (the model's class) and ``to`` (the set's). Raises EvaluationError."""
    frame = read_frame(path)
    if not {"from", "to"} <= set(frame.columns):
        raise EvaluationError(f"{path}: a class map has the columns 'from' and 'to'")
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
    set's classes.

    Predictions in the order of the whole set still fit it. Raises EvaluationError when no image is left.
    """
    classes = evaluated.images["class"].map(names) if names else evaluated.images["class"]
    inside = classes.isin(kept)
    frame = evaluated.images[inside].assign(**{"class": classes[inside]})
    if not evaluated.has_ids:
        frame = frame.drop(columns="image_id")
    part = make_set(frame, evaluated.name, source=evaluated.source, classes=kept, column="class")
    return replace(part, taken=inside.to_numpy(dtype=bool))
