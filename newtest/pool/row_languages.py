"""The language of each caption: from a column of the pool, or by fastText, whose answers are kept as a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from newtest.errors import PoolError
from newtest.pool.filtering.language_layer import ShardLanguages, languages_layer
from newtest.pool.storage.layers import settle
from newtest.pool.storage.pool import Pool, Shard

__all__ = ["RowLanguages"]

DETECTOR = "fasttext"


@dataclass(frozen=True)
class RowLanguages:
    """``column`` names the column; None asks the detector."""

    pool: Pool
    column: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the pool besides captions."""
        return () if self.column is None else (self.column,)

    def of(self, shard: Shard) -> _OfShard:
        """A shard's languages, batch by batch in its order."""
        return _OfShard(self.column, None if self.column else ShardLanguages(self.pool, shard, DETECTOR))

    def settle(self) -> None:
        """Let others find the detector's answers."""
        if self.column is None:
            settle(self.pool, languages_layer(DETECTOR))


class _OfShard:
    def __init__(self, column: str | None, detected: ShardLanguages | None) -> None:
        self.column, self.detected, self.start = column, detected, 0

    def of_batch(self, batch: pa.Table) -> list[str]:
        """The languages of the next rows; "" where there is none."""
        if self.detected is not None:
            rows = self.start + np.arange(len(batch))
            found = self.detected.column(rows, batch["text"])
        else:
            found = batch[self.column]
            kind = found.type.value_type if pa.types.is_dictionary(found.type) else found.type
            if str(kind) not in ("string", "large_string", "string_view", "null"):
                raise PoolError(f"the column {self.column} of languages holds {kind}, not text")
        self.start += len(batch)
        return [language or "" for language in found.to_pylist()]

    def keep(self) -> str | None:
        """Keep what the detector was asked; why that cannot be, for a pool that cannot be written to."""
        return None if self.detected is None else self.detected.keep()
