"""``newtest evaluate``: find the set, read predictions or run models, score, keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from newtest.errors import EvaluationError
from newtest.evaluation.cautions import Caution
from newtest.evaluation.classmap import ClassMap, class_map, read_class_map, restrict
from newtest.evaluation.models import ModelOptions, run_model
from newtest.evaluation.predictions import Predictions, read_predictions
from newtest.evaluation.results import read_frame
from newtest.evaluation.score import Score, ScoreOptions, score
from newtest.evaluation.sets import EvaluationSet, make_set, read_classes, read_set
from newtest.evaluation.store import set_folder, write_scores

__all__ = ["EvaluateOptions", "Outcome", "evaluate", "find_set"]


@dataclass(frozen=True)
class EvaluateOptions:
    """What to score on a set, and where results go (``out``; else ``results/`` of the study, else of the
    current folder).
    """

    predictions: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    name: str | None = None
    classes: Path | None = None
    """The model's classes in the order of its outputs."""
    class_map: Path | None = None
    reversed_models: tuple[str, ...] = ()
    groups: Path | None = None
    model: ModelOptions = field(default_factory=ModelOptions)
    study: Path = Path()
    out: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What was scored, what looked wrong, and the folder that keeps it (None when nothing could be scored)."""

    scores: tuple[Score, ...]
    cautions: tuple[Caution, ...]
    folder: Path | None


Advance = Callable[[str, int, int], None]
"""Told (model, images in all, images done since the last call) while a model runs."""


def evaluate(which: str, options: EvaluateOptions, advance: Advance) -> Outcome:
    """Score everything on one set and keep the results. A file or model that cannot be scored is a fatal caution.

    Raises EvaluationError when the set, the class list or the class map cannot be had.
    """
    evaluated, mapping = _mapped(which, options)
    root = options.out or (options.study / "results")
    cautions: list[Caution] = []
    answers: list[Predictions] = []
    for path in options.predictions:
        try:
            answers += read_predictions(path)
        except EvaluationError as error:
            cautions.append(Caution("unreadable", path.name, str(error), fatal=True))
    folder = set_folder(root, evaluated)
    for name in options.models:
        try:
            found, broken = run_model(
                name, evaluated, options.model, folder, partial(advance, name, len(evaluated))
            )
        except EvaluationError as error:
            cautions.append(Caution("model", evaluated.name, str(error), name, fatal=True))
            continue
        answers.append(found)
        if broken:
            message = f"{len(broken)} images could not be read and count as wrong, first {broken[0]}"
            cautions.append(Caution("unreadable-images", evaluated.name, message, name, fatal=True))
    scores, found_wrong = score(evaluated, answers, ScoreOptions(options.reversed_models, mapping))
    groups = _groups(options.groups)
    if scores:
        write_scores(root, evaluated, scores, groups=groups)
    return Outcome(tuple(scores), (*cautions, *found_wrong), folder if scores else None)


def find_set(
    which: str, study: Path, name: str | None = None, classes: tuple[str, ...] | None = None
) -> EvaluationSet:
    """A set by its path, or by the name of a revision or reference of the study. Raises EvaluationError, StudyError."""
    path = Path(which)
    if path.exists():
        return read_set(path, name=name, classes=classes)
    if not (study / "study.sqlite").exists():
        raise EvaluationError(
            f"{which}: no such file or folder, and no study to look for a revision of that name (--study DIR)"
        )
    from newtest.catalog.evaluation import members
    from newtest.study import Study

    with Study(study) as opened:
        frame = members(opened.catalog, which)
        frame["path"] = [str(opened.image_path(sha)) if sha else "" for sha in frame.pop("sha256")]
    return make_set(frame, name or which, source=f"{study}: {which}", classes=classes)


def _mapped(which: str, options: EvaluateOptions) -> tuple[EvaluationSet, ClassMap | None]:
    outputs = read_classes(options.classes) if options.classes else None
    evaluated = find_set(which, options.study, options.name)
    if options.class_map is not None:
        names = read_class_map(options.class_map)
        kept = tuple(sorted(set(names.values())))
        before = evaluated.classes
        if not set(before) <= set(kept):
            evaluated = restrict(evaluated, names, kept)
        return evaluated, class_map(outputs or before, evaluated.classes, names)
    if outputs is None or outputs == evaluated.classes:
        return evaluated, None
    if set(outputs) == set(evaluated.classes):
        return find_set(which, options.study, options.name, outputs), None
    return evaluated, class_map(outputs, evaluated.classes)


def _groups(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    frame = read_frame(path)
    column = "type" if "type" in frame.columns else "group"
    if "model" not in frame.columns or column not in frame.columns:
        raise EvaluationError(f"{path}: a table of groups has the columns 'model' and 'type' (or 'group')")
    return dict(
        zip(frame["model"].astype(str), frame[column].astype(object).fillna("").astype(str), strict=True)
    )
