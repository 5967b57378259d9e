"""Scoring: predictions and a set become k of n, the correctness of each image, and cautions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution, Unscorable
from newtest.evaluation.scoring.classmap import ClassMap, class_map
from newtest.evaluation.scoring.compared import (
    Among,
    Answers,
    ScoreConfig,
    Warn,
    of_labels,
    of_ranking,
    of_scores,
)
from newtest.evaluation.scoring.guards import at_chance, permuted
from newtest.evaluation.scoring.keys import BY_POSITION, Rows, rows_by_id, rows_by_position
from newtest.evaluation.scoring.kinds import Kind, decide, one_hot
from newtest.evaluation.scoring.metrics import mean_per_class, several
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["Among", "Score", "ScoreConfig", "score"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """One model on one set: ``k`` of ``n`` images right, and which; and how its predictions were read."""

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
    among: Among = "all"
    """Whether the answers were compared among the set's classes or among all of the model's."""
    given_k: int | None = None
    """Of a set with several labels per image: right by the one class that the set gives; ``k`` is right by any."""
    single_k: int | None = None
    single_n: int | None = None
    """Of its images with one label: right by it, and how many these are."""
    given_correct: npt.NDArray[np.bool_] | None = field(default=None, repr=False)
    columns: str = ""
    key: str = ""
    kind: str = ""
    """labels, ranking, scores, or one-hot rows."""
    class_rule: str = ""
    warning: str = ""
    """Why the number is likely wrong, where a guard of ``evaluate`` says so."""

    def to_json(self) -> dict[str, Any]:
        """A row of the results: everything but the images."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.endswith("correct")}
        return {**row, "accuracy": 100 * self.k / self.n}


def score(
    evaluated: EvaluationSet, predictions: Sequence[Predictions], options: ScoreConfig | None = None
) -> tuple[list[Score], list[Caution]]:
    """Score every model; one that cannot be scored is a fatal caution, not an exception, and the others go on."""
    options = options or ScoreConfig()
    set_hash = evaluated.hash
    scores: list[Score] = []
    aligned = Aligned(evaluated)
    chosen, cautions = _one_a_model(aligned, predictions)
    for one in chosen:

        def warn(kind: str, message: str, one: Predictions = one) -> None:
            cautions.append(Caution(kind, one.source, message, one.model))

        try:
            scores += _score(aligned, set_hash, one, options, warn)
        except Unscorable as error:
            cautions.append(Caution(error.kind, one.source, str(error), one.model, fatal=True))
    return scores, cautions


def _one_a_model(
    aligned: Aligned, predictions: Sequence[Predictions]
) -> tuple[list[Predictions], list[Caution]]:
    """The richest predictions of each name: two that agree are one. Of two that do not, the first counts where they are
    in two files; in one file nobody can tell which is meant, and neither counts.
    """
    chosen: dict[tuple[str, bool], Predictions] = {}
    refused: set[str] = set()
    cautions = []
    for one in predictions:
        name = (one.model, one.among_set)
        before = chosen.get(name)
        if before is None:
            chosen[name] = one
        elif _agree(aligned, before, one):
            if before.values.ndim == 1 or (one.kind == "scores" and before.kind != "scores"):
                chosen[name] = one
        elif before.source == one.source and before.columns != one.columns:
            message = (
                f"columns {before.columns} and {one.columns} give different answers; name one with `columns`"
            )
            cautions.append(Caution("ambiguous", one.source, message, one.model, fatal=True))
            refused.add(one.model)
        else:
            message = (
                f"the name is also in {before.source}, with other answers; the first is used: rename one"
            )
            cautions.append(Caution("duplicate-model", one.source, message, one.model))
    return [one for one in chosen.values() if one.model not in refused], cautions


def _agree(aligned: Aligned, one: Predictions, other: Predictions) -> bool:
    try:
        tops = [first_answers(aligned, p) for p in (one, other)]
    except Unscorable:
        return False
    return bool(np.array_equal(tops[0].astype(str), tops[1].astype(str)))


def first_answers(aligned: Aligned, one: Predictions) -> npt.NDArray[Any]:
    """The best answer per image, in the set's order, without its meaning."""
    values = one.values[aligned.rows(one).at]
    if values.ndim == 1:
        return values
    kind = decide(values, len(aligned.evaluated.classes)) if one.kind == "auto" else one.kind
    return values[:, 0] if kind == "ranking" else np.asarray(values.astype(np.float64).argmax(axis=1))


class Aligned:
    """Rows of predictions in the set's order; the many models of one file share their ids, which are looked up once."""

    def __init__(self, evaluated: EvaluationSet) -> None:
        self.evaluated = evaluated
        self._known: list[tuple[npt.NDArray[np.str_], Rows]] = []

    def rows(self, one: Predictions) -> Rows:
        """Raises Unscorable where they do not fit the set."""
        if one.ids is None:
            return rows_by_position(self.evaluated, len(one.values))
        for ids, rows in self._known:
            if ids is one.ids:
                return rows
        rows = rows_by_id(self.evaluated, one.ids)
        self._known.append((one.ids, rows))
        return rows


def _score(
    aligned: Aligned, set_hash: str, one: Predictions, options: ScoreConfig, warn: Warn
) -> list[Score]:
    evaluated, rows = aligned.evaluated, aligned.rows(one)
    if rows.unknown:
        said = f"{len(rows.unknown)} ids are not in {evaluated.name}, first {rows.unknown[0]!r}"
        warn("unknown-ids", f"{said}; they are left out")
    mapping = options.mapping
    if one.outputs is not None:
        try:
            mapping = class_map(one.outputs, evaluated.classes)
        except EvaluationError as error:
            raise Unscorable("wrong-classes", str(error)) from None
    values = one.values[rows.at]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    kind, said = _kind(one, values, len(evaluated.classes if mapping is None else mapping.outputs), options)
    if kind == "scores":
        answers = of_scores(evaluated, one, values.astype(np.float64), mapping, options)
    elif kind == "ranking":
        answers = [of_ranking(evaluated, one, values, mapping, options, warn)]
    else:
        answers = [of_labels(evaluated, one, values, mapping, options)]
    key = one.key or (BY_POSITION if one.ids is None else "ids")
    return [
        _counted(evaluated, set_hash, one, found, warn, key=key, kind=said, mapping=mapping)
        for found in answers
    ]


def _kind(one: Predictions, values: npt.NDArray[Any], count: int, options: ScoreConfig) -> tuple[Kind, str]:
    if values.ndim == 1:
        return "labels", "labels"
    kind: Kind = decide(values, count, options.kind) if one.kind in ("auto", "labels") else one.kind  # type: ignore[assignment]
    if kind == "scores" and values.dtype.kind == "O":
        raise Unscorable("not-a-number", "the scores are text")
    if kind == "scores" and values.shape[1] == count and one_hot(values):
        return kind, "one-hot rows"
    return kind, kind


def _counted(
    evaluated: EvaluationSet,
    set_hash: str,
    one: Predictions,
    answers: Answers,
    warn: Warn,
    *,
    key: str,
    kind: str,
    mapping: ClassMap | None,
) -> Score:
    labels, n, num_classes = evaluated.labels, len(evaluated), len(evaluated.classes)
    correct = evaluated.agree(answers.top1)
    k = int(correct.sum())
    outside = int((answers.top1 < 0).sum())
    if outside and not one.gaps:
        warn(
            "other-classes",
            f"{outside} answers are classes that the set has not, and count as wrong"
            + (
                ""
                if kind == "scores"
                else "; scores in place of answers can be compared among the set's classes alone"
            ),
        )
    if message := permuted(np.maximum(answers.top1, 0), labels, num_classes):
        warn("permuted", message)
    elif message := at_chance(
        k,
        n,
        num_classes,
        by_position=key == BY_POSITION and not one.among_set and not one.gaps,
        by_number=answers.how == "by number" and not one.gaps,
    ):
        warn("chance", message)
    more = several(evaluated, answers.top1, correct) if evaluated.has_several else {}
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
        mean_per_class=100 * mean_per_class(correct, evaluated.own),
        map11=answers.map11,
        among=answers.among,
        columns=one.columns,
        key="the set itself" if one.gaps else key,
        kind=kind,
        class_rule=f"{answers.how}; {_among_words(evaluated, answers.among, mapping)}",
        **more,
    )


def _among_words(evaluated: EvaluationSet, among: Among, mapping: ClassMap | None) -> str:
    if mapping is None:
        return f"among all {len(evaluated.classes)} classes"
    outputs, inside = len(mapping.outputs), int(mapping.looked_at.sum())
    words = (
        f"among all {outputs} classes" if among == "all" else f"among the set's {inside} of {outputs} classes"
    )
    return words + (f", taken to {len(mapping.inputs)}" if mapping.merges else "")
