"""Work for the nodes of a cluster; in a module of its own, so that other processes can import it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from newtest.pool.dedup.hash_layer import HashShard
from newtest.pool.storage.layers import MakeShard
from newtest.pool.storage.pool import Pool, Shard

__all__ = ["SlowHashes"]


@dataclass(frozen=True)
class SlowHashes:
    """Hashes of images that take a moment, and a mark in a folder for each node that makes them."""

    marks: Path

    def __call__(self) -> MakeShard:
        hashes = HashShard()

        def slow(pool: Pool, shard: Shard) -> pa.Table:
            import ray

            (self.marks / ray.get_runtime_context().get_node_id()).touch()
            time.sleep(0.4)
            return hashes(pool, shard)

        return slow
