"""open_clip's models: published ones by name and tag, and checkpoints that lie on this machine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.clip.encoder import Look, Pixels, Vectors, unit_rows
from newtest.clip.open_clip_names import WITHOUT_NETWORK, ModelName, Recipe, recipe
from newtest.clip.torch_runtime import PRECISIONS, best_device, library, torch
from newtest.errors import UsageError

__all__ = ["OpenClip"]


class OpenClip:
    """A model by its name, see ``newtest.clip.open_clip_names``; loads when first asked, and runs no pickled code.

    ``precision`` casts the model: on a CPU bfloat16 is four times as fast as float32, on a GPU float16 serves.
    """

    def __init__(
        self,
        name: str,
        *,
        like: str | None = None,
        device: str | None = None,
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
        self.precision = precision
        self._name, self._device = ModelName.parse(name, like), device

    @cached_property
    def recipe(self) -> Recipe:
        """What the name means."""
        return recipe(self._name)

    @property
    def name(self) -> str:
        """Model, tag, the hash of a checkpoint and precision."""
        return self.recipe.name + ("" if self.precision == "float32" else f"/{self.precision}")

    @property
    def preprocessing(self) -> str:
        """What a picture goes through."""
        return str(self.recipe.preprocessing)

    @property
    def doubt(self) -> str:
        """A sentence for a person where a checkpoint could need another configuration; empty where none could."""
        return self.recipe.doubt

    @property
    def dimension(self) -> int:
        """The length of the rows, from the model's configuration."""
        return self.recipe.dimension

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """The pixels that open_clip's own transform gives the model, before they are scaled."""
        return self.recipe.preprocessing.pixels(image)

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
            return self._rows(self.network.encode_image(batch.to(self._type)))

    def look(self, images: Sequence[PIL.Image.Image] | Pixels) -> Look:
        """The vectors; they tell copies from look-alikes too."""
        return Look(self.images(images))

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Float32 unit rows, shape (n, dimension), through the model's own tokenizer, cut at its context length."""
        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        tokens = self._tokenizer(list(texts)).to(self.device)
        with torch().inference_mode():
            return self._rows(self.network.encode_text(tokens))

    @cached_property
    def device(self) -> str:
        """Where the model runs."""
        return self._device or best_device()

    @cached_property
    def network(self) -> Any:
        """The torch module, for those who fine-tune or time it."""
        made = self.recipe
        gelu = {} if made.quick_gelu is None else {"quick_gelu": made.quick_gelu}
        model = self._loaded(
            lambda open_clip: open_clip.create_model(
                made.model, made.weights, device="cpu", require_pretrained=True, **gelu
            )
        )
        return model.to(self._type).eval().to(self.device)

    @cached_property
    def _tokenizer(self) -> Any:
        return self._loaded(lambda open_clip: open_clip.get_tokenizer(self.recipe.tokenizer))

    def _loaded(self, load: Callable[[Any], Any]) -> Any:
        silent = logging.NullHandler()
        try:
            with warnings.catch_warnings():
                # It compares the tag with the configuration before our own choice takes effect.
                warnings.filterwarnings("ignore", message="QuickGELU mismatch", category=UserWarning)
                # It logs what it then raises, and logging prints that where nobody set it up.
                logging.getLogger().addHandler(silent)
                return load(library("open_clip", "open_clip_torch", "clip"))
        except Exception as error:  # hubs, downloads and file readers raise whatever they like
            made, reason = self.recipe, str(error).strip().rstrip(".") or type(error).__name__
            hint = "" if self._name.file is not None else f"; {WITHOUT_NETWORK}"
            raise UsageError(
                f"open_clip cannot load {made.model} with {made.weights or 'its weights'}: {reason}{hint}"
            ) from error
        finally:
            logging.getLogger().removeHandler(silent)

    def _rows(self, rows: Any) -> Vectors:
        values: npt.NDArray[np.float32] = rows.float().cpu().numpy()
        return unit_rows(values)

    @cached_property
    def _type(self) -> Any:
        return getattr(torch(), self.precision)

    @cached_property
    def _mean(self) -> Any:
        return self._statistic(self.recipe.preprocessing.mean)

    @cached_property
    def _std(self) -> Any:
        return self._statistic(self.recipe.preprocessing.std)

    def _statistic(self, values: tuple[float, float, float]) -> Any:
        return torch().tensor(values, device=self.device).view(1, 3, 1, 1)
