"""The ids of a shard's rows, in their order."""

from __future__ import annotations

from newtest.pool.storage import uids as ids
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.uids import Uids

__all__ = ["uids_of"]


def uids_of(pool: Pool, shard: Shard) -> Uids:
    """Shape (n,). Raises PoolError for a row without a uid, and for one that is not 32 hex digits."""
    columns = (batch["uid"].combine_chunks() for batch in pool.batches(shard, ["uid"]))
    return ids.concatenated([ids.from_arrow(column, f"shard {shard.name}") for column in columns])
