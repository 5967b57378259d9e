"""timm's models: their own preprocessing, and their pooled features as descriptions of pictures."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.clip.encoder import Vectors, unit_rows
from newtest.clip.torch_runtime import best_device, library, torch
from newtest.errors import NotFoundError, UsageError, WeightsError
from newtest.files import sha256_of

__all__ = ["TimmFeatures", "own_preprocessing"]

Transform = Callable[[PIL.Image.Image], Any]


def own_preprocessing(module: Any) -> tuple[Transform, str]:
    """The transform that a timm model was trained for, Pillow image to tensor (3, H, W), and its description."""
    timm = library("timm", "timm", "clip")
    config = timm.data.resolve_model_data_config(module)
    described = ", ".join(
        f"{key} {config[key]}"
        for key in ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
    )
    return timm.data.create_transform(**config, is_training=False), described


class TimmFeatures:
    """Pooled features before the classifier of a model by name, with published weights or those of a file.

    ``checkpoint`` holds tensors only (.safetensors, or a torch file without pickled code), with or without the
    classifier's; without it timm downloads the published weights once. Loads when first asked.
    """

    def __init__(self, model: str, checkpoint: Path | None = None, *, device: str | None = None) -> None:
        self._model, self._checkpoint, self._device = model, checkpoint, device
        self.source = f"timm:{model}@{checkpoint}" if checkpoint else f"timm:{model}"

    @cached_property
    def name(self) -> str:
        """Model, and its weights: a file's hash, or the tag under which they were published.

        Raises UsageError for a model that timm does not have, and for a file that is not there.
        """
        timm = library("timm", "timm", "clip")
        if not timm.is_model(self._model):
            raise UsageError(f"timm has no model {self._model!r}; timm.list_models() lists them")
        if self._checkpoint is not None:
            if not self._checkpoint.is_file():
                raise NotFoundError(f"{self._checkpoint}: there is no such checkpoint")
            return f"timm:{self._model}@sha256:{sha256_of(self._checkpoint)[:16]}"
        try:
            published = timm.get_pretrained_cfg(self._model, allow_unregistered=False)
        except RuntimeError:  # a tag that the model does not have
            published = None
        if published is None or not published.has_weights:
            raise UsageError(
                f"timm has no weights {self._model}; for others name a file, timm:{self._model}@CHECKPOINT"
            )
        return f"timm:{published.architecture}.{published.tag}" if published.tag else f"timm:{self._model}"

    def prepare(self, image: PIL.Image.Image) -> npt.NDArray[np.float32]:
        """What the model's own configuration makes of an RGB image, shape (3, H, W)."""
        return np.asarray(self._loaded[1](image.convert("RGB")), np.float32)

    def describe(self, pictures: npt.NDArray[np.float32]) -> Vectors:
        """Float32 unit rows, shape (n, features), of prepared pictures (n, 3, H, W)."""
        lib = torch()
        with lib.inference_mode():
            rows = self._loaded[0](lib.from_numpy(np.ascontiguousarray(pictures)).to(self.device))
            return unit_rows(rows.float().flatten(1).cpu().numpy())

    @cached_property
    def device(self) -> str:
        """Where the model runs."""
        return self._device or best_device()

    @cached_property
    def _loaded(self) -> tuple[Any, Transform]:
        """The module and its transform. Raises WeightsError where the weights cannot be had or do not fit."""
        name = self.name
        timm = library("timm", "timm", "clip")
        try:
            with contextlib.redirect_stdout(sys.stderr):  # some builders print; stdout is for results
                module = timm.create_model(self._model, pretrained=self._checkpoint is None, num_classes=0)
                if self._checkpoint is not None:
                    module.load_state_dict(_without_classifier(module, self._checkpoint))
        except Exception as error:  # hubs, downloads and file readers raise whatever they like
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            hint = (
                f"without a network give them as a file, timm:{self._model}@CHECKPOINT"
                if self._checkpoint is None
                else "it must hold tensors alone, of this very model"
            )
            raise WeightsError(f"{name}: the weights cannot be had ({reason}); {hint}") from error
        return module.eval().to(self.device), own_preprocessing(module)[0]


def _without_classifier(module: Any, checkpoint: Path) -> dict[str, Any]:
    """A checkpoint's tensors but for the classifier's, whose classes are nobody's concern here."""
    timm = library("timm", "timm", "clip")
    heads = module.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    state: dict[str, Any] = timm.models.load_state_dict(str(checkpoint), device="cpu", weights_only=True)
    return {
        key: value for key, value in state.items() if not key.startswith(tuple(f"{head}." for head in heads))
    }
