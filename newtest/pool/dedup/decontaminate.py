"""Leave out of a pool what is a near-duplicate of a test set's images.

A set is a folder of images, of tars or of Parquet tables with images inside (a release of newtest in any of
its formats, a pool), or an ``.npy`` of unit rows that the pool's own encoder made. Sets and pool are compared
by embeddings (descriptors where there are any) or by perceptual hashes (framings and mirrored
copies included). Of the pairs a spanning set is kept to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.engines import Engine
from newtest.errors import ImageError, UsageError
from newtest.hashes import RADIUS, hash_of
from newtest.pool.dedup.choice import best_method
from newtest.pool.dedup.hashing import HashJoin
from newtest.pool.dedup.joins import Found, VectorJoin, keeping_for
from newtest.pool.dedup.references import join_against, require_width
from newtest.pool.dedup.target_sets import census_of_set, set_images, something_read, vectors_of_set
from newtest.pool.dedup.uncompared import by_hash, by_vectors
from newtest.pool.storage import uids as ids
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.opt_outs import rows_left_out
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import starts_of
from newtest.pool.storage.row_uids import staying_uids
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.uids import Uids
from newtest.pool.storage.vectors import vector_source
from newtest.progress import UNWATCHED, Progress

__all__ = ["DecontaminateConfig", "Decontaminated", "decontaminate"]


@dataclass(frozen=True)
class DecontaminateConfig:
    """``threshold`` is a similarity (larger is closer), ``radius`` a distance in bits of 144 (smaller is closer)."""

    method: Literal["auto", "exact", "hash"] = "auto"
    """auto: what ``newtest.pool.dedup.choice.best_method`` finds."""
    threshold: float = 0.9
    radius: int = RADIUS
    """As wide as ``newtest dedup`` looks, wider than ``dedup-pool``: a copy that stays voids the test set, a stranger
    that goes costs the pool one row."""
    encoder: str | None = None
    """As ``embed-pool`` was given it; None takes the name that the pool's layer carries."""
    device: str = "auto"
    vectors: str | None = None
    """The pool's vectors, where they were made elsewhere; the sets are then ``.npy`` of the same encoder."""
    block_rows: int = 0
    """As in ``DedupConfig``."""

    def __post_init__(self) -> None:
        if self.method not in ("auto", "exact", "hash"):
            raise UsageError(f"`method` {self.method!r} is not auto, exact or hash")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"a similarity threshold is more than 0 and at most 1, not {self.threshold}")


@dataclass(frozen=True)
class Decontaminated:
    """The rows that are near no set, and of each set a spanning set of the pairs, in which every row and every image
    that has one occurs: uid, set, image, closeness.
    """

    subset: Subset
    pairs: pa.Table


def decontaminate(
    pool: Pool,
    sets: Sequence[str],
    config: DecontaminateConfig,
    progress: Progress = UNWATCHED,
    engine: Engine | None = None,
    workers: int = 0,
) -> Decontaminated:
    """Compare a pool with every set. Rows that cannot be compared stay and are counted; ``progress`` is shown the
    work. ``engine`` runs the items of the work, on so many ``workers``. Raises PoolError, UsageError.
    """
    if not sets:
        raise UsageError("name at least one set with `against`")
    if config.method == "auto":
        method, why = best_method(pool, config.encoder, config.vectors)
        if method != "exact" and any(address.endswith(".npy") for address in sets):
            method, why = "exact", "a set is vectors"
        progress.say(f"method: {method} ({why})")
        config = replace(config, method="exact" if method == "exact" else "hash")
    total = starts_of(pool)[-1]
    keeping = keeping_for(pool, total, config.device, progress, engine, workers)
    comparison = _ByVectors.of(keeping, config) if config.method == "exact" else _ByHashes.of(keeping, config)
    counts: dict[str, dict[str, Any]] = {}
    found: list[tuple[str, list[str], Found]] = []
    gone, compared = np.zeros(total, np.bool_), 0
    for address in sets:
        names, others, unreadable = comparison.read(address)
        near, compared = join_against(keeping, comparison.rows, others, config.block_rows or None)
        gone[near[0]] = True
        found.append((address, names, near))
        counts[address] = {
            "images": len(names), "unreadable": unreadable, "pairs": len(near[0]),
            "rows_removed": len(np.unique(near[0])), "images_found": len(np.unique(near[1])),
        }  # fmt: skip
        if (census := census_of_set(address)) is not None:
            counts[address]["files"] = census.as_json()
            progress.say(f"{address}: {census.says()}")
    opted_out = rows_left_out(pool)
    leaves = gone if opted_out is None else gone | opted_out
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "decontaminate": {"method": config.method, "compared_by": comparison.said, **comparison.setting},
        "sets": counts,
        "rows_read": total,
        "rows_not_compared": total - compared,
        "not_compared": comparison.why(total - compared),
        "rows_opted_out": 0 if opted_out is None else int(np.count_nonzero(opted_out)),
        "rows_removed": int(np.count_nonzero(gone if opted_out is None else gone & ~opted_out)),
    }
    dirty, places = _uids_of(pool, leaves), np.flatnonzero(leaves)
    tables = [
        _pairs(
            dirty[np.searchsorted(places, rows)], address, [names[item] for item in items.tolist()], closeness
        )
        for address, names, (rows, items, closeness) in found
    ]
    stays = ~leaves
    kept = Subset(staying_uids(pool, stays), manifest, chosen_rows(pool, stays))
    return Decontaminated(kept, pa.concat_tables(tables))


def _uids_of(pool: Pool, chosen: npt.NDArray[np.bool_]) -> Uids:
    """The uids of some rows, in the pool's order."""
    found, start = [], 0
    for shard in pool.shards:
        for batch in pool.batches(shard, ["uid"]):
            some = chosen[start : start + len(batch)]
            found.append(ids.from_arrow(batch["uid"].combine_chunks(), shard.name, some))
            start += len(batch)
    return ids.concatenated(found)


@dataclass(frozen=True)
class _ByVectors:
    """The pool's vectors, read where they are, against a set's."""

    config: DecontaminateConfig
    rows: VectorJoin

    @classmethod
    def of(cls, keeping: Keeping, config: DecontaminateConfig) -> _ByVectors:
        source = vector_source(keeping.pool, config.encoder, config.vectors)
        starts = starts_of(keeping.pool)
        return cls(config, VectorJoin(keeping.pool, source, starts, config.threshold, config.device))

    @property
    def said(self) -> str:
        return self.rows.source.said

    @property
    def setting(self) -> dict[str, Any]:
        return {"threshold": self.config.threshold}

    def why(self, rows: int) -> dict[str, int]:
        return by_vectors(self.rows.pool, self.rows.source.layer, rows)

    def read(self, address: str) -> tuple[list[str], npt.NDArray[Any], int]:
        source, image_col = self.rows.source, self.rows.pool.image_col
        names, vectors, unreadable = vectors_of_set(source, address, self.config.encoder, image_col)
        require_width(self.rows, address, vectors)
        return names, vectors, unreadable


@dataclass(frozen=True)
class _ByHashes:
    """Perceptual hashes of both."""

    config: DecontaminateConfig
    rows: HashJoin
    said: str = "perceptual hashes"

    @classmethod
    def of(cls, keeping: Keeping, config: DecontaminateConfig) -> _ByHashes:
        return cls(config, HashJoin.of(keeping, config.radius))

    @property
    def setting(self) -> dict[str, Any]:
        return {"radius": self.config.radius}

    def why(self, rows: int) -> dict[str, int]:
        return by_hash(self.rows.pool, rows)

    def read(self, address: str) -> tuple[list[str], npt.NDArray[Any], int]:
        names, hashed, unreadable = [], [], 0
        for name, data in set_images(address, self.rows.pool.image_col):
            try:
                words = None if data is None else hash_of(data)
            except ImageError:
                words = None
            if words is None:
                unreadable += 1
            else:
                names.append(name)
                hashed.append(words)
        something_read(address, len(names), unreadable)
        return names, np.stack(hashed), unreadable


def _pairs(uids: ids.Uids, address: str, names: list[str], closeness: npt.NDArray[np.float32]) -> pa.Table:
    return pa.table(
        {
            "uid": ids.to_hex(uids), "set": pa.array([address] * len(uids), pa.string()),
            "image": pa.array(names, pa.string()), "closeness": pa.array(closeness),
        }
    )  # fmt: skip
