"""open_clip's models: by name and tag, or with a checkpoint that lies on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.clip.encoder import Look, Pixels, Vectors, squeezed, unit_rows
from newtest.clip.torch_runtime import best_device, library, torch
from newtest.errors import UsageError
from newtest.files import sha256_of

__all__ = ["OpenClip"]

WITHOUT_NETWORK = (
    "without a network name a checkpoint on this machine, MODEL@CHECKPOINT (HF_HUB_OFFLINE=1 asks no hub and says so "
    "within seconds)"
)
"""What to do where the hub cannot be reached. It tries for about 50 s first, and no setting of its says otherwise."""

_PRECISIONS = ("float32", "bfloat16", "float16")


class OpenClip:
    """``weights`` is a tag of open_clip (downloaded by its hub once) or a checkpoint file (tensors only, no
    pickled code).

    ``precision`` casts the model: on a CPU bfloat16 is four times as fast as float32, on a GPU float16 serves.
    """

    def __init__(
        self, model: str, weights: str, *, device: str | None = None, precision: str = "float32"
    ) -> None:
        if precision not in _PRECISIONS:
            raise UsageError(f"precision {precision!r} is not one of {', '.join(_PRECISIONS)}")
        self.model, self.weights, self.precision = model, weights, precision
        self._device = device

    @cached_property
    def name(self) -> str:
        """Model, tag (or the checkpoint's hash) and precision."""
        model = Path(self.model).stem if self.model.endswith(".json") else self.model
        weights = f"sha256:{sha256_of(Path(self.weights))[:16]}" if self._is_file else self.weights
        return f"{model}/{weights}" + ("" if self.precision == "float32" else f"/{self.precision}")

    @property
    def dimension(self) -> int:
        """The length of the rows, from the model's configuration."""
        return int(self._config["embed_dim"])

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """Shorter side brought to the model's input size (bicubic), the middle cut out."""
        return squeezed(image, self._side, self._side)

    def images(self, images: Sequence[PIL.Image.Image] | Pixels) -> Vectors:
        """Float32 unit rows, shape (n, dimension)."""
        if not len(images):
            return np.empty((0, self.dimension), np.float32)
        pixels = (
            images if isinstance(images, np.ndarray) else np.stack([self.prepare(image) for image in images])
        )
        lib = torch()
        with lib.inference_mode():
            batch = lib.from_numpy(np.ascontiguousarray(pixels)).to(self.device, non_blocking=True)
            batch = batch.permute(0, 3, 1, 2).float().div_(255).sub_(self._mean).div_(self._std)
            return self._rows(self._network.encode_image(batch.to(self._type)))

    def look(self, images: Sequence[PIL.Image.Image] | Pixels) -> Look:
        """The vectors; they tell copies from look-alikes too."""
        return Look(self.images(images))

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Float32 unit rows, shape (n, dimension)."""
        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        with torch().inference_mode():
            return self._rows(self._network.encode_text(self._tokenizer(list(texts)).to(self.device)))

    @cached_property
    def device(self) -> str:
        """Where the model runs."""
        return self._device or best_device()

    @cached_property
    def network(self) -> Any:
        """The torch module, for those who fine-tune or time it."""
        return self._network

    def _rows(self, rows: Any) -> Vectors:
        values: npt.NDArray[np.float32] = rows.float().cpu().numpy()
        return unit_rows(values)

    @property
    def _is_file(self) -> bool:
        return self.weights.endswith((".pt", ".pth", ".bin", ".safetensors")) or Path(self.weights).is_file()

    @cached_property
    def _library(self) -> Any:
        return library("open_clip", "open_clip_torch", "clip")

    @cached_property
    def _registered(self) -> str:
        """The model's name for open_clip; a configuration file is made known to it first."""
        if not self.model.endswith(".json"):
            if self.model not in self._library.list_models():
                raise UsageError(f"open_clip has no model {self.model!r}; open_clip.list_models() lists them")
            return self.model
        path = Path(self.model)
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in config]
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path}: not a model configuration of open_clip ({error})") from error
        if missing:
            raise UsageError(
                f"{path}: a model configuration of open_clip has {missing[0]!r}, and this one has not"
            )
        self._library.add_model_config(path)
        return path.stem

    @cached_property
    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._library.get_model_config(self._registered)
        return config

    @cached_property
    def _side(self) -> int:
        size = self._config["vision_cfg"].get("image_size", 224)
        return int(size[0] if isinstance(size, (list, tuple)) else size)

    @cached_property
    def _network(self) -> Any:
        if self._is_file and not Path(self.weights).is_file():
            raise UsageError(f"{self.weights}: there is no such checkpoint")
        try:
            model = self._library.create_model(
                self._registered,
                pretrained=self.weights or None,
                device="cpu",
                load_weights=bool(self.weights),
            )
        except Exception as error:
            reason = str(error).strip().rstrip(".")
            hint = "" if self._is_file or not self.weights else f"; {WITHOUT_NETWORK}"
            raise UsageError(
                f"open_clip cannot load {self.model} with {self.weights}: {reason}{hint}"
            ) from error
        return model.to(self._type).eval().to(self.device)

    @cached_property
    def _tokenizer(self) -> Any:
        return self._library.get_tokenizer(self._registered)

    @cached_property
    def _type(self) -> Any:
        return getattr(torch(), self.precision)

    @cached_property
    def _mean(self) -> Any:
        return self._statistic("OPENAI_DATASET_MEAN", "image_mean")

    @cached_property
    def _std(self) -> Any:
        return self._statistic("OPENAI_DATASET_STD", "image_std")

    def _statistic(self, default: str, own: str) -> Any:
        values = getattr(self._network.visual, own, None) or getattr(self._library, default)
        return torch().tensor(values, device=self.device).view(1, 3, 1, 1)
