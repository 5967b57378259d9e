"""First answers of many models to one set, as numbers; the set's images may have no labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.reading import read_predictions, read_sheets
from newtest.evaluation.scoring.score import Aligned, first_answers, score
from newtest.evaluation.scoring.sets import EvaluationSet

_IDS = ("image_id", "id", "filename", "file")

__all__ = ["FirstAnswers", "labelled_answers", "unlabelled_answers"]


@dataclass(frozen=True)
class FirstAnswers:
    """``answers`` (M, N): a number for each answer, the same number for the same answer. ``accuracy`` (M,), in [0, 1],
    where the images have labels. ``left_out``: sentences on models and files that could not be used.
    """

    models: tuple[str, ...]
    answers: npt.NDArray[np.int64] = field(repr=False)
    accuracy: npt.NDArray[np.float64] | None = None
    left_out: tuple[str, ...] = ()

    def of(self, models: Sequence[str]) -> FirstAnswers:
        """The same for some of the models, in their order."""
        rows = [self.models.index(model) for model in models]
        known = None if self.accuracy is None else self.accuracy[rows]
        return FirstAnswers(tuple(models), self.answers[rows], known, self.left_out)


def labelled_answers(evaluated: EvaluationSet, files: Sequence[Path]) -> FirstAnswers:
    """Answers to a set with labels, and how often each model is right, read as ``newtest evaluate`` reads them."""
    predictions = _read(evaluated, files)
    scores, cautions = score(evaluated, predictions)
    right = {one.model: one.k / one.n for one in scores}
    found = _numbered(evaluated, [one for one in predictions if one.model in right])
    accuracy = np.array([right[model] for model in found.models])
    said = tuple(f"{caution.source}: {caution.message}" for caution in cautions if caution.fatal)
    return FirstAnswers(found.models, found.answers, accuracy, said)


def unlabelled_answers(classes: Sequence[str], files: Sequence[Path]) -> FirstAnswers:
    """Answers to images that nobody labelled; the first file's ids (or its rows) say which images there are.

    ``classes`` are those that the answers are among. Raises EvaluationError where files are of other images.
    """
    if not files:
        raise EvaluationError("`unlabelled` names no file of predictions")
    first = read_sheets(files[0])[0]
    ids = next(iter(first.ids.values()), None)
    if ids is None:
        named = next(
            (first.columns[name] for name in ("image_id", "id", "filename", "file") if name in first.columns),
            None,
        )
        ids = None if named is None else named.astype(str)
    count = len(first)
    images = pd.DataFrame({"image_id": np.arange(count).astype(str) if ids is None else ids})
    images["class"], images["path"] = "", ""
    candidates = EvaluationSet(
        "the unlabelled images",
        str(files[0]),
        tuple(classes),
        np.full(count, -1, np.int64),
        images,
        has_ids=ids is not None,
    )
    return _numbered(candidates, _read(candidates, files))


def _read(evaluated: EvaluationSet, files: Sequence[Path]) -> list[Predictions]:
    found: list[Predictions] = []
    for path in files:
        found += read_predictions(path, evaluated)[0]
    return found


def _numbered(evaluated: EvaluationSet, predictions: Sequence[Predictions]) -> FirstAnswers:
    aligned, rows, left_out = Aligned(evaluated), {}, []
    for one in predictions:
        if one.model in rows:
            continue
        try:
            rows[one.model] = _as_numbers(first_answers(aligned, one), evaluated.classes)
        except Unscorable as error:
            left_out.append(f"{one.model}: {error}")
    if not rows:
        why = f" ({left_out[0]})" if left_out else ""
        raise EvaluationError(f"{evaluated.source}: no model's answers could be read{why}")
    return FirstAnswers(tuple(rows), np.stack(list(rows.values())), None, tuple(left_out))


def _as_numbers(values: npt.NDArray[Any], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Names by their place among the classes, numbers as they are; -1 for an answer that is not a class."""
    if values.dtype.kind in "iu":
        return np.where(values < 0, -1, values).astype(np.int64)
    place = {name: at for at, name in enumerate(classes)}
    return np.array([place.get(str(value), -1) for value in values], np.int64)
