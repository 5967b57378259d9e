"""Why rows of a pool could not be compared: a count by reason, from the layer that was compared."""

from __future__ import annotations

from collections import Counter

from newtest.pool.dedup.hash_layer import HASHES
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.reasons import reasons_in

__all__ = ["by_bytes", "by_hash", "by_vectors"]


def by_hash(pool: Pool, rows: int) -> dict[str, int]:
    """Of ``rows`` without a perceptual hash."""
    return _counted(reasons_in(pool, HASHES, "perceptual") if rows else [], rows, "no hash")


def by_bytes(pool: Pool, rows: int) -> dict[str, int]:
    """Of ``rows`` without a sha256: from the tables, where they have the column."""
    in_tables = all(pool.tells(shard, "sha256") for shard in pool.shards)
    return _counted([] if in_tables or not rows else reasons_in(pool, HASHES, "sha256"), rows, "no sha256")


def by_vectors(pool: Pool, layer: Layer | None, rows: int) -> dict[str, int]:
    """Of ``rows`` without a vector; vectors made elsewhere say no reasons. A row without a caption has a picture's."""
    said = [] if layer is None or not rows else reasons_in(pool, layer)
    return _counted([reason for reason in said if reason != "no caption"], rows, "no vector")


def _counted(reasons: list[str], rows: int, otherwise: str) -> dict[str, int]:
    counts = Counter(reasons[:rows])
    counts[otherwise] += rows - counts.total()
    return {reason: count for reason, count in counts.most_common() if count}
