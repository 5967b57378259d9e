"""What decides which row of a group stays: its score, its pixels, its uid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from newtest.pool.storage import uids as ids
from newtest.pool.storage.columns import numbers, read_batches
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.score_columns import score_source
from newtest.pool.storage.uids import Uids

__all__ = ["Ranks", "keepers", "ranked"]


@dataclass(frozen=True)
class Ranks:
    """Of the rows of groups, all (m,); a missing score counts as the lowest, a missing size as no pixels."""

    uids: Uids
    scores: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.float64]
    score_name: str | None


def ranked(pool: Pool, rows: npt.NDArray[np.int64], encoder: str | None = None) -> Ranks:
    """The ranks of some rows, ascending, in one pass over the pool's columns. Raises PoolError."""
    source = score_source(pool, None, encoder)
    sized = all(pool.tells(shard, side) for shard in pool.shards for side in ("width", "height"))
    columns = ["uid", *([source.column] if source else []), *(["width", "height"] if sized else [])]
    scores, pixels, uids = [np.empty(0)], [np.empty(0)], []
    start = 0
    for shard in pool.shards:
        for batch in read_batches(pool, shard, columns, source.layers if source else {}):
            first, last = np.searchsorted(rows, (start, start + len(batch)))
            some = rows[first:last] - start
            uids.append(ids.from_arrow(batch["uid"].combine_chunks(), shard.name, some))
            nothing = np.zeros(len(some))
            scores.append(
                np.nan_to_num(numbers(batch[source.column])[some], nan=-np.inf) if source else nothing
            )
            pixels.append(
                np.nan_to_num(numbers(batch["width"])[some] * numbers(batch["height"])[some])
                if sized
                else nothing
            )
            start += len(batch)
    return Ranks(
        ids.concatenated(uids), np.concatenate(scores), np.concatenate(pixels),
        source.column if source else None,
    )  # fmt: skip


def keepers(
    groups: npt.NDArray[np.int64], ranks: Ranks, barred: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Which rows stay, one of each group, shape (m,); one that is ``barred`` only where all of its group are."""
    low, high = ranks.uids["f1"], ranks.uids["f0"]
    last = np.zeros(len(groups), np.bool_) if barred is None else barred
    best_first = np.lexsort((np.arange(len(groups)), low, high, -ranks.pixels, -ranks.scores, last, groups))
    ordered = groups[best_first]
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    stays = np.zeros(len(groups), np.bool_)
    stays[best_first[first]] = True
    return stays
