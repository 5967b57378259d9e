"""Whose vectors a command takes, those that others made included, and which method it chooses by what there is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, newtest
from servers.images import made_photo

from newtest.errors import PoolError
from newtest.pool.dedup.choice import best_method
from newtest.pool.embedding import EncoderFacts, embeddings_layer
from newtest.pool.storage.layers import Layer, describe, settle
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.vectors import vector_source

ROWS = 9


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Two tables, and vectors of 8 numbers for all rows: the first and the last are the same."""
    table = pa.table(
        {"uid": [f"{k:032x}" for k in range(ROWS)], "text": [f"caption {k}" for k in range(ROWS)]}
    )
    (tmp_path / "pool").mkdir()
    pq.write_table(table.slice(0, 4), tmp_path / "pool" / "0.parquet")
    pq.write_table(table.slice(4), tmp_path / "pool" / "1.parquet")
    return open_pool(tmp_path / "pool")


@pytest.fixture
def vectors() -> np.ndarray:
    made = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)
    made[-1] = made[0]
    return made


def written(kind: str, vectors: np.ndarray, folder: Path) -> str:
    if kind == "npy":
        np.save(folder / "v.npy", vectors)
        return "v.npy"
    if kind.startswith("npz"):
        np.savez(folder / "v.npz", mine=vectors, **({"text": vectors[:, :2]} if kind == "npz:mine" else {}))
        return "v.npz:mine" if kind == "npz:mine" else "v.npz"
    (folder / "clip" / "img_emb").mkdir(parents=True)
    (folder / "clip" / "text_emb").mkdir()
    for number, part in enumerate(np.array_split(vectors, 3)):
        np.save(
            folder / "clip" / "img_emb" / f"img_emb_{number + 9}.npy", part.astype(np.float16)
        )  # 9, 10, 11
    return "clip"


@pytest.mark.parametrize("kind", ["npy", "npz", "npz:mine", "clip-retrieval"])
def test_vectors_made_elsewhere_are_the_rows_of_the_pool(
    kind: str, pool: Pool, vectors: np.ndarray, tmp_path: Path
) -> None:
    place = written(kind, vectors, tmp_path)
    done = newtest("dedup-pool", "pool", "--vectors", place, "--out", "d.npy", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"method: exact (by the vectors in {place})" in done.stderr
    told = json.loads(done.stdout)
    assert (told["rows_read"], told["rows_removed"]) == (ROWS, 1)
    pairs = pq.read_table(tmp_path / "d.pairs.parquet").to_pylist()
    assert [(pair["uid_a"], pair["uid_b"]) for pair in pairs] == [(f"{0:032x}", f"{ROWS - 1:032x}")]
    np.save(tmp_path / "target.npy", vectors[3:4])
    near = newtest(
        "decontaminate-pool", "pool", "--vectors", place, "--against", "target.npy", "--json", cwd=tmp_path
    )
    assert json.loads(near.stdout)["rows_removed"] == 1, near.stderr


def test_vectors_of_another_length_are_refused_by_name(
    pool: Pool, vectors: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", vectors[:-1])
    done = newtest("dedup-pool", "pool", "--vectors", "v.npy", "--out", "d.npy", cwd=tmp_path)
    assert (done.returncode, "v.npy: 8 vectors for 9 rows" in done.stderr) == (1, True)
    np.savez(tmp_path / "two.npz", a=vectors, b=vectors)
    done = newtest("dedup-pool", "pool", "--vectors", "two.npz", "--out", "d.npy", cwd=tmp_path)
    assert "two.npz: holds a, b; say which one it is as two.npz:KEY" in done.stderr


def layer_of(pool: Pool, name: str, vectors: np.ndarray) -> Layer:
    """What embed-pool would leave, without a model."""
    layer = embeddings_layer(EncoderFacts(name))
    describe(pool, layer)
    start = 0
    for shard in pool.shards:
        rows = vectors[start : start + pool.rows(shard)].astype(np.float16)
        start += len(rows)
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
        with pool.layers.writing(layer.file(pool, shard)) as path:
            pq.write_table(
                pa.table({"image": column, "text": column, "reason": pa.nulls(len(rows), pa.string())}), path
            )
    settle(pool, layer)
    return layer


def test_one_option_names_the_encoder_in_every_command(
    pool: Pool, vectors: np.ndarray, tmp_path: Path
) -> None:
    layer_of(pool, "one", vectors)
    layer_of(pool, "two", np.random.default_rng(1).normal(size=(ROWS, 8)))
    np.save(tmp_path / "target.npy", vectors[:1])
    commands = {
        "dedup-pool": ("--out", "d.npy"),
        "decontaminate-pool": ("--against", "target.npy", "--out", "c.npy"),
        "filter-pool": ("--image-near", "target.npy", "--out", "f.npy"),
    }
    for command, more in commands.items():
        refused = newtest(command, "pool", *more, cwd=tmp_path)
        assert (
            refused.returncode,
            "several encoders are there (one, two); choose one with --model" in refused.stderr,
        ) == (1, True)
        for spelling in ("--model", "--arch"):
            done = newtest(command, "pool", *more, spelling, "one", "--json", cwd=tmp_path)
            assert done.returncode == 0, (command, done.stderr)
    assert newtest("filter-pool", "pool", "--min-words", "1", "--out", "w.npy", cwd=tmp_path).returncode == 0


def test_npz_files_of_any_key(pool: Pool, vectors: np.ndarray, tmp_path: Path) -> None:
    for name, part in (("0", vectors[:4]), ("1", vectors[4:])):
        np.savez(tmp_path / "pool" / f"{name}.npz", dino=part, other=part * 2)
    opened = open_pool(tmp_path / "pool")
    assert np.allclose(
        VectorRows.of(opened, vector_source(opened, "dino")).block((0, len(vectors)))[0],
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16),
        atol=1e-3,
    )
    with pytest.raises(PoolError, match="no image embeddings by vit"):
        vector_source(opened, "vit")


def test_the_method_is_chosen_by_what_there_is(pool: Pool, vectors: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no image embeddings"):
        best_method(pool)
    with_hashes = tmp_path / "sha"
    with_hashes.mkdir()
    pq.write_table(pa.table({"uid": ["0" * 32], "sha256": ["0" * 64]}), with_hashes / "0.parquet")
    assert best_method(open_pool(with_hashes))[0] == "bytes"
    layer_of(pool, "conse", vectors)
    assert best_method(pool) == ("exact", f"by {vector_source(pool).said}")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pq.write_table(pa.table({"jpg": [made_photo(0)], "text": ["a"]}), pictures / "0.parquet")
    assert best_method(open_pool(pictures)) == ("hash", "by the pictures: there are no vectors")
    layer_of(open_pool(pictures), "conse", vectors[:1])
    assert best_method(open_pool(pictures)) == ("hash", "by the pictures: conse's vectors find fewer copies")
    shutil.rmtree(pictures / "__newtest")
    layer_of(open_pool(pictures), "ViT-B-32/openai", vectors[:1])
    assert best_method(open_pool(pictures))[0] == "exact"


def test_a_complete_layer_is_only_read(pool: Pool, vectors: np.ndarray, tmp_path: Path) -> None:
    from newtest.engines import LocalEngine, Resources
    from newtest.pool.storage.layers import build

    layer = layer_of(pool, "one", vectors)
    times = {path: path.stat().st_mtime_ns for path in Path(pool.layers_address).rglob("*")}
    before = contents(tmp_path)
    done = list(build(pool, layer, None, LocalEngine(), Resources(1)))
    assert [outcome.value["computed"] for outcome in done if outcome.value] == [0, 0]
    assert contents(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in Path(pool.layers_address).rglob("*")} == times


def test_an_embedding_run_that_found_no_image_fails_and_says_why(tmp_path: Path) -> None:
    from newtest.pool.embedding import require_images_embedded

    (tmp_path / "pool").mkdir()
    pq.write_table(
        pa.table({"jpg": [b"no image", b"none"], "text": ["a", "b"]}), tmp_path / "pool" / "0.parquet"
    )
    opened = open_pool(tmp_path / "pool")
    layer = embeddings_layer(EncoderFacts("one"))
    describe(opened, layer)
    nothing = pa.FixedSizeListArray.from_arrays(pa.array(np.full(4, np.nan, np.float16)), 2)
    with opened.layers.writing(layer.file(opened, opened.shards[0])) as path:
        pq.write_table(
            pa.table({"image": nothing, "text": nothing, "reason": ["not-an-image", "truncated"]}), path
        )
    with pytest.raises(
        PoolError, match=r"none of the 2 rows has an image that can be embedded \(the first: not-an-image\)"
    ):
        require_images_embedded(opened, EncoderFacts("one"), {"rows": 2, "failed": 2})
