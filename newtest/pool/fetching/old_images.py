"""The images of a shard as an earlier run wrote it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from newtest.pool.storage.claims import LAYERS
from newtest.pool.storage.location import Entry
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired
from newtest.pool.storage.tars import Sample

__all__ = ["OldImages"]


class OldImages:
    """The images of the shard as an earlier run wrote it, asked for in about the tar's order."""

    def __init__(self, name: str, out: str) -> None:
        self._samples: Iterator[tuple[int, Sample]] | None = None
        self._name, self._pool = name, Pool(out, (), f"{out}/{LAYERS}")
        self._uids: list[str] = []
        self._passed: dict[str, list[bytes]] = {}

    def image(self, uid: str, sha256: str) -> bytes | None:
        """The image of a row, None where the tar has not these bytes."""
        if self._samples is None:
            shard = Shard(self._name, Entry(f"{self._name}.parquet", 0), Entry(f"{self._name}.tar", 0))
            self._uids = [
                uid for batch in self._pool.batches(shard, ["uid"]) for uid in batch["uid"].to_pylist()
            ]
            self._samples = paired(self._pool, shard)
        while not self._passed.get(uid) and (found := next(self._samples, None)) is not None:
            row, sample = found
            if sample.image is not None:
                self._passed.setdefault(self._uids[row], []).append(sample.image)
        images = self._passed.get(uid)
        data = images.pop(0) if images else None
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None
