"""Which columns of a file are a model's answers, which are the truth, and which are neither.

A column that equals the set's classes is never scored in silence: as the truth beside other columns it is left out and
named; where it may be the truth or a perfect model, nothing is guessed. ``columns`` says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.answers import place
from newtest.evaluation.scoring.cautions import Caution, Unscorable
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.groups import Group, groups_in, ranked, scored
from newtest.evaluation.scoring.names import is_answer, is_beside, is_either, is_truth
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.evaluation.scoring.sheets import Sheet
from newtest.evaluation.scoring.truths import Place, find_place

__all__ = ["interpret"]

Columns = Mapping[str, npt.NDArray[Any]]
Found = tuple[list[Predictions], list[str]]
"""The answers, and the names of the columns that were left out."""
_MISPLACED = 0.1
"""Share of rows whose truth column disagrees with the set, above which rows taken by position are refused."""


def interpret(
    sheet: Sheet, evaluated: EvaluationSet, *, columns: Sequence[str] = (), mapping: ClassMap | None = None
) -> tuple[list[Predictions], list[Caution]]:
    """The answers in a sheet and what was left out. ``columns`` names the columns that are answers; else they are told
    by their names and values. A column that cannot be told is a fatal caution.
    """
    where, rest = find_place(sheet, evaluated, mapping)
    cautions: list[Caution] = []

    def say(kind: str, message: str, *, fatal: bool = False) -> None:
        cautions.append(Caution(kind, sheet.source, message, sheet.model, fatal=fatal))

    try:
        found, left_out = (
            (_named(sheet, columns, where), []) if columns else _Reader(sheet, where, say).told(rest)
        )
    except Unscorable as error:
        say(error.kind, str(error), fatal=True)
        return [], cautions
    if left_out:
        read = ", ".join(dict.fromkeys(one.columns for one in found)) or "none"
        say("left-out", f"columns read as answers: {read}; left out: {', '.join(left_out)}")
    keyed = [replace(one, ids=where.ids, key=where.key, open_answers=sheet.open_answers) for one in found]
    return keyed, cautions


def _named(sheet: Sheet, columns: Sequence[str], where: Place) -> list[Predictions]:
    """The columns that were asked for: one group of scores or ranks, or a column per model."""
    wanted = [name for name in columns if name in sheet.columns]
    if not wanted:
        there = ", ".join(sheet.columns) or "none"
        raise Unscorable("no-column", f"no column {columns[0]!r}; there are {there}")
    chosen = {name: sheet.columns[name] for name in wanted}
    groups = groups_in(chosen, where.outputs)
    if len(groups) == 1 and len(groups[0].names) == len(wanted):
        return [_grouped(sheet, groups[0], None, where)]
    alone = len(wanted) == 1 and is_answer(wanted[0])
    return [
        Predictions(_model(sheet, name, alone=alone), sheet.source, "auto", values, columns=name)
        for name, values in chosen.items()
    ]


def _model(sheet: Sheet, column: str, *, alone: bool) -> str:
    if sheet.model:
        return sheet.model
    return sheet.stem if alone else column


def _grouped(sheet: Sheet, group: Group, pair: Group | None, where: Place) -> Predictions:
    said = f"{group.names[0]}..{group.names[-1]}"
    model = _model(sheet, "", alone=True)
    if group.kind == "ranks":
        values = ranked(group, pair)
        said += f", ordered by {pair.names[0]}..{pair.names[-1]}" if pair else ""
        return Predictions(model, sheet.source, "auto" if pair is None else "ranking", values, columns=said)
    values, outputs, by_name = scored(group, where.outputs)
    return Predictions(model, sheet.source, "scores", values, columns=said, outputs=outputs, by_name=by_name)


class _Reader:
    """Tells the columns of one sheet apart."""

    def __init__(self, sheet: Sheet, where: Place, say: Callable[..., None]) -> None:
        self.sheet, self.where, self.say = sheet, where, say

    def told(self, rest: Columns) -> Found:
        groups = groups_in(rest, self.where.outputs)
        ranks = [group for group in groups if group.kind == "ranks"]
        scores = [group for group in groups if group.kind == "scores"]
        grouped = {name for group in groups for name in group.names}
        single = {name: values for name, values in rest.items() if name not in grouped}
        if not groups:
            return self._timm(single) or self._plain(single)
        ranks, unread = self._one_of_two(ranks)
        if len(ranks or scores) > 1:
            said = ", ".join(f"{group.names[0]}..{group.names[-1]}" for group in (ranks or scores))
            raise Unscorable(
                "ambiguous", f"several groups of columns may be the answers ({said}); name one with `columns`"
            )
        chosen = (ranks or scores)[0]
        pair = next((g for g in scores if ranks and len(g.names) == len(chosen.names)), None)
        one = _grouped(self.sheet, chosen, pair, self.where)
        self._check_truth(single)
        unread += [f"{g.names[0]}.." for g in scores if g is not chosen and g is not pair]
        return [one], [*map(_marked, single), *unread]

    def _one_of_two(self, ranks: list[Group]) -> tuple[list[Group], list[str]]:
        """Of timm's index_k and label_k, the labels where they are the set's classes; and what is not read."""
        known = {group.names[0].rstrip("0123456789_"): group for group in ranks}
        if set(known) != {"index", "label"}:
            return ranks, []
        kept = "label" if self._are_named(ranked(known["label"], None)) else "index"
        return [known[kept]], [f"{group.names[0]}.." for name, group in known.items() if name != kept]

    def _are_named(self, values: npt.NDArray[Any]) -> bool:
        """Whether every cell is a class by name."""
        try:
            place(values, self.where.classes, "name")
        except Unscorable:
            return False
        return True

    def _timm(self, single: Columns) -> Found | None:
        """timm's ``inference.py``: ``index`` and ``label`` are the best classes, ``prob`` or ``logit`` their scores."""
        sure = next((name for name in ("prob", "logit") if name in single), None)
        if sure is None or not set(single) <= {"index", "label", "prob", "logit"}:
            return None
        model = _model(self.sheet, "", alone=True)
        said = next((name for name in ("index", "label") if name in single), None)
        if said == "index" and "label" in single and self._are_named(single["label"]):
            said = "label"
        if said is None:
            if single[sure].ndim < 2:
                return None
            one = Predictions(model, self.sheet.source, "scores", single[sure], columns=sure)
            return [one], [name for name in single if name != sure]
        values = single[said]
        if values.shape != single[sure].shape:
            return None
        if said == "label" and "index" not in single:
            self._without_equal({said: values})
        kind = "labels" if values.ndim == 1 else "ranking"
        one = Predictions(model, self.sheet.source, kind, values, columns=said)  # type: ignore[arg-type]
        return [one], [name for name in single if name != said]

    def _plain(self, single: Columns) -> Found:
        """One model's answers under a name that says so; else a column per model, without the truth."""
        answers = {name: values for name, values in single.items() if is_answer(name)}
        others = {name: values for name, values in single.items() if name not in answers}
        left_out: list[str] = []
        if any(is_either(name) and self.where.equals(answers[name]) for name in answers):
            # "answer" is the truth in many data sets: beside a column that may be a model's, nobody can tell.
            beside = {
                name: values
                for name, values in others.items()
                if not is_truth(name) and not is_beside(name) and self._are_classes(values)
            }
            if beside or len(answers) > 1:
                answers = self._without_equal({**answers, **beside})
                others = {name: values for name, values in others.items() if name not in answers}
        if not answers:
            answers = {
                name: values
                for name, values in single.items()
                if values.ndim == 2 or (not is_beside(name) and self._are_classes(values))
            }
            left_out = [name for name in single if name not in answers and not is_truth(name)]
            others = {
                name: values for name, values in others.items() if name not in answers and is_truth(name)
            }
            if not answers and len(single) == 1:  # its own sentence says what is wrong with it
                answers, left_out, others = dict(single), [], {}
            truths = [name for name in answers if is_truth(name)]
            if len(answers) == len(truths):  # label and target: the one that is the set's is the truth
                truths = [name for name in truths if self.where.equals(answers[name])]
            if len(answers) > len(truths):
                others |= {name: answers.pop(name) for name in truths}
            answers = self._without_equal(answers)
        self._check_truth(others)
        if not answers:
            raise Unscorable(
                "no-column", f"no column of answers among {', '.join(self.sheet.columns) or 'none'}"
            )
        alone = all(is_answer(name) or is_truth(name) for name in answers)
        found = [
            Predictions(
                _model(self.sheet, name, alone=alone),
                self.sheet.source,
                "auto",
                values,
                columns=self._said(name),
            )
            for name, values in answers.items()
        ]
        return found, [*left_out, *map(_marked, others)]

    def _without_equal(self, answers: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Without the columns that equal the set's classes everywhere, where they may be the truth."""
        equal = [name for name, values in answers.items() if self.where.equals(values)]
        may = "the set's classes for every image: it may be the truth or a model that is always right"
        if equal and len(equal) == len(answers) and all(map(is_truth, equal)):
            raise Unscorable(
                "truth", f"column {equal[0]!r} equals {may}; if it is a model's, name it with `columns`"
            )
        if 0 < len(equal) < len(answers):
            for name in equal:
                answers.pop(name)
                self.say(
                    "truth",
                    f"column {name!r} equals {may}, and is not scored; name the models' columns with `columns`",
                    fatal=True,
                )
        return answers

    def _said(self, column: str) -> str:
        only = list(self.sheet.columns) == [self.sheet.stem] == [column]
        return "the array" if only else column

    def _are_classes(self, values: npt.NDArray[Any]) -> bool:
        """Whether cells may be classes: a column of words or fractions beside the answers is not."""
        if values.dtype.kind == "b":
            return False
        if values.dtype.kind == "f":
            finite = values[np.isfinite(values)]
            return bool(len(finite)) and bool((finite == np.round(finite)).all())
        if values.dtype.kind in "iu":
            return True
        some = np.array([value for value in values.ravel() if value is not None], dtype=object)
        if not len(some):
            return False
        try:
            place(some, self.where.classes, strict=False)
        except Unscorable as error:
            return error.kind == "ambiguous" or all(str(value).lstrip("-").isdigit() for value in some)
        return True

    def _check_truth(self, others: Columns) -> None:
        """The truth of a file must be the set's. Raises Unscorable where rows by position contradict it."""
        for name in filter(is_truth, others):
            wrong = self.where.differing(others[name])
            if not wrong:
                continue
            n = len(self.where.evaluated)
            said = f"column {name!r} differs from the set's classes for {wrong} of {n} images"
            if self.where.ids is None and wrong > _MISPLACED * n:
                raise Unscorable(
                    "misplaced",
                    f"{said}, and the rows have no ids: they are in another order than the set's, or of another set; "
                    "if that column is not the truth, name the answers with `columns`",
                )
            self.say("truth-differs", f"{said}; the set's classes count")


def _marked(name: str) -> str:
    return f"{name} (the truth)" if is_truth(name) else name
