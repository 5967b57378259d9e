"""Running a classifier over a set. torch and what stands on it come from ``newtest.clip.torch_runtime``, when they
are needed. Predictions are kept in pieces as they are made, so that a killed run continues where it was.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip import torch_runtime
from newtest.config import fingerprint
from newtest.engines.base import cores
from newtest.errors import EvaluationError, ImageError, UsageError
from newtest.evaluation.scoring.classifiers import Classifier, build, full_name
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.set_vectors import file_facts
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.files import write_atomic
from newtest.images import shown
from newtest.images.ahead import AHEAD, decoded_ahead
from newtest.progress import UNWATCHED, Progress
from newtest.reading.arrays import open_arrays
from newtest.sets import image_at

__all__ = ["ModelConfig", "run_model"]

PIECE = 512
"""Images per piece: what a killed run loses at most."""
TOP = 5


@dataclass(frozen=True)
class ModelConfig:
    """How to run. ``weights`` is a state dict in place of the published one; ``device`` None is a GPU if there is
    one. ``like`` is the tag whose configuration a checkpoint of an encoder needs."""

    batch_size: int = 64
    precision: str = "float32"
    device: str | None = None
    weights: Path | None = None
    like: str | None = None


def run_model(
    name: str,
    evaluated: EvaluationSet,
    options: ModelConfig,
    folder: Path,
    progress: Progress = UNWATCHED,
    looked_at: npt.NDArray[np.bool_] | None = None,
) -> tuple[Predictions, list[str]]:
    """The five best classes of every image, and the ids of images that could not be read (their answers are not
    classes).

    ``looked_at`` (outputs,) leaves outputs out of the choice. ``progress`` is told how many images are done, batch by
    batch. Pieces of an earlier run are taken over while their files have the same path, size and time of change. Raises
    UsageError for an unknown kind of model, EvaluationError where a model or the set's files cannot be had or the model
    has another number of outputs than ``looked_at``, MissingExtra without torch.
    """
    if options.precision not in torch_runtime.PRECISIONS:
        raise UsageError(f"`precision` {options.precision}: known are {', '.join(torch_runtime.PRECISIONS)}")
    if "path" not in evaluated.images.columns:
        raise EvaluationError(f"{evaluated.name}: a model needs the pictures, but the set names no files")
    model = full_name(name, options.weights)
    paths = evaluated.images["path"].astype(str).tolist()
    key = fingerprint(
        model,
        [] if looked_at is None else np.flatnonzero(looked_at).tolist(),
        options.precision,
        "3",
    )
    pieces = folder / "predictions" / key[:16]
    built: Classifier | None = None

    def told(images: int) -> None:
        progress.advance(name, images, len(evaluated))

    parts = []
    for start in range(0, len(paths), PIECE):
        chunk = paths[start : start + PIECE]
        path = pieces / f"{fingerprint([file_facts(path) for path in chunk])[:16]}.npz"
        part = _kept(path, len(chunk))
        if part is None:
            built = built or build(name, options.weights)
            top5, readable = _predict(built, chunk, options, told, looked_at)
            packed = io.BytesIO()
            np.savez_compressed(
                packed, top5=top5, readable=readable, preprocessing=np.array(built.preprocessing)
            )
            write_atomic(path, packed.getvalue())
            part = top5, readable, built.preprocessing
        else:
            told(len(chunk))
        parts.append(part)
    ranking = np.concatenate([part[0] for part in parts])
    seen = np.concatenate([part[1] for part in parts])
    broken = evaluated.images["image_id"].astype(str).to_numpy()[~seen].tolist()
    preprocessing = f"{parts[0][2]}; {options.precision}"
    return Predictions(model, model, "ranking", ranking, preprocessing=preprocessing, gaps=True), broken


def _kept(path: Path, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], str] | None:
    """A piece of an earlier run, unless there is none or it is damaged."""
    try:
        with open_arrays(path) as kept:
            found = kept["top5"], kept["readable"], str(kept["preprocessing"])
    except (OSError, ValueError, KeyError):
        return None
    return found if len(found[0]) == count else None


def _predict(
    built: Classifier,
    paths: list[str],
    options: ModelConfig,
    told: Callable[[int], None],
    looked_at: npt.NDArray[np.bool_] | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    torch = torch_runtime.torch()
    device = options.device or torch_runtime.best_device()
    dtype = getattr(torch, options.precision)
    module = built.module.to(device=device, dtype=dtype, memory_format=torch.channels_last)
    top5 = np.full((len(paths), TOP), -1, dtype=np.int64)
    readable = np.zeros(len(paths), dtype=bool)
    ahead = 0 if str(device).startswith("cpu") else AHEAD  # on a CPU the model keeps all cores busy
    for rows, images in _batches(built, paths, options.batch_size, ahead):
        batch = torch.stack(images).to(device=device, dtype=dtype, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits = module(batch).float()
        if looked_at is not None:
            if logits.shape[1] != len(looked_at):
                raise EvaluationError(
                    f"the model has {logits.shape[1]} outputs, and its class list {len(looked_at)} classes"
                )
            logits = logits.masked_fill(torch.from_numpy(~looked_at).to(logits.device), -torch.inf)
        best = min(TOP, logits.shape[1] if looked_at is None else int(looked_at.sum()))
        top5[rows, :best] = logits.topk(best, dim=1).indices.cpu().numpy()
        readable[rows] = True
        told(len(rows))
    if not readable.all():
        told(int((~readable).sum()))
    return top5, readable


def _batches(
    built: Classifier, paths: list[str], size: int, ahead: int
) -> Iterator[tuple[list[int], list[Any]]]:
    """Rows and prepared images, ``size`` readable ones at a time."""

    def prepared(path: str) -> Any:
        try:
            image = shown(image_at(path))
        except (OSError, ValueError, ImageError):
            return None
        return built.transform(image)

    rows: list[int] = []
    images: list[Any] = []
    with closing(decoded_ahead(paths, prepared, batch=size, ahead=ahead, threads=cores())) as decoded:
        for row, image in enumerate(chain.from_iterable(decoded)):
            if image is not None:
                rows.append(row)
                images.append(image)
            if len(rows) == size:
                yield rows, images
                rows, images = [], []
    if rows:
        yield rows, images
