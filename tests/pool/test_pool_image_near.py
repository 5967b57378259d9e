"""The image-based rule: clusters that a target set uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.clip.encoder import unit_rows
from newtest.engines import LocalEngine
from newtest.errors import PoolError
from newtest.pool.dedup.clusters import kmeans
from newtest.pool.dedup.target_sets import vectors_of_set
from newtest.pool.filtering import near_target as module
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.vectors import VectorSource


def test_samples_of_the_clusters_that_the_target_uses_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_CLUSTER", 49)
    draw = np.random.default_rng(0)
    centres = unit_rows(draw.normal(size=(4, 24)))
    topics = draw.integers(0, 4, 200)
    vectors = unit_rows(centres[topics] + 0.05 * draw.normal(size=(200, 24)))
    vectors[7] = np.nan
    captions = ["a brown dog is running on the beach"] * 200
    captions[11], captions[12] = "dog", "ein brauner Hund läuft am Strand entlang"
    uids = [f"{row:032x}" for row in range(200)]
    for name, part in (("0", slice(0, 120)), ("1", slice(120, 200))):
        pq.write_table(pa.table({"uid": uids[part], "text": captions[part]}), tmp_path / f"{name}.parquet")
        np.savez(tmp_path / f"{name}.npz", l14_img=vectors[part].astype(np.float16))
    np.save(tmp_path / "target.npy", unit_rows(centres[[1, 3]] + 0.02 * draw.normal(size=(2, 24))))
    target = str(tmp_path / "target.npy")
    first = run(open_pool(tmp_path), Recipe(image_near=target), LocalEngine(), 1)
    kept = {low for _, low in first.uids.tolist()}
    # The definition, spelt out on the centroids that the same seed gives.
    stored = vectors.astype(np.float16).astype(np.float32)
    known = unit_rows(np.delete(stored, 7, axis=0)).astype(np.float16)
    centroids = kmeans(lambda some: known[some], 199, 4, 0)
    used = set((np.load(target) @ centroids.T).argmax(1).tolist())
    nearest = (np.nan_to_num(stored) @ centroids.T).argmax(1)
    assert kept == {row for row in range(200) if nearest[row] in used} - {7, 11, 12}
    assert 20 < len(kept) < 190
    again = run(open_pool(tmp_path), Recipe(image_near=target), LocalEngine(), 1)
    assert again.uids.tobytes() == first.uids.tobytes()
    assert again.manifest == first.manifest


def test_vectors_of_a_set_that_are_none_use_no_cluster(tmp_path: Path) -> None:
    """A row of zeros or NaN is as near to the first centroid as to any other."""
    rows = unit_rows(np.random.default_rng(0).normal(size=(4, 8)))
    rows[1], rows[2] = 0, np.nan
    np.save(tmp_path / "target.npy", rows)
    names, vectors, unreadable = vectors_of_set(VectorSource(None, "l14_img"), str(tmp_path / "target.npy"))
    assert (names, unreadable) == (["0", "3"], 2)
    assert np.allclose(vectors, rows[[0, 3]])


def test_a_set_of_another_encoder_or_of_no_picture_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": [f"{row:032x}" for row in range(4)]}), tmp_path / "0.parquet")
    np.savez(tmp_path / "0.npz", l14_img=np.eye(4, 8, dtype=np.float16))
    np.save(tmp_path / "other.npy", np.ones((2, 7)))
    with pytest.raises(PoolError, match="vectors of 7 numbers cannot be compared with the pool's 8"):
        module.image_near(open_pool(tmp_path), str(tmp_path / "other.npy"))
    np.save(tmp_path / "none.npy", np.zeros((2, 8)))
    with pytest.raises(PoolError, match="none of its 2 images could be read"):
        module.image_near(open_pool(tmp_path), str(tmp_path / "none.npy"))
