"""The ids of rows: of a shard in their order, or of those that stay, sorted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from newtest.pool.storage import uids as ids
from newtest.pool.storage.canonical import is_told
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.uids import Uids

__all__ = ["staying_uids", "uids_of"]


def uids_of(pool: Pool, shard: Shard) -> Uids:
    """Shape (n,). Raises PoolError for a row without a uid, and for one that is not 32 hex digits."""
    columns = (batch["uid"].combine_chunks() for batch in pool.batches(shard, ["uid"]))
    return ids.concatenated([ids.from_arrow(column, f"shard {shard.name}") for column in columns])


def staying_uids(pool: Pool, stays: npt.NDArray[np.bool_]) -> Uids:
    """The ids of the rows that stay, (n,) in the pool's order, sorted. Raises PoolError.

    The column is read twice, so that no more than the result is held. Where ids are made of the images in the tables,
    these are read once.
    """

    def parts() -> Iterator[Uids]:
        start = 0
        for shard in pool.shards:
            for batch in pool.batches(shard, ["uid"]):
                some = stays[start : start + len(batch)]
                yield ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}", some)
                start += len(batch)

    if all(is_told("uid", pool.schema(shard).names) for shard in pool.shards):
        return ids.ordered_in_passes(parts)
    return ids.ordered(list(parts()))
