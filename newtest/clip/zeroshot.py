"""Zero-shot classification and retrieval on embeddings (Radford et al. 2021): plain arrays, no network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError

__all__ = ["LOGIT_SCALE", "class_embeddings", "normalised", "retrieve", "top_classes", "zero_shot_logits"]

Floats = npt.NDArray[np.float32]

LOGIT_SCALE = 100.0
"""CLIP's learned temperature, clipped at 100 in training."""

ROWS = 8192  # images whose logits are held at a time


def normalised(rows: npt.ArrayLike) -> Floats:
    """Rows of unit L2 norm along the last axis, float32. Raises UsageError for a zero or non-finite row."""
    values = np.asarray(rows, dtype=np.float32)
    norms = np.linalg.norm(values, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        bad = int(np.flatnonzero(~(np.isfinite(norms) & (norms > 0)).reshape(-1))[0])
        raise UsageError(f"embedding {bad} is zero or not finite; embed that item again or leave it out")
    unit: Floats = values / norms
    return unit


def class_embeddings(texts: npt.ArrayLike) -> Floats:
    """(classes, templates, D) text embeddings -> (classes, D) unit rows.

    Each embedding is normalised, their mean over the templates taken and normalised again: embeddings are averaged,
    not probabilities (Radford et al. 2021, section 3.1.4).
    """
    values = np.asarray(texts, dtype=np.float32)
    if values.ndim != 3:
        raise UsageError(
            f"text embeddings must be (classes, templates, dimensions), got shape {values.shape}"
        )
    return normalised(normalised(values).mean(axis=1))


def zero_shot_logits(images: npt.ArrayLike, classes: npt.ArrayLike) -> Floats:
    """100 x cosine of each image (N, D) with each class (C, D): shape (N, C)."""
    one, two = normalised(images), normalised(classes)
    if one.shape[-1] != two.shape[-1]:
        raise UsageError(
            f"images have {one.shape[-1]} dimensions and classes {two.shape[-1]}: not of the same model"
        )
    logits: Floats = LOGIT_SCALE * (one @ two.T)
    return logits


def top_classes(images: npt.ArrayLike, classes: npt.ArrayLike, k: int = 5) -> npt.NDArray[np.int64]:
    """The k likeliest classes of each image, best first, shape (N, k); equal logits by the lower index.

    ``k`` is cut to the number of classes. Memory is bounded by a block of images, not by N x C.
    """
    one, two = np.asarray(images), normalised(classes)
    k = min(k, len(two))
    found = [
        np.argsort(-zero_shot_logits(one[start : start + ROWS], two), axis=1, kind="stable")[:, :k]
        for start in range(0, len(one), ROWS)
    ]
    return np.concatenate(found) if found else np.empty((0, k), dtype=np.int64)


def retrieve(
    texts: npt.ArrayLike, images: npt.ArrayLike, k: int = 10
) -> tuple[npt.NDArray[np.int64], Floats]:
    """The inverse direction: for each text (T, D) the k best images and their cosines, both (T, k), best first."""
    cosine = zero_shot_logits(texts, images) / LOGIT_SCALE
    order = np.argsort(-cosine, axis=1, kind="stable")[:, : min(k, cosine.shape[1])]
    return order, np.take_along_axis(cosine, order, axis=1)
