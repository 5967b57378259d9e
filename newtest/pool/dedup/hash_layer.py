"""The layer of hashes of a pool's images, and what makes it. Its workers load nothing of what joins them."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import ImageError
from newtest.hashes import FRAMINGS, KIND, WORDS, hash_of
from newtest.images import check
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired
from newtest.pool.storage.tars import Sample

__all__ = ["HASHES", "HashShard", "hashed"]

HASHES = Layer("hashes", {"perceptual": KIND, "bytes": "sha256", "rule": 1})


class HashShard:
    """A worker's function: the hashes of one shard, a row each, with the reason where one is missing."""

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        rows = pool.rows(shard)
        digests: list[str | None] = [None] * rows
        perceptual: list[list[int] | None] = [None] * rows
        reasons: list[str | None] = ["no image"] * rows
        for row, sample in paired(pool, shard):
            digests[row], perceptual[row], reasons[row] = hashed(sample)
        width = len(FRAMINGS) * WORDS
        return pa.table(
            {
                "sha256": pa.array(digests, pa.string()), "reason": pa.array(reasons, pa.string()),
                "perceptual": pa.array(perceptual, pa.list_(pa.uint64(), width)),
            }
        )  # fmt: skip


def hashed(sample: Sample) -> tuple[str | None, list[int] | None, str | None]:
    """sha256 and perceptual hash of a sample's image, and why one is missing."""
    if sample.image is None:
        return None, None, sample.why
    return hashlib.sha256(sample.image).hexdigest(), *_perceptual(sample.image)


def _perceptual(data: bytes) -> tuple[list[int] | None, str | None]:
    try:
        check(data)
        words: npt.NDArray[np.uint64] | None = hash_of(data)
    except ImageError as error:
        return None, error.kind
    return (None, "flat picture") if words is None else (words.reshape(-1).tolist(), None)
