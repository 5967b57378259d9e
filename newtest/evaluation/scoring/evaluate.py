"""``newtest evaluate``: find the set, read predictions or run models, score, keep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from newtest.clip.loading import PREFIX, names_an_encoder
from newtest.engines import Engine
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.answers import AnswerRule
from newtest.evaluation.scoring.cautions import Caution, doubts
from newtest.evaluation.scoring.class_lists import read_classes
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.kinds import KindRule
from newtest.evaluation.scoring.labels import with_labels
from newtest.evaluation.scoring.mapped import Unreachable, mapped
from newtest.evaluation.scoring.models import Answer, Asked, ModelConfig, run_models
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.reading import read_predictions
from newtest.evaluation.scoring.score import Score, ScoreConfig, score
from newtest.evaluation.scoring.set_forms import OPEN_LABELS
from newtest.evaluation.scoring.sets import EvaluationSet, find_set
from newtest.evaluation.scoring.store import set_folder, write_scores
from newtest.evaluation.scoring.unreadable_images import unreadable
from newtest.evaluation.scoring.zeroshot import ZeroShotConfig, classify
from newtest.outputs import mark_folder
from newtest.progress import UNWATCHED, Progress
from newtest.reading.separated import it_has
from newtest.sets import Census

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
    labels: Path | None = None
    """Several valid labels per image, any of which is right; see ``newtest.evaluation.scoring.labels``."""
    reversed_models: tuple[str, ...] = ()
    groups: Path | None = None
    class_names: Path | None = None
    """The classes in words, for ``open_clip:`` models; see ``newtest.evaluation.scoring.class_names``."""
    columns: tuple[str, ...] = ()
    """The columns of prediction files that are models' answers; none: told by their names and values."""
    answers: AnswerRule = "auto"
    kind: KindRule = "auto"
    among: Literal["auto", "set", "all", "both"] = "auto"
    """See ``ScoreConfig``."""
    unreachable: Unreachable = "auto"
    """Images of classes that no output of the model can mean: wrong, or left-out."""
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
    census: Census | None = None
    """Of a folder: its files, images and what was left out."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per model: model, set, k, n, accuracy (percent), and how the predictions were read."""
        return pd.DataFrame([score.to_json() for score in self.scores])


def _labelled(found: EvaluationSet, options: EvaluateConfig) -> tuple[EvaluationSet, str]:
    """The set with the further labels that were given for it, and how they were found."""
    if options.labels is None:
        return found, ""
    outputs = read_classes(options.classes, found.classes) if options.classes else None
    made, how = with_labels(found, options.labels, outputs=outputs, rule=options.answers)
    if options.name is None:
        made = replace(made, name=f"{made.name} ({options.labels.name.split('.')[0]})")
    return made, f"{options.labels}: {how}; {int((made.counts > 1).sum())} images have several labels"


def evaluate(
    which: str,
    options: EvaluateConfig,
    progress: Progress = UNWATCHED,
    *,
    engine: Engine | None = None,
    workers: int = 0,
) -> Evaluation:
    """Score everything on one set and keep the results. A file or model that cannot be scored is a fatal caution.

    Classifiers run in this process, or in the ``workers`` of an ``engine``.

    Raises EvaluationError when the set, the class list or the class map cannot be had.
    """
    if options.model.like is not None and not any(map(names_an_encoder, options.models)):
        raise UsageError(
            "`like` is for checkpoints of open_clip's models: `model` open_clip:MODEL@CHECKPOINT"
        )
    found_set = find_set(which, options.study, options.name)
    if found_set.census is not None:
        progress.say(f"{which}: {found_set.census.says()}")
    labelled, said = _labelled(found_set, options)
    whole = mapped(
        labelled,
        classes=options.classes,
        class_map_file=options.class_map,
        unreachable=options.unreachable,
    )
    evaluated, mapping = whole.evaluated, whole.mapping
    cautions: list[Caution] = list(whole.cautions)
    if said:
        progress.say(said)
    if evaluated.unlabelled:
        said = f"{evaluated.unlabelled} images have no true class and are left out"
        cautions.append(Caution("unlabelled", evaluated.name, said))
    if OPEN_LABELS in evaluated.images.columns and (left := int((evaluated.images[OPEN_LABELS] > 0).sum())):
        said = f"{left} images have proposed second labels without enough votes; these count as not shown"
        cautions.append(Caution("second-labels", evaluated.name, said))
    answers: list[Predictions] = []
    for path in options.predictions:
        try:
            read, said_of = read_predictions(path, evaluated, columns=options.columns, mapping=mapping)
            answers += read
            cautions += said_of
        except EvaluationError as error:
            cautions.append(Caution("unreadable", path.name, str(error), fatal=True))
    groups: dict[str, str] = {}
    ran = _classifiers(evaluated, mapping, options, progress, engine, workers)
    for name, among in product(options.models, _measures(options, mapping)):
        inside = mapping is not None and among == "set"
        try:
            if names_an_encoder(name):
                found, wrong = _zero_shot(name, evaluated, mapping, options, progress, inside=inside)
                groups[found.model] = ZeroShotConfig.group
            else:
                found, broken = _told(ran[name, inside])
                wrong = [unreadable(evaluated, broken, found.model)] if broken else []
        except EvaluationError as error:
            cautions.append(Caution("model", evaluated.name, str(error), name, fatal=True))
            continue
        answers.append(replace(found, among_set=inside))
        cautions += wrong
    how = ScoreConfig(options.reversed_models, mapping, options.answers, options.kind, options.among)
    scores, found_wrong = score(evaluated, answers, how)
    groups |= _groups(options.groups)
    cautions += found_wrong
    scores = [replace(one, warning=doubts(one.model, cautions)) for one in scores]
    folder = write_scores(options.root, evaluated, scores, groups=groups) if scores else None
    return Evaluation(tuple(scores), tuple(cautions), folder, found_set.census)


def _measures(options: EvaluateConfig, mapping: ClassMap | None) -> tuple[str, ...]:
    """A model that runs here is asked among the set's classes, unless told otherwise, or where it has no others."""
    if mapping is None or bool(mapping.looked_at.all()):
        return ("all",)
    return {"auto": ("set",), "both": ("set", "all")}.get(options.among, (options.among,))


def _classifiers(
    evaluated: EvaluationSet,
    mapping: ClassMap | None,
    options: EvaluateConfig,
    progress: Progress,
    engine: Engine | None,
    workers: int,
) -> dict[tuple[str, bool], Answer | EvaluationError]:
    """The answers of all classifiers, by name and whether they were asked among the set's classes."""
    asked = {
        (name, mapping is not None and among == "set"): Asked(
            name,
            mapping.looked_at if mapping is not None and among == "set" else None,
            len(evaluated.classes if mapping is None else mapping.outputs),
        )
        for name, among in product(options.models, _measures(options, mapping))
        if not names_an_encoder(name)
    }
    if not asked:
        return {}
    folder = mark_folder(set_folder(options.root, evaluated))
    answers = run_models(list(asked.values()), evaluated, options.model, folder, progress, engine, workers)
    return dict(zip(asked, answers, strict=True))


def _told(answer: Answer | EvaluationError) -> Answer:
    if isinstance(answer, EvaluationError):
        raise answer
    return answer


def _zero_shot(
    name: str,
    evaluated: EvaluationSet,
    mapping: ClassMap | None,
    options: EvaluateConfig,
    progress: Progress,
    *,
    inside: bool,
) -> tuple[Predictions, list[Caution]]:
    """``newtest zeroshot`` for a model named as ``evaluate`` names it: the same answers, and the same row."""
    known = evaluated.classes if mapping is None else mapping.outputs
    looked_at = np.flatnonzero(mapping.looked_at) if mapping is not None and inside else np.arange(len(known))
    model, weights = name.removeprefix(PREFIX), options.model.weights
    if weights is not None:
        model = f"{model}@{weights}"  # in the configuration of the tag, where one is named
    elif not model.strip("/") or not set("/@:") & set(model.rstrip("/")):
        raise UsageError(
            f"`model` {name}: name its weights, open_clip:ARCH/TAG, or give a file with `weights`"
        )
    zero_shot = ZeroShotConfig(
        model=model,
        like=options.model.like,
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
    return answers, wrong + ([unreadable(evaluated, found.broken, answers.model)] if found.broken else [])


def _groups(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    frame = read_frame(path)
    column = "type" if "type" in frame.columns else "group"
    if "model" not in frame.columns or column not in frame.columns:
        raise EvaluationError(
            f"{path}: a table of groups has the columns 'model' and 'type' (or 'group'); {it_has(frame.columns)}"
        )
    return dict(
        zip(frame["model"].astype(str), frame[column].astype(object).fillna("").astype(str), strict=True)
    )
