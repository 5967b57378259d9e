"""Scoring: predictions and a set become k of n, the correctness of each image, and cautions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.guards import at_chance, permuted, stored_backwards
from newtest.evaluation.scoring.metrics import average_precision_11, mean_per_class, rank_of_truth
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["Score", "ScoreConfig", "score"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ScoreConfig:
    """How predictions are read. ``mapping`` takes a model's classes to the set's; None means they are the same."""

    reversed_models: tuple[str, ...] = ()
    """Models whose ranking is stored worst first."""
    mapping: ClassMap | None = None


@dataclass(frozen=True)
class Score:
    """One model on one set: ``k`` of ``n`` images right, and which."""

    model: str
    set: str
    k: int
    n: int
    set_hash: str
    source: str
    preprocessing: str
    correct: npt.NDArray[np.bool_] = field(repr=False)
    top5_k: int | None = None
    mean_per_class: float | None = None
    """In percent, as map11."""
    map11: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A row of the results: everything but the images."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "correct"}
        return {**row, "accuracy": 100 * self.k / self.n}


class _Unscorable(Exception):
    """A model that gets no number; carries the kind and the sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def score(
    evaluated: EvaluationSet, predictions: Sequence[Predictions], options: ScoreConfig | None = None
) -> tuple[list[Score], list[Caution]]:
    """Score every model; one that cannot be scored is a fatal caution, not an exception, and the others go on."""
    options = options or ScoreConfig()
    set_hash = evaluated.hash
    scores: list[Score] = []
    chosen, cautions = _one_a_model(predictions, options)
    for one in chosen:

        def warn(kind: str, message: str, one: Predictions = one) -> None:
            cautions.append(Caution(kind, one.source, message, one.model))

        try:
            scores.append(_score(evaluated, set_hash, one, options, warn))
        except _Unscorable as error:
            cautions.append(Caution(error.kind, one.source, str(error), one.model, fatal=True))
    return scores, cautions


def _one_a_model(
    predictions: Sequence[Predictions], options: ScoreConfig
) -> tuple[list[Predictions], list[Caution]]:
    """The richest predictions of each name: two that agree are one, two that do not are a caution and the
    first counts.
    """
    chosen: dict[str, Predictions] = {}
    cautions = []
    for one in predictions:
        before = chosen.get(one.model)
        if before is None:
            chosen[one.model] = one
        elif before.source != one.source and _agree(before, one):
            if one.kind != "labels":
                chosen[one.model] = one
        else:
            message = (
                f"the name is also in {before.source}, with other answers; the first is used: rename one"
            )
            cautions.append(Caution("duplicate-model", one.source, message, one.model))
    return list(chosen.values()), cautions


def _agree(one: Predictions, other: Predictions) -> bool:
    if one.ids is not None or other.ids is not None or len(one.values) != len(other.values):
        return False
    tops = [
        p.values if p.kind == "labels" else p.values[:, 0] if p.kind == "ranking" else p.values.argmax(axis=1)
        for p in (one, other)
    ]
    return bool(np.array_equal(tops[0], tops[1]))


@dataclass(frozen=True)
class _Answers:
    """A model's best class an image, (N,), and what its form allows beside it."""

    top1: Ints
    top5_k: int | None = None
    map11: float | None = None


def _score(
    evaluated: EvaluationSet,
    set_hash: str,
    one: Predictions,
    options: ScoreConfig,
    warn: Callable[[str, str], None],
) -> Score:
    labels, n, num_classes = evaluated.labels, len(evaluated), len(evaluated.classes)
    values = _in_order(evaluated, one, warn)
    if one.kind == "scores":
        answers = _from_scores(values.astype(np.float64), labels, num_classes, options)
    elif one.kind == "ranking":
        ranking = _numbers(evaluated, one, values, options)
        ranking = ranking[:, ::-1] if one.model in options.reversed_models else ranking
        if message := stored_backwards(ranking, labels):
            warn("reversed", message)
        # Five outputs may be fewer than five classes where a map merges some.
        five = ranking.shape[1] >= 5 and not (options.mapping is not None and options.mapping.merges)
        hits = int((ranking[:, :5] == labels[:, None]).any(axis=1).sum())
        answers = _Answers(ranking[:, 0], hits if five else None)
    else:
        answers = _Answers(_numbers(evaluated, one, values, options))
    correct = answers.top1 == labels
    k = int(correct.sum())
    outside = int((answers.top1 < 0).sum())
    if outside and not one.gaps:
        warn(
            "other-classes",
            f"{outside} answers are classes that the set has not, and count as wrong; scores in place of answers would "
            "be compared among the set's classes alone",
        )
    if message := permuted(np.maximum(answers.top1, 0), labels, num_classes):
        warn("permuted", message)
    elif message := at_chance(k, n, num_classes):
        warn("chance", message)
    return Score(
        model=one.model,
        set=evaluated.name,
        k=k,
        n=n,
        set_hash=set_hash,
        source=one.source,
        preprocessing=one.preprocessing,
        correct=correct,
        top5_k=answers.top5_k,
        mean_per_class=100 * mean_per_class(correct, labels),
        map11=answers.map11,
    )


def _from_scores(
    table: npt.NDArray[np.float64], labels: Ints, num_classes: int, options: ScoreConfig
) -> _Answers:
    holes = int(np.isnan(table).any(axis=1).sum())
    if holes:
        raise _Unscorable("not-a-number", f"{holes} rows of scores hold NaN")
    width = num_classes if options.mapping is None else len(options.mapping.outputs)
    if table.shape[1] != width:
        found = table.shape[1]
        raise _Unscorable(
            "wrong-classes", f"{found} scores an image for {width} classes{_hint(found, width)}"
        )
    if options.mapping is not None:
        table = options.mapping.scores(table)
    top5 = int((rank_of_truth(table, labels) < 5).sum()) if num_classes > 5 else None
    return _Answers(table.argmax(axis=1), top5, 100 * average_precision_11(table, labels))


def _in_order(
    evaluated: EvaluationSet, one: Predictions, warn: Callable[[str, str], None]
) -> npt.NDArray[np.generic]:
    """The answers in the order of the set, by id where the file has ids."""
    n = len(evaluated)
    if one.ids is None:
        if evaluated.taken is not None and len(one.values) == len(evaluated.taken) != n:
            return one.values[evaluated.taken]
        if len(one.values) != n:
            raise _Unscorable(
                "wrong-length", f"{len(one.values)} predictions for the {n} images of {evaluated.name}"
            )
        return one.values
    if not evaluated.has_ids:
        raise _Unscorable(
            "unknown-ids", f"the predictions are keyed by id, but {evaluated.name} has no ids, only an order"
        )
    position = pd.Index(one.ids)
    if position.has_duplicates:
        raise _Unscorable(
            "repeated-ids",
            f"{int(position.duplicated().sum())} ids come twice, first {position[position.duplicated()][0]!r}",
        )
    at = position.get_indexer(pd.Index(evaluated.images["image_id"].astype(str)))
    unknown = len(position) - len(np.unique(at[at >= 0]))
    if (at < 0).any():
        first = evaluated.images["image_id"].iloc[int(np.argmax(at < 0))]
        raise _Unscorable(
            "missing-ids",
            f"{int((at < 0).sum())} of the {n} images have no prediction, first {first!r}"
            + (f"; {unknown} ids of the file are not in the set" if unknown else ""),
        )
    if unknown:
        known = np.zeros(len(position), dtype=bool)
        known[at] = True
        warn(
            "unknown-ids",
            f"{unknown} ids are not in {evaluated.name}, first {position[~known][0]!r}; they are left out",
        )
    return one.values[at]


def _numbers(
    evaluated: EvaluationSet, one: Predictions, values: npt.NDArray[np.generic], options: ScoreConfig
) -> Ints:
    """Answers as positions in the set's classes; -1 for none, and for a class that a mapping leaves out."""
    names = options.mapping.outputs if options.mapping is not None else evaluated.classes
    if values.dtype.kind in "US":
        position = {name: at for at, name in enumerate(names)}
        numbers = np.array(
            [position.get(str(value), -1) for value in values.ravel()], dtype=np.int64
        ).reshape(values.shape)
        if (numbers < 0).any():
            bad = str(values.ravel()[int(np.argmax(numbers.ravel() < 0))])
            raise _Unscorable(
                "out-of-range", f"{int((numbers < 0).sum())} answers are no class of the set, first {bad!r}"
            )
    else:
        if values.dtype.kind == "f":
            if not np.isfinite(values.astype(np.float64)).all():
                raise _Unscorable(
                    "not-a-number",
                    f"{int((~np.isfinite(values.astype(np.float64))).sum())} answers are missing (NaN)",
                )
            if (values != np.round(values.astype(np.float64))).any():
                raise _Unscorable(
                    "out-of-range",
                    "the answers are fractions, not classes: one score an image cannot be scored",
                )
        numbers = values.astype(np.int64)
        low, high = int(numbers.min()), int(numbers.max())
        if low < (-1 if one.gaps else 0) or high >= len(names):
            wrong = low if low < 0 else high
            raise _Unscorable(
                "out-of-range",
                f"class {wrong} is out of range 0 to {len(names) - 1}{_hint(high + 1, len(names))}",
            )
    if options.mapping is None:
        return numbers
    return np.where(numbers < 0, -1, options.mapping.classes(np.maximum(numbers, 0)))


def _hint(found: int, wanted: int) -> str:
    if found == wanted + 1:
        return ": one too many, so the model likely has a background class first, or counts from 1"
    if found > wanted:
        return ": a model of more classes needs `classes` (its class list), and is scored on this set's"
    return ""
