"""Find the duplicates of a pool and keep one of each group.

Four ways to find pairs: *bytes* (equal sha256), *hash* (perceptual hashes within a distance), *exact* (all
pairs of embeddings at or above a similarity) and *semantic* (SemDeDup, Abbas et al. 2023: the same within
clusters of a k-means, for pools too large to join whole). Whatever found them, a group is a connected
component of the pairs, of which a spanning set is reported with the group's size. The one that stays has the
highest score, then the most pixels, then the lowest uid: no order of reading plays a part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.engines import Engine
from newtest.errors import UsageError
from newtest.pool.dedup import uncompared
from newtest.pool.dedup.choice import best_method
from newtest.pool.dedup.clusters import join_in_clusters
from newtest.pool.dedup.fair import fair
from newtest.pool.dedup.hashing import HashJoin, same_bytes
from newtest.pool.dedup.joins import Joined, VectorJoin, join_within, keeping_for
from newtest.pool.dedup.pairs import Groups, Pairs, grouped
from newtest.pool.dedup.ranks import Ranks, keepers, ranked
from newtest.pool.storage import uids as ids
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.opt_outs import rows_left_out
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import starts_of
from newtest.pool.storage.row_uids import staying_uids
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.vectors import vector_source
from newtest.progress import UNWATCHED, Progress

__all__ = ["METHODS", "DedupConfig", "Deduplicated", "dedup"]

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
    """0: one for every 1,000 vectors, at most 100,000."""
    seed: int = 0
    device: str = "auto"
    vectors: str | None = None
    """Vectors that were made elsewhere (``newtest.pool.storage.outside_vectors``)."""
    probe: int = 1
    """Nearest clusters that a row is compared in (semantic): more of them miss fewer pairs."""
    fair: Path | None = None
    """Concepts that should not be lost (``newtest.pool.dedup.fair``): captions, or an ``.npy`` of vectors."""
    block_rows: int = 0
    """Rows of the ranges that are joined with each other; 0 is newtest's choice. It never shows in the result."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"`method` {self.method!r} is not one of {', '.join(METHODS)}")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"a similarity threshold is more than 0 and at most 1, not {self.threshold}")
        if self.probe < 1:
            raise UsageError(f"`probe` must be at least 1, not {self.probe}")


@dataclass(frozen=True)
class Deduplicated:
    """The subset that stays, and a spanning set of the pairs of each group, with the uids of both."""

    subset: Subset
    pairs: pa.Table


def dedup(
    pool: Pool,
    config: DedupConfig,
    progress: Progress = UNWATCHED,
    engine: Engine | None = None,
    workers: int = 0,
) -> Deduplicated:
    """Find pairs and choose who stays. Rows that cannot be compared stay and are counted; ``progress`` is shown the
    work. ``engine`` runs the items of the work, on so many ``workers``. Raises PoolError, UsageError.
    """
    if config.method == "auto":
        method, because = best_method(pool, config.encoder, config.vectors)
        progress.say(f"method: {method} ({because})")
        config = replace(config, method=method)
    rows = starts_of(pool)[-1]
    keeping = keeping_for(pool, rows, config.device, progress, engine, workers)
    found, details, layer = _found(keeping, config)
    groups = grouped(found.pairs)
    ranks = ranked(pool, groups.rows, config.encoder)
    opted_out = rows_left_out(pool)
    out = np.zeros(rows, np.bool_) if opted_out is None else opted_out
    stays = np.ones(rows, np.bool_)
    keep_rule: Any = f"highest {ranks.score_name or 'score (not there)'}, then most pixels, then lowest uid"
    if config.fair is None:
        stays[groups.rows] = keepers(groups.numbers, ranks, out[groups.rows])
    else:
        chosen, keep_rule = fair(
            pool, groups, config.fair, out, progress, model=config.encoder, outside=config.vectors
        )
        stays[groups.rows] = chosen.stays
    copies = ~stays & ~out
    stays &= ~out
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "dedup": {"method": config.method, "seed": config.seed, **_setting(config), **details},
        "keep_rule": keep_rule,
        "rows_read": rows,
        "rows_not_compared": rows - found.compared,
        "not_compared": _why(pool, config, layer, rows - found.compared),
        "pairs": len(found.pairs.left),
        "groups": len(groups),
        "largest_group": int(groups.sizes.max(initial=0)),
        "rows_opted_out": int(np.count_nonzero(out)),
        "rows_removed": int(np.count_nonzero(copies)),
    }
    kept = Subset(staying_uids(pool, stays), manifest, chosen_rows(pool, stays))
    return Deduplicated(kept, _named(found.pairs, groups, ranks, stays))


def _why(pool: Pool, config: DedupConfig, layer: Layer | None, rows: int) -> dict[str, int]:
    if config.method == "bytes":
        return uncompared.by_bytes(pool, rows)
    if config.method == "hash":
        return uncompared.by_hash(pool, rows)
    return uncompared.by_vectors(pool, layer, rows)


def _found(keeping: Keeping, config: DedupConfig) -> tuple[Joined, dict[str, Any], Layer | None]:
    """The pairs, the facts about them, and the layer that was compared."""
    pool, block = keeping.pool, config.block_rows or None
    if config.method == "bytes":
        return same_bytes(keeping), {}, None
    if config.method == "hash":
        return join_within(keeping, HashJoin.of(keeping, config.radius), block), {}, None
    source = vector_source(pool, config.encoder, config.vectors)
    details: dict[str, Any] = {"vectors": source.said}
    rows = VectorJoin(pool, source, starts_of(pool), config.threshold, config.device)
    if config.method == "exact":
        return join_within(keeping, rows, block), details, source.layer
    found, told = join_in_clusters(keeping, rows, config.clusters, config.probe, config.seed, block)
    return found, details | told | {"probe": config.probe}, source.layer


def _setting(config: DedupConfig) -> dict[str, Any]:
    if config.method == "bytes":
        return {}
    return {"radius": config.radius} if config.method == "hash" else {"threshold": config.threshold}


def _named(pairs: Pairs, groups: Groups, ranks: Ranks, stays: npt.NDArray[np.bool_]) -> pa.Table:
    left, right = (np.searchsorted(groups.rows, side) for side in (pairs.left, pairs.right))
    names = ids.to_hex(ranks.uids)
    a, b = (names.take(pa.array(side)) for side in (left, right))
    kept = pc.if_else(stays[pairs.left], a, pc.if_else(stays[pairs.right], b, None))
    numbers = groups.numbers[left]
    return pa.table(
        {
            "uid_a": a, "uid_b": b, "closeness": pairs.closeness, "group": numbers, "kept": kept,
            "group_size": groups.sizes[numbers] if len(groups) else np.empty(0, np.int64),
        }
    )  # fmt: skip
