"""Embeddings that are kept between runs: pieces of an encoder's work, named by what went into them.

The folder is ``$NEWTEST_CACHE``, else ``~/.cache/newtest``. Nothing in it is needed: what is missing or damaged is
computed again, and the folder may be removed at any time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.clip.encoder import Encoder, Vectors
from newtest.clip.prompts import fill
from newtest.clip.zeroshot import class_embeddings
from newtest.config import fingerprint
from newtest.errors import UsageError
from newtest.files import cache_folder, write_atomic
from newtest.progress import UNWATCHED, Progress
from newtest.reading.arrays import load_array

__all__ = ["TEXTS", "cached", "named_classes", "text_vectors"]

TEXTS = 512
"""Texts a piece: what a killed run loses at most, and what one forward pass must hold."""

"""Told how many items are done since the last call."""


def cached(path: Path, shape: tuple[int, int], compute: Callable[[], npt.NDArray[np.float32]]) -> Vectors:
    """The float32 array of this shape in ``path`` (.npy), computed and kept where it is missing or damaged.

    Raises UsageError where the folder cannot be written.
    """
    try:
        kept = load_array(path)
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    except (OSError, ValueError):
        pass  # never made, or damaged: made now
    vectors = np.ascontiguousarray(compute(), dtype=np.float32)
    packed = io.BytesIO()
    np.save(packed, vectors, allow_pickle=False)
    try:
        write_atomic(path, packed.getvalue())
    except OSError as error:
        raise UsageError(
            f"{path.parent}: embeddings cannot be kept there ({error.strerror}); set NEWTEST_CACHE to a folder "
            "that can be written"
        ) from error
    return vectors


def text_vectors(
    encoder: Encoder, texts: Sequence[str], cache: Path | None = None, progress: Progress = UNWATCHED
) -> Vectors:
    """Unit rows (texts, dimension), taken from the cache where this encoder has seen the same piece of texts before."""
    root = (cache or cache_folder()) / "texts"
    parts = []
    for start in range(0, len(texts), TEXTS):
        piece = list(texts[start : start + TEXTS])
        key = fingerprint("texts", 1, encoder.name, piece)
        path = root / key[:2] / f"{key}.npy"
        parts.append(
            cached(path, (len(piece), encoder.dimension), lambda piece=piece: encoder.texts(piece))  # type: ignore[misc]
        )
        progress.advance("texts", len(piece), len(texts))
    return np.concatenate(parts) if parts else np.empty((0, encoder.dimension), np.float32)


def named_classes(
    encoder: Encoder,
    templates: Sequence[str],
    names: Sequence[str],
    cache: Path | None = None,
    progress: Progress = UNWATCHED,
) -> Vectors:
    """The zero-shot classifier: a unit row per class name, (classes, dimension), by ``class_embeddings``.

    Goes through the classes in pieces, so that 80 templates of 1,000 classes never lie in memory at once.
    """
    at_once = max(1, TEXTS // len(templates))
    rows = []
    for start in range(0, len(names), at_once):
        piece = names[start : start + at_once]
        texts = [text for name in piece for text in fill(templates, name)]
        vectors = text_vectors(encoder, texts, cache, progress)
        rows.append(class_embeddings(vectors.reshape(len(piece), len(templates), -1)))
    return np.concatenate(rows) if rows else np.empty((0, encoder.dimension), np.float32)
