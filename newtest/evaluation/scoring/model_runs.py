"""One classifier on one set: its network, and its answers in pieces that are kept as they are made.

torch and what stands on it come from ``newtest.clip.torch_runtime``, when they are needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
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
from newtest.errors import EvaluationError, ImageError
from newtest.evaluation.scoring.answers import too_many
from newtest.evaluation.scoring.classifiers import Classifier, build, full_name, published_outputs
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.files import write_atomic
from newtest.images import shown
from newtest.images.ahead import AHEAD, decoded_ahead
from newtest.progress import Progress
from newtest.reading.arrays import open_arrays
from newtest.sets import image_at

__all__ = ["Answer", "Asked", "ModelConfig", "Run", "predict"]

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


@dataclass(frozen=True)
class Asked:
    """A model by name, and which of its outputs (outputs,) may be chosen; None: all.

    ``outputs``: how many it must have where they mean the set's own classes; 0: as many as ``looked_at``, or any.
    """

    name: str
    looked_at: npt.NDArray[np.bool_] | None = None
    outputs: int = 0

    def wrong(self, outputs: int) -> str:
        """What is wrong with a model of so many outputs; empty where nothing is."""
        if self.looked_at is not None:
            named = len(self.looked_at)
            return (
                ""
                if outputs == named
                else f"the model has {outputs} outputs, and its class list {named} classes"
            )
        if outputs == self.outputs or not self.outputs:
            return ""
        why = too_many(outputs, self.outputs) or ": a model of fewer classes needs its class list, `classes`"
        return f"the model has {outputs} outputs, and the set {self.outputs} classes{why}"


Answer = tuple[Predictions, list[str]]
"""The five best classes of every image, and the ids of images that could not be read."""


@dataclass
class _Piece:
    """The five best classes of some images, -1 where there is none, and which images could be read."""

    top5: npt.NDArray[np.int64]
    readable: npt.NDArray[np.bool_]
    preprocessing: str


class Run:
    """One model on one set: its pieces, its network once it is needed, and what went wrong with it."""

    def __init__(
        self, asked: Asked, options: ModelConfig, folder: Path, progress: Progress, images: int
    ) -> None:
        self.asked, self.options, self.folder = asked, options, folder
        self.progress, self.images = progress, images
        self.parts: list[_Piece] = []
        self.error: EvaluationError | None = None
        self.crowded = False
        """Whether it failed as a model may that has too little memory beside others."""
        self.built: Classifier | None = None
        self.part = _Piece(np.empty((0, TOP), np.int64), np.empty(0, np.bool_), "")
        try:
            self.model = full_name(asked.name, options.weights)
        except EvaluationError as error:
            self.error = error
            return
        known = published_outputs(asked.name)
        if known is not None and (said := asked.wrong(known)):  # before anything is downloaded or asked
            self.error = EvaluationError(said)
            return
        outputs = [] if asked.looked_at is None else np.flatnonzero(asked.looked_at).tolist()
        self.pieces = folder / "predictions" / fingerprint(self.model, outputs, options.precision, "3")[:16]

    def is_there(self, files: str, count: int) -> bool:
        """Whether nothing is left to do for a piece."""
        return self.error is not None or _kept(self.pieces / f"{files}.npz", count) is not None

    def begin_again(self) -> None:
        """Forget what went wrong, and the pieces in memory; those on disk are there."""
        self.error, self.crowded, self.built, self.parts = None, False, None, []

    def has(self, files: str, count: int) -> bool:
        """Take over a piece of an earlier run, if it is there; otherwise begin a new one."""
        if self.error is not None:
            return True
        kept = _kept(self.pieces / f"{files}.npz", count)
        if kept is not None:
            self.parts.append(kept)
            self.told(count)
            return True
        self.part = _Piece(np.full((count, TOP), -1, np.int64), np.zeros(count, np.bool_), "")
        return False

    def ready(self, networks: dict[str, Classifier]) -> bool:
        """Whether the network is there; it is built when it is first needed, once per name."""
        name, options = self.asked.name, self.options
        if self.error is None and self.built is None and name not in networks:
            torch = torch_runtime.torch()
            try:
                built = build(name, options.weights)
                dtype = getattr(torch, options.precision)
                built.module.to(device=_device(options), dtype=dtype, memory_format=torch.channels_last)
            except EvaluationError as error:
                self.error = error
                return False
            except RuntimeError as error:
                self._fail(error)
                return False
            networks[name] = built
        self.built = self.built or networks.get(name)
        return self.error is None

    def look(self, rows: list[int], batch: Any) -> None:
        """Answer for prepared images (n, 3, H, W)."""
        if self.error is not None or self.built is None:
            return
        torch, looked_at = torch_runtime.torch(), self.asked.looked_at
        try:
            with torch.inference_mode():
                logits = self.built.module(batch).float()
        except RuntimeError as error:
            self._fail(error)
            return
        if said := self.asked.wrong(int(logits.shape[1])):
            self.error = EvaluationError(said)
            return
        if looked_at is not None:
            logits = logits.masked_fill(torch.from_numpy(~looked_at).to(logits.device), -torch.inf)
        best = min(TOP, logits.shape[1] if looked_at is None else int(looked_at.sum()))
        self.part.top5[rows, :best] = logits.topk(best, dim=1).indices.cpu().numpy()
        self.part.readable[rows] = True
        self.told(len(rows))

    def _fail(self, error: RuntimeError) -> None:
        """Out of a GPU's memory, or images of a size that the model does not take."""
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        self.error, self.crowded = (
            EvaluationError(f"the model failed ({why}); a smaller `batch_size` may help"),
            True,
        )

    def keep(self, files: str) -> None:
        """Write the piece down."""
        if self.error is not None or self.built is None:
            return
        part, self.part.preprocessing = self.part, self.built.preprocessing
        packed = io.BytesIO()
        np.savez_compressed(
            packed, top5=part.top5, readable=part.readable, preprocessing=np.array(part.preprocessing)
        )
        write_atomic(self.pieces / f"{files}.npz", packed.getvalue())
        self.parts.append(part)
        if not part.readable.all():
            self.told(int((~part.readable).sum()))

    def told(self, images: int) -> None:
        self.progress.advance(self.asked.name, images, self.images)

    def answer(self, evaluated: EvaluationSet) -> Answer | EvaluationError:
        """All pieces together, or what went wrong."""
        if self.error is not None:
            return self.error
        ranking = np.concatenate([part.top5 for part in self.parts])
        seen = np.concatenate([part.readable for part in self.parts])
        broken = evaluated.images["image_id"].astype(str).to_numpy()[~seen].tolist()
        preprocessing = f"{self.parts[0].preprocessing}; {self.options.precision}"
        found = Predictions(
            self.model, self.model, "ranking", ranking, preprocessing=preprocessing, gaps=True
        )
        return found, broken


def _device(options: ModelConfig) -> str:
    return str(options.device or torch_runtime.best_device())


def _kept(path: Path, count: int) -> _Piece | None:
    """A piece of an earlier run, unless there is none or it is damaged."""
    try:
        with open_arrays(path) as kept:
            found = _Piece(kept["top5"], kept["readable"], str(kept["preprocessing"]))
    except (OSError, ValueError, KeyError):
        return None
    return found if len(found.top5) == count else None


def predict(runs: Sequence[Run], paths: Sequence[str]) -> None:
    """Ask all models about the images, a batch at a time."""
    if not runs:
        return
    options = runs[0].options
    torch, device = torch_runtime.torch(), _device(options)
    dtype = getattr(torch, options.precision)
    transforms = {run.built.alike: run.built.transform for run in runs if run.built is not None}
    ahead = 0 if device.startswith("cpu") else AHEAD  # on a CPU the model keeps all cores busy
    for rows, images in _batches(list(transforms.values()), paths, options.batch_size, ahead):
        for place, alike in enumerate(transforms):
            batch = torch.stack([each[place] for each in images])
            batch = batch.to(device=device, dtype=dtype, memory_format=torch.channels_last)
            for run in runs:
                if run.built is not None and run.built.alike == alike:
                    run.look(rows, batch)


def _batches(
    transforms: Sequence[Callable[[Any], Any]], paths: Sequence[str], size: int, ahead: int
) -> Iterator[tuple[list[int], list[list[Any]]]]:
    """Rows and images, prepared in each way, ``size`` readable ones at a time."""

    def prepared(path: str) -> list[Any] | None:
        try:
            image = shown(image_at(path))
        except (OSError, ValueError, ImageError):
            return None
        return [transform(image) for transform in transforms]

    rows: list[int] = []
    images: list[list[Any]] = []
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
