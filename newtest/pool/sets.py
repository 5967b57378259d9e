"""A test set that a pool is compared with: its images, and their vectors by the pool's own encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.encoder import Encoder, encoder, unit_rows
from newtest.errors import ImageError, PoolError, UsageError
from newtest.images import shown
from newtest.pool.place import Entry, place_of
from newtest.pool.pool import Pool, Shard
from newtest.pool.tars import IMAGE_SUFFIXES, MAX_MEMBER, samples
from newtest.pool.vectors import VectorSource

__all__ = ["set_images", "vectors_of_set"]

BATCH = 64


def set_images(address: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of a set's images in the order of their names: loose files, and the samples of tars.
    Raises PoolError.
    """
    place = place_of(address)
    entries = place.entries()
    found = False
    for entry in entries:
        suffix = PurePosixPath(entry.name).suffix[1:].lower()
        if suffix in IMAGE_SUFFIXES and entry.size <= MAX_MEMBER:
            found = True
            with place.open(entry.name) as handle:
                yield entry.name, handle.read()
        elif suffix == "tar":
            shard = Shard(entry.name.removesuffix(".tar"), Entry(entry.name, 0), entry)
            for sample in samples(Pool(address, (), address), shard):
                if sample.image is not None:
                    found = True
                    yield f"{entry.name}:{sample.key}", sample.image
    if not found:
        raise PoolError(
            f"{address}: no images here, neither loose nor in tars; a set is a folder of images, or an "
            ".npy of vectors"
        )


def vectors_of_set(
    source: VectorSource, address: str, model: str | None = None
) -> tuple[list[str], npt.NDArray[Any], int]:
    """Names, unit rows of the kind that ``source`` has for the pool, and how many images could not be read.

    ``model`` is the encoder as ``embed-pool --model`` was given it, where the layer's name is not enough (a
    checkpoint). Raises PoolError, UsageError.
    """
    if address.endswith(".npy"):
        try:
            vectors = np.load(address, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise PoolError(f"{address}: cannot be read as an array of vectors ({error})") from error
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            raise PoolError(
                f"{address}: vectors are (images, numbers), this array is {vectors.shape} of {vectors.dtype}"
            )
        vectors = vectors.astype(np.float32)
        there = np.flatnonzero(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))
        return [str(row) for row in there], unit_rows(vectors[there]), len(vectors) - len(there)
    if source.layer is None:
        raise UsageError(
            f"the pool's vectors are {source.said}: give each set as an .npy of the same encoder's vectors"
        )
    wanted = str(source.layer.config["encoder"])
    chosen = encoder(model or wanted)
    if chosen.name != wanted:
        raise UsageError(
            f"the pool was embedded with {wanted}, and --model gives {chosen.name}; name the same"
        )
    return _embedded(address, chosen, descriptors=source.column == "descriptor")


def _embedded(
    address: str, model: Encoder, *, descriptors: bool
) -> tuple[list[str], npt.NDArray[np.float32], int]:
    names: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    waiting: list[npt.NDArray[np.uint8]] = []
    unreadable = 0

    def flush() -> None:
        if waiting:
            look = model.look(np.stack(waiting))
            rows.append(look.descriptors if descriptors and look.descriptors is not None else look.vectors)
            waiting.clear()

    for name, data in set_images(address):
        try:
            waiting.append(model.prepare(shown(data)))
        except ImageError:
            unreadable += 1
            continue
        names.append(name)
        if len(waiting) == BATCH:
            flush()
    flush()
    return names, np.concatenate(rows) if rows else np.empty((0, 1), np.float32), unreadable
