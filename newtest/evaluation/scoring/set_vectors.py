"""The pictures of a set as an encoder's vectors, kept in pieces as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newtest.clip.cache import cached
from newtest.clip.encoder import Encoder, Pixels, Vectors
from newtest.clip.torch_runtime import gpus
from newtest.config import fingerprint
from newtest.engines.base import cores
from newtest.errors import EvaluationError, ImageError
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.files import cache_folder
from newtest.images import shown
from newtest.images.ahead import AHEAD, decoded_ahead
from newtest.progress import UNWATCHED, Progress
from newtest.sets import archive_of, image_at

__all__ = ["SetVectors", "file_facts", "set_vectors"]

PIECE, BATCH = 256, 32
"""Images per file of the cache, and images per forward pass unless another number is asked for."""


@dataclass(frozen=True)
class SetVectors:
    """``vectors`` (N, D), unit rows in the order of the set; a row of zeros where the picture could not be read."""

    vectors: Vectors = field(repr=False)
    encoder: str

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """Which rows are pictures, (N,)."""
        return np.asarray(self.vectors.any(axis=1))


def set_vectors(
    evaluated: EvaluationSet,
    encoder: Encoder,
    cache: Path | None = None,
    progress: Progress = UNWATCHED,
    *,
    batch: int = BATCH,
) -> SetVectors:
    """Embed every picture of a set, ``batch`` at once; a killed run goes on behind its last piece.

    A piece is known by the encoder and by path, size and time of change of its files. Raises EvaluationError when the
    set names no files.
    """
    if "path" not in evaluated.images.columns:
        raise EvaluationError(f"{evaluated.name}: an encoder needs the pictures, but the set names no files")
    if doubt := getattr(encoder, "doubt", ""):
        progress.say(f"warning: {doubt}")
    paths = evaluated.images["path"].astype(str).tolist()
    root = (cache or cache_folder()) / "images"
    parts = []
    for start in range(0, len(paths), PIECE):
        piece = paths[start : start + PIECE]
        key = fingerprint(
            "images", 3, encoder.name, encoder.preprocessing, [file_facts(path) for path in piece]
        )
        shape = len(piece), encoder.dimension
        parts.append(cached(root / key[:2] / f"{key}.npy", shape, partial(_embed, piece, encoder, batch)))
        progress.advance("images", len(piece), len(evaluated))
    return SetVectors(np.concatenate(parts), encoder.name)


def file_facts(path: str) -> tuple[str, int, int]:
    """Path, size and time of change: what a piece of work on a file is known by; size -1 where it is not there."""
    try:
        about = Path(archive_of(path)).stat()
    except OSError:
        return path, -1, 0
    return str(Path(path).absolute()), about.st_size, about.st_mtime_ns


def _embed(paths: Sequence[str], encoder: Encoder, batch: int) -> Vectors:
    vectors = np.zeros((len(paths), encoder.dimension), np.float32)
    ahead = AHEAD if gpus() else 0
    decoded = decoded_ahead(
        enumerate(paths),
        lambda pair: (pair[0], _pixels(pair[1], encoder)),
        batch=batch, ahead=ahead, threads=cores(),
    )  # fmt: skip
    with closing(decoded):
        for pictures in decoded:
            whole = [(row, pixels) for row, pixels in pictures if pixels is not None]
            if whole:
                rows = [row for row, _ in whole]
                vectors[rows] = encoder.images(np.stack([pixels for _, pixels in whole]))
    return vectors


def _pixels(path: str, encoder: Encoder) -> Pixels | None:
    try:
        return encoder.prepare(shown(image_at(path)))
    except (OSError, ValueError, ImageError):
        return None
