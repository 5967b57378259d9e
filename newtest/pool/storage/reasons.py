"""Why rows have no vector, hash or score, as a layer of the pool has written it down."""

from __future__ import annotations

from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool

__all__ = ["reasons_in", "told"]


def reasons_in(pool: Pool, layer: Layer, lacking: str | None = None) -> list[str]:
    """The reasons of all rows that have one; with ``lacking`` those of rows where that column is null.

    A layer that another program wrote may give no reasons. Raises PoolError.
    """
    found: list[str] = []
    for shard in pool.shards:
        if not layer.has(pool, shard, "reason"):
            continue
        table = layer.table(pool, shard, ["reason", *([lacking] if lacking else [])])
        if lacking:
            table = table.filter(table[lacking].is_null())
        found += [reason for reason in table["reason"].to_pylist() if reason]
    return found


def told(reasons: dict[str, int]) -> str:
    """``2 no image, 1 truncated``"""
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
