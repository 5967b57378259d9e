"""Find the duplicates of a pool and keep one of each group.

Four ways to find pairs: *bytes* (equal sha256), *hash* (perceptual hashes within a distance), *exact* (all
pairs of embeddings at or above a similarity) and *semantic* (SemDeDup, Abbas et al. 2023: the same within
clusters of a k-means, for pools too large to join whole). Whatever found them, a group is a connected
component of the pairs, and the one that stays has the highest score, then the most pixels, then the lowest
uid: no order of reading plays a part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import UsageError
from newtest.pool.dedup import uncompared
from newtest.pool.dedup.choice import best_method
from newtest.pool.dedup.clusters import Clustered, clustered
from newtest.pool.dedup.hashing import hash_pairs, sha256_column
from newtest.pool.dedup.pairs import Pairs, components
from newtest.pool.storage import uids as ids
from newtest.pool.storage.columns import numbers, read_batches
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.score_columns import score_source
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.uids import Uids
from newtest.pool.storage.vectors import VectorSource, gathered, vector_source
from newtest.progress import UNWATCHED, Progress

__all__ = ["METHODS", "DedupConfig", "Deduplicated", "Ranks", "dedup", "keepers"]

METHODS = ("auto", "bytes", "hash", "exact", "semantic")


@dataclass(frozen=True)
class DedupConfig:
    """How pairs are found. ``threshold`` is a similarity (larger is closer), ``radius`` a distance in bits of 144."""

    method: Literal["auto", "bytes", "hash", "exact", "semantic"] = "auto"
    """auto: what ``best_method`` finds."""
    threshold: float = 0.95
    radius: int = 12
    encoder: str | None = None
    clusters: int = 0
    """0: one for every 1,000 vectors."""
    seed: int = 0
    device: str = "auto"
    vectors: str | None = None
    """Vectors that were made elsewhere (``newtest.pool.storage.outside_vectors``)."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"`method` {self.method!r} is not one of {', '.join(METHODS)}")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"a similarity threshold is more than 0 and at most 1, not {self.threshold}")


@dataclass(frozen=True)
class Deduplicated:
    """The subset that stays, and every pair with the uids of both."""

    subset: Subset
    pairs: pa.Table


def dedup(pool: Pool, config: DedupConfig, progress: Progress = UNWATCHED) -> Deduplicated:
    """Find pairs and choose who stays. Rows that cannot be compared stay and are counted; ``progress`` is shown the
    hashing, where that is due. Raises PoolError, UsageError.
    """
    if config.method == "auto":
        method, because = best_method(pool, config.encoder, config.vectors)
        progress.say(f"method: {method} ({because})")
        config = replace(config, method=method)
    ranks = _ranks(pool, config.encoder)
    details: dict[str, Any] = {}
    why: dict[str, int]
    if config.method == "bytes":
        pairs, compared = _same_bytes(pool, progress)
        why = uncompared.by_bytes(pool, len(ranks.uids) - compared)
    elif config.method == "hash":
        pairs, compared = hash_pairs(pool, config.radius, progress)
        why = uncompared.by_hash(pool, len(ranks.uids) - compared)
    else:
        source = vector_source(pool, config.encoder, config.vectors)
        pairs, compared, details = _similar(pool, config, source)
        why = uncompared.by_vectors(pool, source.layer, len(ranks.uids) - compared)
    groups = components(len(ranks.uids), pairs)
    stays = keepers(groups, ranks)
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "dedup": {"method": config.method, "seed": config.seed, **_setting(config), **details},
        "keep_rule": f"highest {ranks.score_name or 'score (not there)'}, then most pixels, then lowest uid",
        "rows_read": len(ranks.uids),
        "rows_not_compared": len(ranks.uids) - compared,
        "not_compared": why,
        "pairs": len(pairs.left),
        "groups": int(np.count_nonzero(np.bincount(groups) > 1)) if len(groups) else 0,
        "rows_removed": int(np.count_nonzero(~stays)),
    }
    return Deduplicated(
        Subset.of(ranks.uids[stays], manifest, chosen_rows(pool, stays)),
        _named(pairs, groups, ranks.uids, stays),
    )


def keepers(groups: npt.NDArray[np.int64], ranks: Ranks) -> npt.NDArray[np.bool_]:
    """Which rows stay, one of each group, shape (n,)."""
    low, high = ranks.uids["f1"], ranks.uids["f0"]
    best_first = np.lexsort((np.arange(len(groups)), low, high, -ranks.pixels, -ranks.scores, groups))
    ordered = groups[best_first]
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    stays = np.zeros(len(groups), np.bool_)
    stays[best_first[first]] = True
    return stays


@dataclass(frozen=True)
class Ranks:
    """What decides who stays; a missing score counts as the lowest, a missing size as no pixels."""

    uids: Uids
    scores: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.float64]
    score_name: str | None


def _ranks(pool: Pool, encoder: str | None) -> Ranks:
    source = score_source(pool, None, encoder)
    sized = all(pool.tells(shard, side) for shard in pool.shards for side in ("width", "height"))
    columns = ["uid", *([source.column] if source else []), *(["width", "height"] if sized else [])]
    uids, scores, pixels = [], [], []
    for shard in pool.shards:
        for batch in read_batches(pool, shard, columns, source.layers if source else {}):
            uids.append(ids.from_arrow(batch["uid"].combine_chunks(), shard.name))
            nothing = np.zeros(len(batch))
            scores.append(np.nan_to_num(numbers(batch[source.column]), nan=-np.inf) if source else nothing)
            pixels.append(
                np.nan_to_num(numbers(batch["width"]) * numbers(batch["height"])) if sized else nothing
            )
    empty = [np.empty(0)]
    return Ranks(
        ids.concatenated(uids), np.concatenate(scores or empty), np.concatenate(pixels or empty),
        source.column if source else None,
    )  # fmt: skip


def _same_bytes(pool: Pool, progress: Progress) -> tuple[Pairs, int]:
    """Each row with the first row of equal sha256."""
    digests = np.array(sha256_column(pool, progress), dtype=object)
    known = np.flatnonzero(np.array([digest is not None for digest in digests], np.bool_))
    first: dict[str, int] = {}
    found = [(first.setdefault(digests[row], int(row)), int(row)) for row in known]
    pairs = np.array([pair for pair in found if pair[0] != pair[1]], np.int64).reshape(-1, 2)
    return Pairs(pairs[:, 0], pairs[:, 1], np.ones(len(pairs), np.float32)), len(known)


def _similar(pool: Pool, config: DedupConfig, source: VectorSource) -> tuple[Pairs, int, dict[str, Any]]:
    from newtest.neighbors import pairs_above

    details: dict[str, Any] = {"vectors": source.said}
    every = gathered(pool, source)
    if config.method == "exact":
        left, right, closeness = pairs_above(every.vectors, threshold=config.threshold, device=config.device)
    else:
        result: Clustered = clustered(
            every.vectors, config.threshold, config.clusters, config.seed, config.device
        )
        left, right, closeness = result.left, result.right, result.closeness
        details |= result.details
    return Pairs(every.rows[left], every.rows[right], closeness), len(every.rows), details


def _setting(config: DedupConfig) -> dict[str, Any]:
    if config.method == "bytes":
        return {}
    return {"radius": config.radius} if config.method == "hash" else {"threshold": config.threshold}


def _named(pairs: Pairs, groups: npt.NDArray[np.int64], uids: Uids, stays: npt.NDArray[np.bool_]) -> pa.Table:
    left, right = ids.to_hex(uids[pairs.left]).to_pylist(), ids.to_hex(uids[pairs.right]).to_pylist()
    kept = [
        a if stays[i] else b if stays[j] else None
        for a, b, i, j in zip(left, right, pairs.left, pairs.right, strict=True)
    ]
    return pa.table(
        {
            "uid_a": pa.array(left, pa.string()), "uid_b": pa.array(right, pa.string()), "closeness": pairs.closeness,
            "group": groups[pairs.left], "kept": pa.array(kept, pa.string()),
        }
    )  # fmt: skip
