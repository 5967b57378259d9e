"""Pools of vectors with known copies, and work that kills its workers; other processes import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.clip.encoder import unit_rows
from newtest.hashes import FRAMINGS, WORDS
from newtest.pool.dedup.hash_layer import HASHES
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool, open_pool

__all__ = ["Dying", "Idle", "hashed_layer", "made_vectors", "vector_pool"]

WIDTH = 32


def made_vectors(rows: int = 500, seed: int = 0) -> np.ndarray:
    """Rows of which some are near others, 60 equal each other, 80 are nearly equal, and three are missing."""
    draw = np.random.default_rng(seed)
    vectors = unit_rows(draw.normal(size=(rows, WIDTH)))
    vectors[100:160] = unit_rows(vectors[:60] + 0.04 * draw.normal(size=(60, WIDTH)))
    vectors[200:260] = vectors[7]
    vectors[300:380] = unit_rows(vectors[300] + 0.01 * draw.normal(size=(80, WIDTH)))
    vectors = vectors[draw.permutation(rows)]
    vectors[[3, rows // 2, rows - 1]] = np.nan
    return vectors.astype(np.float16)


def vector_pool(
    folder: Path, vectors: np.ndarray, shards: tuple[int, ...] = (40, 5, 300, 155), *, as_layer: bool = False
) -> Path:
    """The vectors as shards of so many rows, in an embeddings layer or in ``.npz`` files."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(1)
    start = 0
    for number, rows in enumerate(shards):
        uids = [f"{high:016x}{low:016x}" for high, low in draw.integers(0, 2**63, (rows, 2)).tolist()]
        table = pa.table({"uid": uids, "clip_l14_similarity_score": draw.random(rows).astype(np.float32)})
        pq.write_table(table, folder / f"{number:03d}.parquet")
        if not as_layer:
            np.savez(folder / f"{number:03d}.npz", l14_img=vectors[start : start + rows])
        start += rows
    if as_layer:
        _write_layer(folder, vectors)
    return folder


def _write_layer(folder: Path, vectors: np.ndarray) -> None:
    from newtest.pool.storage.layers import describe, settle

    pool = open_pool(folder)
    layer = Layer("embeddings", {"encoder": "made", "rule": 1})
    describe(pool, layer)
    start = 0
    for shard in pool.shards:
        some = vectors[start : start + pool.rows(shard)]
        lists = pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), WIDTH)
        with pool.layers.writing(layer.file(pool, shard)) as path:
            pq.write_table(pa.table({"image": lists}), path, row_group_size=37)
        start += len(some)
    settle(pool, layer)


@dataclass(frozen=True)
class Dying:
    """Work of which the first item kills its worker, if there is a mark for that. If there is one for it, work also
    says on which of Ray's nodes it is, and waits there until a node was killed. Never kills the ``driver``.
    """

    make: Callable[[], Callable[[Any], Any]]
    marks: Path
    driver: int

    def __call__(self) -> Callable[[Any], Any]:
        work = self.make()

        def run(item: Any) -> Any:
            with suppress(FileNotFoundError):
                if os.getpid() != self.driver:
                    (self.marks / "worker").unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
            if (self.marks / "node").exists():
                import ray

                (self.marks / ray.get_runtime_context().get_node_id()).touch()
                waits_until = time.monotonic() + 60
                while (self.marks / "node").exists() and time.monotonic() < waits_until:
                    time.sleep(0.02)
            return work(item)

        return run


def hashed_layer(pool: Pool) -> None:
    """Hashes of which 100 have a near copy, 50 are equal, and the last is missing."""
    draw = np.random.default_rng(4)
    words = draw.integers(0, 2**63, (500, len(FRAMINGS), WORDS), np.uint64)
    words[..., 2] &= np.uint64(0xFFFF)
    words[200:300] = words[100:200] ^ np.uint64(5)
    words[200:300, :, 2] = words[100:200, :, 2]
    words[400:450] = words[400]
    start = 0
    for shard in pool.shards:
        some = words[start : start + pool.rows(shard)].reshape(pool.rows(shard), -1).tolist()
        start += len(some)
        lists = pa.array(
            [*some[:-1], None] if start == 500 else some, pa.list_(pa.uint64(), len(FRAMINGS) * WORDS)
        )
        with pool.layers.writing(HASHES.file(pool, shard)) as path:
            pq.write_table(pa.table({"perceptual": lists}), path)


class Idle:
    """An engine that is asked for nothing."""

    name = "idle"

    def map(self, make_worker: Any, items: Any, resources: Any = None) -> Any:
        assert not list(items), "nothing was left to do"
        return iter(())
