"""``newtest zeroshot``: classes in words against a set's pictures, scored into the result store; and the way back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.clip.cache import named_classes, text_vectors
from newtest.clip.encoder import Encoder
from newtest.clip.loading import encoder
from newtest.clip.prompts import Finding, default_templates, lint_names, lint_templates, read_lines
from newtest.clip.zeroshot import class_embeddings, normalised, retrieve, top_classes
from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution, doubts
from newtest.evaluation.scoring.class_names import ClassNames, class_names
from newtest.evaluation.scoring.embeddings import read_embeddings
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.score import Score, score
from newtest.evaluation.scoring.set_vectors import set_vectors
from newtest.evaluation.scoring.sets import EvaluationSet, find_set
from newtest.evaluation.scoring.store import write_scores
from newtest.evaluation.scoring.unreadable_images import unreadable
from newtest.outputs import write_made
from newtest.progress import UNWATCHED, Progress

__all__ = ["Classified", "Found", "ZeroShot", "ZeroShotConfig", "classify", "find_images", "zero_shot"]

"""Told (images or texts, how many in all, done since the last call) while an encoder runs."""
Floats = npt.NDArray[np.float32]
TOP = 5


@dataclass(frozen=True)
class ZeroShotConfig:
    """Where the two sides come from. With both embedding files no encoder, and so no torch, is needed."""

    model: str = "conse"
    """An encoder by name, see ``newtest.clip.loading.encoder``."""
    like: str | None = None
    """The tag of open_clip whose configuration a checkpoint needs."""
    image_embeddings: Path | None = None
    """(N, D) in the order of the set."""
    text_embeddings: Path | None = None
    """(classes, templates, D) or (classes, D) in the order of the set's classes."""
    templates: Path | None = None
    names: Path | None = None
    set_name: str | None = None
    label: str | None = None
    """The model's name in the results."""
    group: str = "zero-shot"
    device: str | None = None
    precision: str = "float32"
    batch_size: int = 32
    study: Path = Path()
    out: Path | None = None
    cache: Path | None = None
    save: Path | None = None
    """An ``.npz`` for the images' embeddings, labels and classes: what ``newtest probe`` reads."""


@dataclass(frozen=True)
class Classified:
    """The answers for a set, and the ids of images that could not be read (their answers are not classes)."""

    answers: Predictions
    broken: list[str]
    findings: tuple[Finding, ...]
    names: str
    """Where the names of the classes come from."""
    images: Floats = field(repr=False)
    """(N, D) in the order of the set; zeros where an image could not be read."""


@dataclass(frozen=True)
class ZeroShot:
    """The scores (none or one), what looked wrong, what the lint found, and where the results are kept."""

    scores: tuple[Score, ...]
    cautions: tuple[Caution, ...]
    findings: tuple[Finding, ...]
    names: str
    folder: Path | None


@dataclass(frozen=True)
class Found:
    """One image for a text. ``cosine`` is the CLIP score; larger is closer."""

    text: str
    rank: int
    cosine: float
    image_id: str
    wnid: str
    path: str
    """Empty where the set names no files."""


def zero_shot(which: str, options: ZeroShotConfig, progress: Progress = UNWATCHED) -> ZeroShot:
    """Classify every image of a set by its nearest class in words, and keep the result as ``newtest evaluate`` does.

    An image that cannot be read counts as wrong and is a fatal caution. Raises EvaluationError, UsageError and
    MissingExtra.
    """
    evaluated = find_set(which, options.study, options.set_name)
    if evaluated.census is not None:
        progress.say(f"{which}: {evaluated.census.says()}")
    found = classify(evaluated, evaluated.classes, options, progress)
    answers = found.answers
    scores, cautions = score(evaluated, [answers])
    if found.broken:
        cautions.append(unreadable(evaluated, found.broken, answers.model))
    scores = [replace(one, warning=doubts(one.model, cautions)) for one in scores]
    if options.save is not None:
        _save(options.save, evaluated, found.images)
    root = options.out or (options.study / "results")
    folder = write_scores(root, evaluated, scores, groups={answers.model: options.group}) if scores else None
    return ZeroShot(tuple(scores), tuple(cautions), found.findings, found.names, folder)


def classify(
    evaluated: EvaluationSet, outputs: Sequence[str], options: ZeroShotConfig, progress: Progress = UNWATCHED
) -> Classified:
    """The nearest of the classes ``outputs`` for every image of a set, best first. Raises as ``zero_shot``."""
    model = _Model(options)
    words = _Words(_templates(options), class_names(outputs, options.names))
    classes = _classes(evaluated, outputs, model, words, progress)
    images = _images(evaluated, model, progress)
    seen = np.asarray(images.any(axis=1))
    answers = _answers(model, words, top_classes(images[seen], classes, TOP), seen)
    broken = evaluated.images["image_id"].astype(str).to_numpy()[~seen].tolist()
    # Embeddings from a file were made of words that are not seen here: there is nothing to lint.
    findings = words.lint() if options.text_embeddings is None else ()
    return Classified(answers, broken, findings, words.named.source, images)


def find_images(
    which: str,
    texts: Sequence[str],
    options: ZeroShotConfig,
    progress: Progress = UNWATCHED,
    *,
    best: int = 10,
) -> list[Found]:
    """The inverse direction: for each text the ``best`` images of a set, nearest first. Raises as ``zero_shot``."""
    evaluated = find_set(which, options.study, options.set_name)
    model = _Model(options)
    images = _images(evaluated, model, progress)
    vectors = text_vectors(model.encoder, texts, options.cache)
    rows = np.flatnonzero(images.any(axis=1))
    if not len(rows):
        raise EvaluationError(f"{evaluated.name}: none of its {len(evaluated)} pictures could be read")
    order, cosine = retrieve(vectors, images[rows], best)
    about = evaluated.images.reset_index(drop=True)
    paths = about["path"].astype(str) if "path" in about.columns else [""] * len(about)
    return [
        Found(
            text, rank, float(value), str(about["image_id"][row]), str(about["class"][row]), str(paths[row])
        )
        for text, positions, values in zip(texts, order, cosine, strict=True)
        for rank, (row, value) in enumerate(zip(rows[positions].tolist(), values, strict=True), 1)
    ]


@dataclass(frozen=True)
class _Words:
    """What classes are called, and the sentences that the names are put into."""

    templates: tuple[str, ...]
    named: ClassNames

    def lint(self) -> tuple[Finding, ...]:
        names = list(self.named.names.values())
        return (
            *lint_names(self.named.names, self.named.lemmas),
            *lint_templates(self.templates, names),
        )


@dataclass(frozen=True)
class _Model:
    """The encoder, built when it is first needed: with embeddings from files it never is."""

    options: ZeroShotConfig

    @cached_property
    def encoder(self) -> Encoder:
        options = self.options
        return encoder(options.model, like=options.like, device=options.device, precision=options.precision)

    @property
    def source(self) -> str:
        """The encoder's name, or the file that stands in for its images."""
        images = self.options.image_embeddings
        return self.encoder.name if images is None else images.stem


def _templates(options: ZeroShotConfig) -> tuple[str, ...]:
    if options.templates is None:
        return default_templates()
    return read_lines(options.templates, templates=True)


def _answers(
    model: _Model, words: _Words, top: npt.NDArray[np.int64], seen: npt.NDArray[np.bool_]
) -> Predictions:
    """The ranking of every image; -1 where the picture could not be read."""
    ranking = np.full((len(seen), top.shape[1]), -1, np.int64)
    ranking[seen] = top
    texts = model.options.text_embeddings
    how = f"templates: {len(words.templates)}; names: {words.named.source}" if texts is None else texts.name
    label = model.options.label or f"{model.source} zero-shot"
    if model.options.image_embeddings is None:
        how = f"{how}; pixels: {model.encoder.preprocessing}"
    return Predictions(label, model.source, "ranking", ranking, preprocessing=how, gaps=True)


def _classes(
    evaluated: EvaluationSet, outputs: Sequence[str], model: _Model, words: _Words, progress: Progress
) -> Floats:
    path = model.options.text_embeddings
    if path is None:
        names = [words.named.names[cls] for cls in outputs]
        return named_classes(model.encoder, words.templates, names, model.options.cache, progress)
    vectors = read_embeddings(path).vectors
    if vectors.ndim not in (2, 3) or len(vectors) != len(outputs):
        raise EvaluationError(
            f"{path}: shape {vectors.shape} is neither (classes, dimensions) nor (classes, templates, dimensions) "
            f"for the {len(outputs)} classes of {evaluated.name}"
        )
    return class_embeddings(vectors) if vectors.ndim == 3 else normalised(vectors)


def _images(evaluated: EvaluationSet, model: _Model, progress: Progress) -> Floats:
    """Rows in the order of the set; a row of zeros is a picture that could not be read."""
    path = model.options.image_embeddings
    if path is None:
        return set_vectors(
            evaluated, model.encoder, model.options.cache, progress, batch=model.options.batch_size
        ).vectors
    embedded = read_embeddings(path)
    if embedded.vectors.ndim != 2 or len(embedded.vectors) != len(evaluated):
        raise EvaluationError(
            f"{path}: shape {embedded.vectors.shape} is not (images, dimensions) for the {len(evaluated)} images of "
            f"{evaluated.name}"
        )
    if embedded.labels is not None and not np.array_equal(embedded.labels, evaluated.labels):
        raise EvaluationError(
            f"{path}: its labels are not those of {evaluated.name}: the rows are of another set, or in another order"
        )
    return embedded.vectors.astype(np.float32)


def _save(path: Path, evaluated: EvaluationSet, images: Floats) -> None:
    packed = io.BytesIO()
    np.savez(
        packed,
        embeddings=images,
        labels=evaluated.labels,
        classes=np.array(evaluated.classes, dtype=np.str_),
        image_ids=evaluated.images["image_id"].to_numpy(dtype=np.str_),
    )
    write_made(path, packed.getvalue())
