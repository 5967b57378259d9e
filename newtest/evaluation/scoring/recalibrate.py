"""BatchNorm statistics of a merged checkpoint, estimated again over a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.clip.open_clip import OpenClip
from newtest.clip.torch_runtime import best_device, torch
from newtest.clip.weights.recalibration import Recalibration, running_statistics
from newtest.config import fingerprint
from newtest.errors import EvaluationError, ImageError
from newtest.evaluation.scoring.classifiers import build
from newtest.evaluation.scoring.set_vectors import file_facts
from newtest.images import read_image, shown
from newtest.progress import UNWATCHED, Progress
from newtest.sets import walk

__all__ = ["RecalibrateConfig", "recalibration"]


@dataclass(frozen=True)
class RecalibrateConfig:
    """``model`` is the network of the checkpoints: timm:NAME, torchvision:NAME, or MODEL of open_clip."""

    model: str
    images: Path
    batch_size: int = 64
    device: str | None = None


def recalibration(config: RecalibrateConfig, progress: Progress = UNWATCHED) -> Recalibration:
    """For ``interpolate``, ``uniform_soup`` and the like. Images that cannot be read are left out, and said.

    Raises EvaluationError for a folder without images.
    """
    try:
        walked = walk(config.images)
    except OSError as error:
        raise EvaluationError(f"{config.images}: cannot be read ({error.strerror or error})") from error
    progress.say(f"{config.images}: {walked.census.says()}")
    paths = [config.images / name for name in walked.images]
    if not paths:
        raise EvaluationError(f"{config.images}: there are no images in this folder")
    source = fingerprint(config.model, config.batch_size, [file_facts(str(path)) for path in paths])

    def statistics(checkpoint: Path) -> dict[str, npt.NDArray[np.float64]]:
        module, forward, prepare = _network(config, checkpoint)
        batches = _batches(paths, config, prepare, progress)
        return running_statistics(module, forward, batches)

    return Recalibration(source, statistics)


def _network(config: RecalibrateConfig, checkpoint: Path) -> tuple[Any, Any, Any]:
    """The module, what a stack of prepared pictures goes through, and what prepares one."""
    device = config.device or best_device()
    if config.model.startswith(("timm:", "torchvision:")):
        built = build(config.model, checkpoint)
        module = built.module.to(device)
        lib = torch()
        return (
            module,
            lambda stack: module(lib.from_numpy(stack).to(device)),
            lambda image: np.asarray(built.transform(image), np.float32),
        )
    model = OpenClip(f"{config.model.removeprefix('open_clip:')}@{checkpoint}", device=device)
    return model.network, model.images, model.prepare


def _batches(
    paths: list[Path], config: RecalibrateConfig, prepare: Any, progress: Progress
) -> Iterator[npt.NDArray[Any]]:
    """Stacks of nearly the same size: every one of them weighs the same."""
    unreadable = []
    for part in np.array_split(np.arange(len(paths)), -(-len(paths) // config.batch_size)):
        pictures = []
        for at in part:
            try:
                pictures.append(prepare(_picture(paths[at])))
            except (OSError, ValueError, ImageError):
                unreadable.append(paths[at])
        progress.advance("images", len(part), len(paths))
        if pictures:
            yield np.stack(pictures)
    if unreadable:
        progress.say(
            f"{len(unreadable)} of {len(paths)} images cannot be read and are left out of the statistics, first "
            f"{unreadable[0]}"
        )
    if len(unreadable) == len(paths):
        raise EvaluationError(f"{config.images}: none of its {len(paths)} images can be read")


def _picture(path: Path) -> PIL.Image.Image:
    return shown(read_image(path))
