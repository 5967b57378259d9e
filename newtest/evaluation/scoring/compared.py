"""Answers compared with the set: scores, rankings and labels become the best class of each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.answers import AnswerRule, Classes, place, too_many
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.guards import stored_backwards
from newtest.evaluation.scoring.kinds import KindRule, decide
from newtest.evaluation.scoring.metrics import average_precision_11, rank_of_truth
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet

__all__ = ["Among", "Answers", "ScoreConfig", "Warn", "best_classes", "of_labels", "of_ranking", "of_scores"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Warn = Callable[[str, str], None]
Among = Literal["set", "all"]


@dataclass(frozen=True)
class ScoreConfig:
    """How predictions are read. ``mapping`` takes a model's classes to the set's; None means they are the same."""

    reversed_models: tuple[str, ...] = ()
    """Models whose ranking is stored worst first."""
    mapping: ClassMap | None = None
    answers: AnswerRule = "auto"
    """Whether answers that could be either are names or numbers of classes."""
    kind: KindRule = "auto"
    """Whether tables of numbers that could be either are rankings or scores."""
    among: Literal["auto", "set", "all", "both"] = "auto"
    """Of a model with more classes than the set: its best among the set's classes, or among all of its own.

    auto: among the set's where scores allow it, else among all (an answer that is not a class of the set is wrong).
    """


@dataclass(frozen=True)
class Answers:
    """A model's best class an image, (N,), -1 for none of the set's, and what its form allows beside it."""

    top1: Ints
    how: str
    among: Among
    top5_k: int | None = None
    map11: float | None = None


def of_scores(
    evaluated: EvaluationSet,
    one: Predictions,
    table: Floats,
    mapping: ClassMap | None,
    options: ScoreConfig,
) -> list[Answers]:
    holes = int(np.isnan(table).any(axis=1).sum())
    if holes:
        raise Unscorable("not-a-number", f"{holes} rows of scores hold NaN")
    width = len(evaluated.classes if mapping is None else mapping.outputs)
    if table.shape[1] != width:
        raise Unscorable(
            "wrong-classes",
            f"{table.shape[1]} scores per image for {width} classes{too_many(table.shape[1], width)}",
        )
    how = "by name" if one.by_name else "by number"
    if not one.by_name:
        _check_order(table)
    if mapping is None or bool(mapping.looked_at.all()):
        return [_compared(evaluated, table if mapping is None else mapping.scores(table), "all", how)]
    found = []
    inside = _compared(evaluated, mapping.scores(table), "set", how)
    if options.among in ("auto", "set", "both"):
        found.append(inside)
    if options.among in ("all", "both"):
        best = mapping.classes(table.argmax(axis=1))
        found.append(Answers(best, how, "all"))
    return found


def _check_order(table: Floats) -> None:
    """Scores that fall from left to right in every row are the best few in order, and not a column per class."""
    if len(table) >= 8 and table.shape[1] >= 3 and bool((table[:, 1:] <= table[:, :-1]).all()):
        if bool((table == table[:, :1]).all()):
            return
        raise Unscorable(
            "ambiguous",
            "the scores fall from left to right in every row: they are likely those of the best answers in order, "
            "not of the classes; give the answers, too",
        )


def _compared(evaluated: EvaluationSet, table: Floats, among: Among, how: str) -> Answers:
    five = table.shape[1] > 5
    ranks = np.stack([rank_of_truth(table, truth) for truth in evaluated.truths()], axis=1).min(axis=1)
    top5 = int((ranks < 5).sum()) if five else None
    ap = 100 * average_precision_11(table, np.stack(evaluated.truths(), axis=1))
    return Answers(table.argmax(axis=1), how, among, top5, ap)


def of_ranking(
    evaluated: EvaluationSet,
    one: Predictions,
    values: npt.NDArray[Any],
    mapping: ClassMap | None,
    options: ScoreConfig,
    warn: Warn,
) -> Answers:
    ranking, how = _positions(evaluated, one, values, mapping, options)
    ranking = ranking[:, ::-1] if one.model in options.reversed_models else ranking
    if message := stored_backwards(ranking, evaluated.labels):
        warn("reversed", message)
    # Five outputs may be fewer than five classes where a map merges some.
    five = ranking.shape[1] >= 5 and not (mapping is not None and mapping.merges)
    hits = int(evaluated.agree(ranking[:, :5]).any(axis=1).sum())
    return Answers(ranking[:, 0], how, _among(one, mapping, options), hits if five else None)


def of_labels(
    evaluated: EvaluationSet,
    one: Predictions,
    values: npt.NDArray[Any],
    mapping: ClassMap | None,
    options: ScoreConfig,
) -> Answers:
    top1, how = _positions(evaluated, one, values, mapping, options)
    return Answers(top1, how, _among(one, mapping, options))


def _among(one: Predictions, mapping: ClassMap | None, options: ScoreConfig) -> Among:
    """Answers alone have no second choice: they are among all of the model's classes."""
    if one.among_set:
        return "set"
    if options.among == "set" and mapping is not None and not bool(mapping.looked_at.all()):
        raise Unscorable(
            "among", "answers alone cannot be compared among the set's classes; give scores, or `among` all"
        )
    return "all"


def _positions(
    evaluated: EvaluationSet,
    one: Predictions,
    values: npt.NDArray[Any],
    mapping: ClassMap | None,
    options: ScoreConfig,
) -> tuple[Ints, str]:
    """Answers as positions in the set's classes; -1 for none, and for a class that a mapping leaves out."""
    if values.dtype.kind == "b":
        raise Unscorable("out-of-range", "the answers are true and false, not classes")
    classes = Classes(evaluated.classes) if mapping is None else Classes(mapping.outputs, mapping.extra)
    placed = place(values, classes, options.answers, strict=not one.open_answers, gaps=one.gaps)
    if mapping is None:
        return placed.at, placed.how
    return np.where(placed.at < 0, -1, mapping.classes(np.maximum(placed.at, 0))), placed.how


def best_classes(
    evaluated: EvaluationSet,
    one: Predictions,
    values: npt.NDArray[Any],
    mapping: ClassMap | None,
    options: ScoreConfig,
    top: int,
) -> Ints:
    """A model's best answers of each image as positions in its own classes, (N, up to ``top``), -1 for none; best
    first. Raises Unscorable.
    """
    classes = Classes(evaluated.classes) if mapping is None else Classes(mapping.outputs, mapping.extra)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    kind = "labels" if values.ndim == 1 else one.kind
    if kind in ("auto", "labels") and values.ndim == 2:
        kind = decide(values, len(classes.names), options.kind)
    if kind == "scores":
        table = values.astype(np.float64)
        if table.shape[1] != len(classes.names):
            raise Unscorable(
                "wrong-classes", f"{table.shape[1]} scores per image for {len(classes.names)} classes"
            )
        return np.argsort(-table, axis=1, kind="stable")[:, :top].astype(np.int64)
    cells = values[:, None] if values.ndim == 1 else values[:, :top]
    return place(cells, classes, options.answers, strict=not one.open_answers, gaps=one.gaps).at
