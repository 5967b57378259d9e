"""Rows with equal bytes and with close perceptual hashes, from the layer of hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.config import fingerprint
from newtest.engines import LocalEngine, Resources
from newtest.hashes import FRAMINGS, WORDS, Words
from newtest.neighbors import close_hashes, spanning
from newtest.pool.dedup.copies import Block, Digests, equal_digests
from newtest.pool.dedup.hash_layer import HASHES, HashShard
from newtest.pool.dedup.joins import Found, Joined
from newtest.pool.dedup.pairs import Pairs
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.layers import build
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_images import require_images
from newtest.pool.storage.row_ranges import Range, shards_of, starts_of
from newtest.progress import UNWATCHED, Progress, watched

__all__ = ["HashJoin", "framed_hashes", "same_bytes"]


def same_bytes(keeping: Keeping) -> Joined:
    """Each row with the first row of equal sha256: from the tables where all have the column, else from the images
    (kept as a layer).
    """
    pool = keeping.pool
    told = all(pool.tells(shard, "sha256") for shard in pool.shards)
    if not told:
        _computed(keeping)

    def parts() -> Iterator[tuple[int, Digests]]:
        start = 0
        for shard in pool.shards:
            tables = pool.batches(shard, ["sha256"]) if told else [HASHES.table(pool, shard, ["sha256"])]
            for table in tables:
                yield start, _digests(table["sha256"].to_pylist())
                start += len(table)

    same = equal_digests(parts, starts_of(pool)[-1])
    return Joined(Pairs(same.left, same.right, np.ones(len(same.left), np.float32)), same.there)


def _digests(values: list[str | None]) -> Digests:
    """128 bits of each text."""
    words = np.zeros((len(values), 2), np.uint64)
    for place, value in enumerate(values):
        if value is not None:
            data = hashlib.blake2b(value.encode(), digest_size=16).digest()
            words[place] = np.frombuffer(data, "<u8")
    return words[:, 0], words[:, 1]


def framed_hashes(
    pool: Pool, progress: Progress = UNWATCHED
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes (n, framings, words) of all rows that have one, and their places in the pool; kept as a layer."""
    _computed(Keeping(pool, LocalEngine(), Resources(), progress))
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


@dataclass(frozen=True)
class HashJoin:
    """Pictures whose hashes differ in at most ``radius`` of 144 bits, in any framing, mirrored or not.

    A flat picture has no hash.
    """

    pool: Pool
    starts: tuple[int, ...]
    radius: int

    @classmethod
    def of(cls, keeping: Keeping, radius: int) -> HashJoin:
        """The hashes of a pool; those that it lacks are computed. Raises PoolError."""
        _computed(keeping)
        return cls(keeping.pool, starts_of(keeping.pool), radius)

    @property
    def setting(self) -> Mapping[str, Any]:
        return {"join": "hashes", "radius": self.radius}

    @property
    def equal(self) -> float:
        return 0.0

    def block(self, wanted: Range) -> Block:
        """Hashes (n, framings, words) of a range of rows, and which of them there are."""
        there = np.zeros(wanted[1] - wanted[0], np.bool_)
        words = np.zeros((len(there), len(FRAMINGS) * WORDS), np.uint64)
        place = 0
        for _, shard, low, high in shards_of(self.pool, self.starts, wanted):
            for lists in HASHES.part(self.pool, shard, "perceptual", low, high):
                at = slice(place, place + len(lists))
                there[at] = ~np.asarray(lists.is_null())
                flat = lists.filter(lists.is_valid()).flatten().to_numpy()
                words[at][there[at]] = flat.reshape(-1, words.shape[1])
                place += len(lists)
        return words.reshape(-1, len(FRAMINGS), WORDS), there

    def fingerprint(self, wanted: Range) -> str:
        parts = shards_of(self.pool, self.starts, wanted)
        return fingerprint([(HASHES.file(self.pool, shard), low, high) for _, shard, low, high in parts])

    def join(self, left: Words, right: Words | None) -> Found:
        i, j, distances = close_hashes(left, left if right is None else right, self.radius)
        if right is None:
            once = i < j
            i, j, distances = i[once], j[once], distances[once]
        chosen = spanning(i, j, None if right is None else len(left))
        return i[chosen], j[chosen], distances[chosen]


def _computed(keeping: Keeping) -> None:
    pool = keeping.pool
    require_images(pool)
    outcomes = build(pool, HASHES, HashShard, keeping.engine, Resources(keeping.resources.workers))
    complete(watched(keeping.progress, "hashing", outcomes, len(pool.shards)), len(pool.shards))
