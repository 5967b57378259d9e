"""Hashes of a pool's images, as a layer: sha256 of the bytes and the perceptual hash of the picture."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.engines import LocalEngine, Resources
from newtest.errors import ImageError
from newtest.hashes import FRAMINGS, KIND, WORDS, hash_of
from newtest.images import check
from newtest.neighbors import close_hashes
from newtest.pool.dedup.pairs import Pairs
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired, require_images
from newtest.progress import UNWATCHED, Progress, watched

__all__ = ["HASHES", "framed_hashes", "hash_pairs", "sha256_column"]

HASHES = Layer("hashes", {"perceptual": KIND, "bytes": "sha256", "rule": 1})


def sha256_column(pool: Pool, progress: Progress = UNWATCHED) -> list[str | None]:
    """The sha256 of every row's image, from the tables where all have the column, else from the images
    (kept as a layer).
    """
    if all(pool.tells(shard, "sha256") for shard in pool.shards):
        tables = (batch for shard in pool.shards for batch in pool.batches(shard, ["sha256"]))
        return [value for table in tables for value in table["sha256"].to_pylist()]
    _computed(pool, progress)
    return [
        value
        for shard in pool.shards
        for value in HASHES.table(pool, shard, ["sha256"])["sha256"].to_pylist()
    ]


def framed_hashes(
    pool: Pool, progress: Progress = UNWATCHED
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes (n, framings, words) of all rows that have one, and their places in the pool; kept as a layer."""
    _computed(pool, progress)
    framed, rows, start = [], [], 0
    for shard in pool.shards:
        column = HASHES.table(pool, shard, ["perceptual"])["perceptual"].to_pylist()
        known = [place for place, value in enumerate(column) if value is not None]
        framed.append(
            np.array([column[place] for place in known], np.uint64).reshape(-1, len(FRAMINGS), WORDS)
        )
        rows.append(np.array(known, np.int64) + start)
        start += len(column)
    return np.concatenate(framed), np.concatenate(rows)


def hash_pairs(pool: Pool, radius: int, progress: Progress = UNWATCHED) -> tuple[Pairs, int]:
    """Pairs of rows whose pictures differ in at most ``radius`` of 144 bits, in any framing, mirrored or not.

    Second: how many rows have a hash (a flat picture has none).
    """
    words, places = framed_hashes(pool, progress)
    i, j, distances = close_hashes(words, words, radius)
    once = i < j
    return Pairs(places[i[once]], places[j[once]], distances[once].astype(np.float32)), len(places)


def _computed(pool: Pool, progress: Progress) -> None:
    require_images(pool)
    outcomes = build(pool, HASHES, _HashShard, LocalEngine(), Resources())
    complete(watched(progress, "hashing", outcomes, len(pool.shards)), len(pool.shards))


class _HashShard:
    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        rows = pool.rows(shard)
        digests: list[str | None] = [None] * rows
        perceptual: list[list[int] | None] = [None] * rows
        reasons: list[str | None] = ["no image"] * rows
        for row, sample in paired(pool, shard):
            if sample.image is not None:
                digests[row] = hashlib.sha256(sample.image).hexdigest()
                perceptual[row], reasons[row] = _perceptual(sample.image)
            else:
                reasons[row] = sample.why
        width = len(FRAMINGS) * WORDS
        return pa.table(
            {
                "sha256": pa.array(digests, pa.string()), "reason": pa.array(reasons, pa.string()),
                "perceptual": pa.array(perceptual, pa.list_(pa.uint64(), width)),
            }
        )  # fmt: skip


def _perceptual(data: bytes) -> tuple[list[int] | None, str | None]:
    try:
        check(data)
        words: npt.NDArray[np.uint64] | None = hash_of(data)
    except ImageError as error:
        return None, error.kind
    return (None, "flat picture") if words is None else (words.reshape(-1).tolist(), None)
