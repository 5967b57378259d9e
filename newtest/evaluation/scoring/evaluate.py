"""``newtest evaluate``: find the set, read predictions or run models, score, keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.cautions import Caution, unreadable
from newtest.evaluation.scoring.classmap import ClassMap, class_map, read_class_map, restrict
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.models import ModelConfig, run_model
from newtest.evaluation.scoring.predictions import Predictions, read_predictions
from newtest.evaluation.scoring.score import Score, ScoreConfig, score
from newtest.evaluation.scoring.sets import EvaluationSet, find_set, read_classes
from newtest.evaluation.scoring.store import set_folder, write_scores
from newtest.evaluation.scoring.zeroshot import ZeroShotConfig, classify
from newtest.progress import UNWATCHED, Progress

__all__ = ["EvaluateConfig", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class EvaluateConfig:
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
    class_names: Path | None = None
    """The classes in words, for ``open_clip:`` models; see ``newtest.evaluation.scoring.class_names``."""
    model: ModelConfig = field(default_factory=ModelConfig)
    study: Path = Path()
    out: Path | None = None

    @property
    def root(self) -> Path:
        """The folder of results."""
        return self.out or (self.study / "results")


@dataclass(frozen=True)
class Evaluation:
    """What was scored, what looked wrong, and the folder that keeps it (None when nothing could be scored)."""

    scores: tuple[Score, ...]
    cautions: tuple[Caution, ...]
    folder: Path | None


"""Told (what runs, how many in all, done since the last call) while a model runs."""
_ZERO_SHOT = "open_clip:"


def evaluate(which: str, options: EvaluateConfig, progress: Progress = UNWATCHED) -> Evaluation:
    """Score everything on one set and keep the results. A file or model that cannot be scored is a fatal caution.

    Raises EvaluationError when the set, the class list or the class map cannot be had.
    """
    evaluated, mapping = _mapped(which, options)
    cautions: list[Caution] = []
    answers: list[Predictions] = []
    for path in options.predictions:
        try:
            answers += read_predictions(path)
        except EvaluationError as error:
            cautions.append(Caution("unreadable", path.name, str(error), fatal=True))
    groups: dict[str, str] = {}
    for name in options.models:
        try:
            if name.startswith(_ZERO_SHOT):
                found, wrong = _zero_shot(name, evaluated, mapping, options, progress)
                groups[found.model] = ZeroShotConfig.group
            else:
                found, wrong = _classifier(name, evaluated, mapping, options, progress)
        except EvaluationError as error:
            cautions.append(Caution("model", evaluated.name, str(error), name, fatal=True))
            continue
        answers.append(found)
        cautions += wrong
    scores, found_wrong = score(evaluated, answers, ScoreConfig(options.reversed_models, mapping))
    groups |= _groups(options.groups)
    folder = write_scores(options.root, evaluated, scores, groups=groups) if scores else None
    return Evaluation(tuple(scores), (*cautions, *found_wrong), folder)


def _classifier(
    name: str,
    evaluated: EvaluationSet,
    mapping: ClassMap | None,
    options: EvaluateConfig,
    progress: Progress,
) -> tuple[Predictions, list[Caution]]:
    folder = set_folder(options.root, evaluated)
    found, broken = run_model(
        name, evaluated, options.model, folder, progress, None if mapping is None else mapping.looked_at
    )
    return found, [unreadable(evaluated.name, broken, found.model)] if broken else []


def _zero_shot(
    name: str,
    evaluated: EvaluationSet,
    mapping: ClassMap | None,
    options: EvaluateConfig,
    progress: Progress,
) -> tuple[Predictions, list[Caution]]:
    """``newtest zeroshot`` for a model named as ``evaluate`` names it: the same answers, and the same row."""
    known = evaluated.classes if mapping is None else mapping.outputs
    looked_at = np.arange(len(known)) if mapping is None else np.flatnonzero(mapping.looked_at)
    model, weights = name.removeprefix(_ZERO_SHOT), options.model.weights
    if weights is not None:
        model = f"{model}@{weights}"  # in the configuration of the tag, where one is named
    elif not model.strip("/") or not set("/@:") & set(model.rstrip("/")):
        raise UsageError(
            f"`model` {name}: name its weights, open_clip:ARCH/TAG, or give a file with `weights`"
        )
    zero_shot = ZeroShotConfig(
        model=model,
        names=options.class_names,
        batch_size=options.model.batch_size,
        precision=options.model.precision,
        device=options.model.device,
    )

    try:
        found = classify(evaluated, [known[at] for at in looked_at], zero_shot, progress)
    except UsageError as error:  # another model may be well
        raise EvaluationError(
            f"`model` {name}: {error}; without a network give a file with `weights`"
        ) from error
    ranking = found.answers.values
    answers = replace(found.answers, values=np.where(ranking < 0, -1, looked_at[ranking]))
    wrong = [Caution(one.kind, evaluated.name, one.message, answers.model) for one in found.findings]
    return answers, wrong + (
        [unreadable(evaluated.name, found.broken, answers.model)] if found.broken else []
    )


def _mapped(which: str, options: EvaluateConfig) -> tuple[EvaluationSet, ClassMap | None]:
    outputs = read_classes(options.classes) if options.classes else None
    evaluated = find_set(which, options.study, options.name)
    if options.class_map is not None:
        names = read_class_map(options.class_map)
        kept = tuple(sorted(set(names.values())))
        before = evaluated.classes
        # A set that lacks images of some class is still scored among all of them, as the other sets are.
        evaluated = (
            find_set(which, options.study, options.name, kept)
            if set(before) <= set(kept)
            else restrict(evaluated, names, kept)
        )
        return evaluated, class_map(outputs or before, kept, names)
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
