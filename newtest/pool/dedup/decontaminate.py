"""Leave out of a pool what is a near-duplicate of a test set's images.

A set is a folder of images, of tars or of Parquet tables with images inside (a release of newtest in any of
its formats, a pool), or an ``.npy`` of unit rows that the pool's own encoder made. Sets and pool are compared
by embeddings (descriptors where there are any) or by perceptual hashes (framings and mirrored
copies included). Every pair is kept to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import ImageError, PoolError, UsageError
from newtest.hashes import RADIUS, hash_of
from newtest.neighbors import close_hashes, pairs_above
from newtest.pool.dedup.choice import best_method
from newtest.pool.dedup.hashing import framed_hashes
from newtest.pool.dedup.target_sets import census_of_set, set_images, something_read, vectors_of_set
from newtest.pool.dedup.uncompared import by_hash, by_vectors
from newtest.pool.storage import uids as ids
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.vectors import gathered, vector_source
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

    def __post_init__(self) -> None:
        if self.method not in ("auto", "exact", "hash"):
            raise UsageError(f"`method` {self.method!r} is not auto, exact or hash")
        if not 0 < self.threshold <= 1:
            raise UsageError(f"a similarity threshold is more than 0 and at most 1, not {self.threshold}")


@dataclass(frozen=True)
class Decontaminated:
    """The rows that are near no set, and every pair: uid, set, image, closeness."""

    subset: Subset
    pairs: pa.Table


@dataclass(frozen=True)
class _Near:
    rows: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    closeness: npt.NDArray[np.float32]


def decontaminate(
    pool: Pool, sets: Sequence[str], config: DecontaminateConfig, progress: Progress = UNWATCHED
) -> Decontaminated:
    """Compare a pool with every set. Rows that cannot be compared stay and are counted; ``progress`` is shown the
    hashing, where that is due. Raises PoolError, UsageError.
    """
    if not sets:
        raise UsageError("name at least one set with `against`")
    if config.method == "auto":
        method, why = best_method(pool, config.encoder, config.vectors)
        if method != "exact" and any(address.endswith(".npy") for address in sets):
            method, why = "exact", "a set is vectors"
        progress.say(f"method: {method} ({why})")
        config = replace(config, method="exact" if method == "exact" else "hash")
    comparison: Any = (
        _ByVectors(pool, config) if config.method == "exact" else _ByHashes(pool, config, progress)
    )
    counts: dict[str, dict[str, Any]] = {}
    tables, gone = [], np.zeros(len(comparison.uids), np.bool_)
    for address in sets:
        names, near, unreadable = comparison.near(address)
        gone[near.rows] = True
        counts[address] = {
            "images": len(names), "unreadable": unreadable, "pairs": len(near.rows),
            "rows_removed": len(np.unique(near.rows)), "images_found": len(np.unique(near.items)),
        }  # fmt: skip
        if (census := census_of_set(address)) is not None:
            counts[address]["files"] = census.as_json()
            progress.say(f"{address}: {census.says()}")
        tables.append(
            _pairs(comparison.uids[near.rows], address, [names[item] for item in near.items], near.closeness)
        )
    manifest = {
        "pool": pool.place.url,
        "inputs": pool.fingerprints(),
        "decontaminate": {"method": config.method, "compared_by": comparison.said, **comparison.setting},
        "sets": counts,
        "rows_read": len(gone),
        "rows_not_compared": len(gone) - comparison.compared,
        "not_compared": comparison.why(pool, len(gone) - comparison.compared),
        "rows_removed": int(np.count_nonzero(gone)),
    }
    return Decontaminated(
        Subset.of(comparison.uids[~gone], manifest, chosen_rows(pool, ~gone)), pa.concat_tables(tables)
    )


class _ByVectors:
    """The pool's vectors, mapped, against a set's."""

    def __init__(self, pool: Pool, config: DecontaminateConfig) -> None:
        self.config, self.image_col = config, pool.image_col
        self.source = vector_source(pool, config.encoder, config.vectors)
        self.said = self.source.said
        self.setting = {"threshold": config.threshold}
        self.every = gathered(pool, self.source)
        self.uids, self.compared = self.every.uids, len(self.every.rows)

    def why(self, pool: Pool, rows: int) -> dict[str, int]:
        return by_vectors(pool, self.source.layer, rows)

    def near(self, address: str) -> tuple[list[str], _Near, int]:
        names, vectors, unreadable = vectors_of_set(self.source, address, self.config.encoder, self.image_col)
        if not len(names) or not self.compared:
            nothing = np.empty(0, np.int64)
            return names, _Near(nothing, nothing, np.empty(0, np.float32)), unreadable
        if vectors.shape[1] != self.every.vectors.shape[1]:
            raise PoolError(
                f"{address}: vectors of {vectors.shape[1]} numbers cannot be compared with the pool's "
                f"{self.every.vectors.shape[1]}"
            )
        items, rows, closeness = pairs_above(
            vectors, self.every.vectors, threshold=self.config.threshold, device=self.config.device
        )
        return names, _Near(self.every.rows[rows], items, closeness), unreadable


class _ByHashes:
    """Perceptual hashes of both."""

    def __init__(self, pool: Pool, config: DecontaminateConfig, progress: Progress) -> None:
        self.config, self.image_col = config, pool.image_col
        self.said, self.setting = "perceptual hashes", {"radius": config.radius}
        self.words, self.rows = framed_hashes(pool, progress)
        parts = (batch["uid"] for shard in pool.shards for batch in pool.batches(shard, ["uid"]))
        self.uids = ids.concatenated(ids.from_arrow(part.combine_chunks()) for part in parts)
        self.compared = len(self.rows)

    def why(self, pool: Pool, rows: int) -> dict[str, int]:
        return by_hash(pool, rows)

    def near(self, address: str) -> tuple[list[str], _Near, int]:
        names, hashed, unreadable = [], [], 0
        for name, data in set_images(address, self.image_col):
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
        rows, items, distances = close_hashes(self.words, np.stack(hashed), self.config.radius)
        return names, _Near(self.rows[rows], items, distances.astype(np.float32)), unreadable


def _pairs(uids: ids.Uids, address: str, names: list[str], closeness: npt.NDArray[np.float32]) -> pa.Table:
    return pa.table(
        {
            "uid": ids.to_hex(uids), "set": pa.array([address] * len(uids), pa.string()),
            "image": pa.array(names, pa.string()), "closeness": pa.array(closeness),
        }
    )  # fmt: skip
