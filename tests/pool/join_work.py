"""Pools of vectors with known copies, and joins that kill their workers; other processes import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.clip.encoder import unit_rows
from newtest.pool.dedup.joins import VectorJoin
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import open_pool

__all__ = ["DyingJoin", "made_vectors", "vector_pool"]

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
class DyingJoin(VectorJoin):
    """Kills its worker as often as there are marks to take from the folder."""

    marks: str = ""

    def join(self, left: np.ndarray, right: np.ndarray | None) -> Any:
        marks = sorted(Path(self.marks).iterdir())
        if right is not None and marks:
            marks[0].unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().join(left, right)
