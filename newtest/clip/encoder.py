"""Encoders: pictures and texts as unit vectors of one space, whose dot product is a CLIP score.

Two ship: ``conse`` (weights come with pip, so it works without internet: the default) and open_clip's models.
Which one was used is in every result, by its ``name``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import PIL.Image

__all__ = ["Encoder", "Look", "Pixels", "Vectors", "squeezed", "unit_rows"]

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What an encoder sees in a batch: vectors to compare with texts, and unit rows to tell copies from look-alikes.

    ``descriptors`` is None where the vectors serve for both.
    """

    vectors: Vectors
    descriptors: Vectors | None = None


class Encoder(Protocol):
    """Pictures and texts to float32 rows of length 1."""

    @property
    def name(self) -> str:
        """What tells this encoder from every other: model, weights and precision."""
        ...

    @property
    def preprocessing(self) -> str:
        """What a picture goes through before the model sees it; vectors of two ways are never one layer."""
        ...

    @property
    def dimension(self) -> int:
        """The length of the rows."""
        ...

    def prepare(self, image: PIL.Image.Image) -> Pixels:
        """An RGB image as the pixels that the model looks at, uint8 of shape (side, side, 3); pure and
        thread-safe.
        """
        ...

    def images(self, images: Sequence[PIL.Image.Image] | Pixels) -> Vectors:
        """Float32 unit rows, shape (n, dimension), of RGB images or of prepared pixels (n, side, side, 3),
        as one batch.
        """
        ...

    def look(self, images: Sequence[PIL.Image.Image] | Pixels) -> Look:
        """One batch as ``images`` gives it, and descriptors for near-duplicates, from one forward pass."""
        ...

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Float32 unit rows, shape (n, dimension)."""
        ...


def unit_rows(rows: npt.NDArray[np.floating]) -> Vectors:
    """Rows divided by their lengths, float32; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def squeezed(image: PIL.Image.Image, resize: int, side: int) -> Pixels:
    """The shorter side brought to ``resize`` (bicubic), the middle ``side`` x ``side`` cut out; uint8
    (side, side, 3).
    """
    width, height = image.size
    scale = resize / min(width, height)
    size = max(resize, round(width * scale)), max(resize, round(height * scale))
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    # Resize and crop in one step: a panorama is never enlarged as a whole.
    box = tuple(edge / scale for edge in (left, top, left + side, top + side))
    fitted = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
    cut = image.convert("RGB").resize((side, side), PIL.Image.Resampling.BICUBIC, box=fitted)
    return np.asarray(cut, np.uint8)
