"""Which rows of a pool a subset holds: those that its maker chose, or all that have its uids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.errors import PoolError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.subset import Subset

__all__ = ["every_member", "members", "rows_chosen"]


def rows_chosen(pool: Pool, subset: Subset) -> dict[str, npt.NDArray[np.bool_]]:
    """For each shard the rows that the subset's maker chose, where rows share uids and it said so of this very pool."""
    made_of = subset.manifest.get("inputs", {})
    shared = len(subset.uids) and subset.rows is not None
    known = pool.fingerprints()  # a tar that was damaged or mended since changes no row
    if not shared or not any(made_of.get(what) == known[what] for what in known):
        return {}
    result, start = {}, 0
    for shard in pool.shards:
        rows = pool.rows(shard)
        stop = start + -(-rows // 8)
        assert subset.rows is not None
        result[shard.name] = np.unpackbits(subset.rows[start:stop], count=rows).astype(np.bool_)
        start = stop
    return result if sum(map(np.count_nonzero, result.values())) == len(subset) else {}


def members(
    pool: Pool, shard: Shard, subset: Subset, chosen: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """The shard's rows that the subset holds, (n,); ``chosen`` are those of ``rows_chosen``, where it knows them."""
    parts, start = [np.empty(0, np.bool_)], 0
    for batch in pool.batches(shard, ["uid"]):
        uids = ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}")
        there = subset.copies(uids) > 0
        if chosen is not None:
            there &= chosen[start : start + len(batch)]
        parts.append(there)
        start += len(batch)
    return np.concatenate(parts)


def every_member(pool: Pool, subset: Subset) -> npt.NDArray[np.bool_]:
    """The pool's rows that the subset holds, (n,), in order. Raises PoolError where it holds none of them."""
    chosen = rows_chosen(pool, subset)
    parts = [members(pool, shard, subset, chosen.get(shard.name)) for shard in pool.shards]
    found = np.concatenate(parts)
    if len(subset) and not found.any():
        raise PoolError(f"{pool.place.url}: not one row has a uid of the subset; it was made of another pool")
    return found
