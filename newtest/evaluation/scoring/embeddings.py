"""Embeddings from files: ``.npy`` (N, D), or ``.npz`` with ``embeddings`` and optionally ``labels``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError
from newtest.reading.arrays import is_archive, load_array, open_arrays

__all__ = ["Embedded", "read_embeddings", "shared_rows"]


@dataclass(frozen=True)
class Embedded:
    """A set of images as vectors (N, D), and their classes (N,) where they are known."""

    name: str
    vectors: npt.NDArray[np.float64] = field(repr=False)
    labels: npt.NDArray[np.int64] | None = field(default=None, repr=False)


def read_embeddings(path: Path) -> Embedded:
    """Read one set of embeddings, named by its file. Raises EvaluationError; nothing is unpickled."""
    try:
        if not is_archive(path):
            return Embedded(path.stem, load_array(path).astype(np.float64))
        with open_arrays(path) as loaded:
            names = loaded.files
            labels = loaded["labels"].astype(np.int64) if "labels" in loaded.files else None
            return Embedded(path.stem, loaded["embeddings"].astype(np.float64), labels)
    except KeyError:
        raise EvaluationError(f"{path}: no array 'embeddings' in it; there are {', '.join(names)}") from None
    except (OSError, ValueError, TypeError, MemoryError) as error:
        raise EvaluationError(f"{path}: cannot be read as embeddings, .npy or .npz ({error})") from error


def shared_rows(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> int:
    """How many rows of ``other`` are rows of ``one`` too, bit for bit as float32: the same pictures, as a rule."""
    known = {row.tobytes() for row in np.ascontiguousarray(one, dtype=np.float32)}
    return sum(row.tobytes() in known for row in np.ascontiguousarray(other, dtype=np.float32))
