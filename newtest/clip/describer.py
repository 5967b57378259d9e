"""Describers: pictures as unit vectors that tell copies from look-alikes. They need no texts, as encoders do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt
import PIL.Image

from newtest.clip.encoder import Encoder, Pixels, Vectors
from newtest.clip.loading import encoder
from newtest.config import fingerprint
from newtest.errors import UsageError

__all__ = ["DEFAULT", "Describer", "describer"]

DEFAULT = "efficientnet-lite0"
"""Its weights come with pip, so it works without a network."""


class Describer(Protocol):
    """Pictures to float32 rows of length 1; near rows are near pictures."""

    @property
    def source(self) -> str:
        """What ``describer`` makes it of again, in whichever folder."""
        ...

    @property
    def name(self) -> str:
        """What tells this describer from every other: model and weights."""
        ...

    def prepare(self, image: PIL.Image.Image) -> npt.NDArray[Any]:
        """An RGB image as the array that the model looks at."""
        ...

    def describe(self, pictures: npt.NDArray[Any]) -> Vectors:
        """Float32 unit rows, shape (n, features), of prepared pictures that were stacked, as one batch."""
        ...


def describer(name: str = DEFAULT, *, device: str | None = None) -> Describer:
    """A describer by name: ``efficientnet-lite0``, ``timm:MODEL`` or an encoder of images and texts.

    Encoders are ``open_clip:ARCH/TAG`` and what ``newtest.clip.loading.encoder`` takes. ``@CHECKPOINT`` behind a model
    names a local file in place of the published weights: ``timm:resnet18@weights.safetensors``. Raises UsageError,
    and MissingExtra.
    """
    if name in (DEFAULT, "conse"):  # ConSE describes by the same features, and needs a text model besides
        from newtest.clip.efficientnet import EfficientNetLite0

        return EfficientNetLite0(device=device)
    if name.startswith("timm:"):
        from newtest.clip.timm_models import TimmFeatures

        model, at, checkpoint = name.removeprefix("timm:").partition("@")
        return TimmFeatures(model, Path(checkpoint).resolve() if at else None, device=device)
    if name.startswith(("open_clip:", "hf-hub:", "local-dir:")) or "/" in name or "@" in name:
        from newtest.clip.open_clip_names import ModelName

        place = ModelName.parse(name.removeprefix("open_clip:")).anywhere()
        return _Encoded(f"open_clip:{place}", encoder(place, device=device))
    raise UsageError(
        f"nothing that describes pictures is called {name!r}; give {DEFAULT}, timm:NAME (timm:resnet18.a1_in1k), "
        "open_clip:ARCH/TAG (open_clip:ViT-B-32/openai), or @CHECKPOINT behind a model for a local file"
    )


class _Encoded:
    """An encoder's images."""

    def __init__(self, source: str, model: Encoder) -> None:
        self.source, self._model = source, model

    @property
    def name(self) -> str:
        # Features of other pixels lie in other places, and a study keeps features by this name.
        return f"{self._model.name}#{fingerprint(self._model.preprocessing)[:8]}"

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        return self._model.prepare(image)

    def describe(self, pictures: Pixels) -> Vectors:
        look = self._model.look(pictures)
        return look.vectors if look.descriptors is None else look.descriptors
