"""Run classifiers over a set: here, or by the workers of an engine.

Answers are kept in pieces as they are made, so that a killed run continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.clip import torch_runtime
from newtest.clip.torch_runtime import gpus
from newtest.config import fingerprint
from newtest.engines import Engine, Resources
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.classifiers import Classifier
from newtest.evaluation.scoring.model_runs import Answer, Asked, ModelConfig, Run, predict
from newtest.evaluation.scoring.set_vectors import file_facts
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.progress import UNWATCHED, Progress

__all__ = ["Answer", "Asked", "ModelConfig", "run_model", "run_models"]

PIECE = 512
"""Images per piece: what a killed run loses at most."""
TOGETHER = 4
"""Models that are held at a time: images are decoded once for them."""


def run_model(
    name: str,
    evaluated: EvaluationSet,
    options: ModelConfig,
    folder: Path,
    progress: Progress = UNWATCHED,
    looked_at: npt.NDArray[np.bool_] | None = None,
) -> Answer:
    """The answer of one model. Raises as ``run_models`` does, and the error of a model that cannot be run."""
    (answer,) = run_models([Asked(name, looked_at)], evaluated, options, folder, progress)
    if isinstance(answer, EvaluationError):
        raise answer
    return answer


def run_models(
    asked: Sequence[Asked],
    evaluated: EvaluationSet,
    options: ModelConfig,
    folder: Path,
    progress: Progress = UNWATCHED,
    engine: Engine | None = None,
    workers: int = 0,
) -> list[Answer | EvaluationError]:
    """The answers of several models, in order; each image is decoded once for ``TOGETHER`` of them, and prepared once
    for those whose transforms are alike.

    ``progress`` is told how many images of a model are done, batch by batch. Pieces of an earlier run are taken over
    while their files have the same path, size and time of change. In the place of a model that cannot be run stands its
    error: it cannot be had, or has another number of outputs than ``looked_at``. One that fails beside others is tried
    again alone, for it may have lacked memory. Raises, before any is run, UsageError
    for a precision or kind of model that is unknown, EvaluationError where the set names no files, MissingExtra.

    Without an ``engine`` this process asks. With one its ``workers`` do, one per GPU where there are some and otherwise
    one: the same answers. Raises EvaluationError for a part that no worker could do; what came by then is kept.
    """
    if options.precision not in torch_runtime.PRECISIONS:
        raise UsageError(f"`precision` {options.precision}: known are {', '.join(torch_runtime.PRECISIONS)}")
    if "path" not in evaluated.images.columns:
        raise EvaluationError(f"{evaluated.name}: a model needs the pictures, but the set names no files")
    pieces = _pieces(evaluated.images["path"].astype(str).tolist())
    every = [Run(one, options, folder, progress, len(evaluated)) for one in asked]  # looks up all names first
    if any(run.error is None for run in every):
        for run in every:
            if run.error is not None:
                progress.say(f"{run.asked.name}: {run.error}; the other models are run")
    for start in range(0, len(every), TOGETHER):
        runs = every[start : start + TOGETHER]
        _asked_together(runs, pieces, engine, workers)
        for run in runs:
            if run.crowded and len(runs) > 1:
                run.begin_again()
                _asked_together([run], pieces, engine, workers)
    return [run.answer(evaluated) for run in every]


def _asked_together(
    runs: Sequence[Run], pieces: Sequence[_Piece], engine: Engine | None, workers: int
) -> None:
    if engine is None:
        _here(runs, pieces)
        return
    _on_engine(runs, pieces, engine, _resources(runs[0].options.device, workers))


def _resources(device: str | None, workers: int) -> Resources:
    """One GPU per worker, unless the CPU or a certain GPU (``cuda:1``) is asked for: workers then see all of them."""
    each = gpus() > 0 and device in (None, "cuda")
    return Resources(workers, gpus=1.0 if each else 0.0, alone=not each)


@dataclass(frozen=True)
class _Piece:
    """Some images of the set; ``files`` tells what their files are."""

    paths: tuple[str, ...]
    files: str


def _pieces(paths: Sequence[str]) -> list[_Piece]:
    chunks = [tuple(paths[first : first + PIECE]) for first in range(0, len(paths), PIECE)]
    return [_Piece(chunk, _files(chunk)) for chunk in chunks]


def _files(paths: Sequence[str]) -> str:
    return fingerprint([file_facts(path) for path in paths])[:16]


def _here(runs: Sequence[Run], pieces: Sequence[_Piece]) -> None:
    """Ask models in this process; pieces that are there are taken over."""
    networks: dict[str, Classifier] = {}
    for piece in pieces:
        _ask(runs, piece, networks)
    for run in runs:
        run.built = None  # the next ones need its memory


def _ask(runs: Sequence[Run], piece: _Piece, networks: dict[str, Classifier]) -> None:
    todo = [run for run in runs if not run.has(piece.files, len(piece.paths)) and run.ready(networks)]
    predict(todo, piece.paths)
    for run in todo:
        run.keep(piece.files)


def _on_engine(runs: Sequence[Run], pieces: Sequence[_Piece], engine: Engine, resources: Resources) -> None:
    """Ask models in workers, piece by piece; they keep the pieces, which are read here in the end."""
    open_runs = [run for run in runs if run.error is None]
    todo = [
        piece for piece in pieces if not all(run.is_there(piece.files, len(piece.paths)) for run in open_runs)
    ]
    make = _Asking(tuple((run.asked, run.options, run.folder) for run in open_runs))
    errors: list[str] = []
    total = sum(len(piece.paths) for piece in todo)
    for outcome in engine.map(make, todo, resources) if todo else ():
        runs[0].progress.advance("images", len(outcome.item.paths), total)
        if outcome.error is not None:
            errors.append(outcome.error)
        for place, (said, crowded) in (outcome.value or {}).items():
            open_runs[place].error, open_runs[place].crowded = EvaluationError(said), crowded
    if errors:
        raise EvaluationError(
            f"{len(errors)} of {len(todo)} parts of the set failed, the others are kept; run again when mended: "
            f"{'; '.join(sorted(set(errors))[:3])}"
        )
    for piece in pieces:
        for run in runs:
            if not run.has(piece.files, len(piece.paths)):
                raise EvaluationError(
                    f"{run.folder}: answers were kept by a worker and are not here; workers and this process must see "
                    "the same folder"
                )


@dataclass(frozen=True)
class _Asking:
    """Makes the worker that asks some models about pieces, and keeps the answers; it tells which of them failed."""

    wanted: tuple[tuple[Asked, ModelConfig, Path], ...]

    def __call__(self) -> Callable[[_Piece], dict[int, tuple[str, bool]]]:
        runs = [Run(asked, options, folder, UNWATCHED, 0) for asked, options, folder in self.wanted]
        networks: dict[str, Classifier] = {}

        def ask(piece: _Piece) -> dict[int, tuple[str, bool]]:
            if _files(piece.paths) != piece.files:
                raise EvaluationError(
                    f"{piece.paths[0]} and those behind it are not what they are where the command runs; workers and "
                    "the command must see the same files"
                )
            _ask(runs, piece, networks)
            for run in runs:
                run.parts.clear()
            failed = ((place, run) for place, run in enumerate(runs) if run.error is not None)
            return {place: (str(run.error), run.crowded) for place, run in failed}

        return ask
