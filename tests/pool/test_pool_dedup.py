"""Duplicates planted among the photos, and vectors whose pairs are known."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.clip.conse import Conse
from newtest.clip.encoder import unit_rows
from newtest.engines import LocalEngine, Resources, local
from newtest.errors import PoolError, UsageError
from newtest.neighbors.kmeans import nearest
from newtest.pool import embedding
from newtest.pool.dedup.clusters import kmeans
from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.embedding import EmbedConfig, embed
from newtest.pool.importing import import_folder
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import Pool, open_pool

# One worker loads the encoder and embeds the photos, for all tests that use them.
pytestmark = pytest.mark.xdist_group("conse")

ORIGINALS = 12


@pytest.fixture(scope="module")
def copies(captioned: Path, conse: Conse, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """12 photos; of the first 6 also the same bytes, a smaller and a compressed copy. Embedded."""
    source = tmp_path_factory.mktemp("copies")
    for number, photo in enumerate(sorted(captioned.glob("*.JPEG"))[:ORIGINALS]):
        data = photo.read_bytes()
        (source / f"{number:02d}-0.jpg").write_bytes(data)
        if number < 6:
            (source / f"{number:02d}-1.jpg").write_bytes(data)
            image = PIL.Image.open(io.BytesIO(data)).convert("RGB")
            image.resize((image.width * 2 // 3, image.height * 2 // 3)).save(source / f"{number:02d}-2.png")
            image.save(source / f"{number:02d}-3.jpg", quality=40)
        for path in source.glob(f"{number:02d}-*"):
            path.with_suffix(".txt").write_text(path.name)
    folder = tmp_path_factory.mktemp("pool")
    assert [shard.rows for shard in import_folder(source, folder, shard_rows=20)] == [20, 10]
    pool = open_pool(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "_encoder", lambda config: conse)
        complete(embed(pool, EmbedConfig(batch=16), LocalEngine(), Resources(1)), 2)
    return pool


def names(pool: Pool, uids: list[str]) -> list[str]:
    rows = [
        row
        for shard in pool.shards
        for row in pq.read_table(Path(pool.address) / shard.table.name).to_pylist()
    ]
    text_of = {row["uid"]: row["text"] for row in rows}
    return sorted(text_of[uid] for uid in uids)


def hexes(uids: np.ndarray) -> list[str]:
    return [f"{high:016x}{low:016x}" for high, low in uids.tolist()]


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        (DedupConfig("bytes"), 2),
        (DedupConfig("hash"), 4),
        (DedupConfig("exact", threshold=0.85), 4),
        (DedupConfig("semantic", threshold=0.85, clusters=3), 4),
    ],
    ids=lambda value: value.method if isinstance(value, DedupConfig) else "",
)
def test_one_of_each_group_stays_the_largest(copies: Pool, config: DedupConfig, kinds: int) -> None:
    found = dedup(copies, config)
    stays = names(copies, hexes(found.subset.uids))
    gone = 6 * (kinds - 1)
    assert len(stays) == 30 - gone
    assert found.subset.manifest["rows_removed"] == gone
    assert found.subset.manifest["groups"] == 6
    # Of each group one stays, and never the smaller picture.
    for number in range(6):
        of_group = [name for name in stays if name.startswith(f"{number:02d}-")]
        assert len(of_group) == 4 - (kinds - 1)
        if kinds == 4:
            assert not of_group[0].endswith("-2.png")
    pairs = found.pairs.to_pylist()
    assert all(row["uid_a"] != row["uid_b"] for row in pairs)
    assert {row["kept"] for row in pairs} - {None} <= set(hexes(found.subset.uids))


def test_a_mirrored_copy_is_a_copy_by_its_hash(data: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    photos = sorted((data / "images").glob("*.JPEG"))[:4]
    for path in photos:
        (tmp_path / "source" / path.name).write_bytes(path.read_bytes())
    PIL.ImageOps.mirror(PIL.Image.open(photos[2]).convert("RGB")).save(tmp_path / "source" / "mirrored.png")
    list(import_folder(tmp_path / "source", tmp_path / "pool"))
    found = dedup(open_pool(tmp_path / "pool"), DedupConfig("hash"))
    assert (len(found.pairs), len(found.subset)) == (1, 4)


def test_semantic_says_its_recall(copies: Pool) -> None:
    details = dedup(copies, DedupConfig("semantic", threshold=0.85, clusters=3)).subset.manifest["dedup"]
    assert details["recall"] == 1.0
    # Of each group three vectors differ, and all of their pairs count; rows that are equal to the byte need no cluster.
    assert details["recall_pairs"] == 6 * 3
    assert "descriptor of the layer" in details["vectors"]


def test_datacomps_npz_serve_and_the_highest_score_stays(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    vectors = unit_rows(draw.normal(size=(60, 32)))
    vectors[30:40] = unit_rows(vectors[:10] + 0.02 * draw.normal(size=(10, 32)))
    vectors[59] = np.nan
    scores = draw.random(60).astype(np.float32)
    uids = [f"{number:032x}" for number in draw.permutation(60)]
    for name, part in (("0", slice(0, 35)), ("1", slice(35, 60))):
        table = pa.table({"uid": uids[part], "clip_l14_similarity_score": scores[part]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
        np.savez(tmp_path / f"{name}.npz", l14_img=vectors[part].astype(np.float16))
    found = dedup(open_pool(tmp_path), DedupConfig(threshold=0.9))
    cosines = vectors[:59] @ vectors[:59].T
    expected = sum(cosines[i, j] >= 0.9 for i, j in itertools.combinations(range(59), 2))
    assert len(found.pairs) == expected == 10
    assert found.subset.manifest["rows_not_compared"] == 1
    gone = {uids[i if scores[i] < scores[i + 30] else i + 30] for i in range(10)}
    assert set(hexes(found.subset.uids)) == set(uids) - gone


def test_clusters_are_seeded_and_every_row_has_the_nearest() -> None:
    draw = np.random.default_rng(1)
    centres = unit_rows(draw.normal(size=(5, 16)))
    vectors = unit_rows(np.repeat(centres, 40, axis=0) + 0.1 * draw.normal(size=(200, 16))).astype(np.float16)
    first, again = (kmeans(lambda some: vectors[some], 200, 5, 3) for _ in range(2))
    assert np.array_equal(first, again)
    labels = nearest(vectors, first)
    assert np.array_equal(labels[:, 0], (vectors.astype(np.float32) @ first.T).argmax(1))
    assert (vectors * first[labels[:, 0]]).sum(axis=1).min() > 0.5


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": ["0" * 32]}), tmp_path / "0.parquet")
    with pytest.raises(PoolError, match="embed-pool"):
        dedup(open_pool(tmp_path), DedupConfig())
    with pytest.raises(PoolError, match="no tar beside it"):
        dedup(open_pool(tmp_path), DedupConfig("hash"))
    with pytest.raises(UsageError, match="not one of"):
        DedupConfig("magic")  # type: ignore[arg-type]


def test_who_asks_for_one_worker_has_one(
    copies: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def in_processes(make: Any, items: Any, workers: int, **more: Any) -> Any:
        started.append(workers)
        return local._in_process(make, items)

    monkeypatch.setattr(local, "_in_processes", in_processes)
    for workers in (1, 2):
        pool = open_pool(copies.address, layers=tmp_path / str(workers))
        dedup(pool, DedupConfig("hash"), workers=workers)
    assert started == [2]
