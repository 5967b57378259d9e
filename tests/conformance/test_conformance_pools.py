"""Pools beside other readers: they read what newtest writes, newtest reads what they write, none is spoilt."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from PIL import Image

from newtest.pool.storage.pool import open_pool

datasets = pytest.importorskip("datasets")
ROWS = 12


def photo(seed: int) -> bytes:
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((240, 200)).save(out, "JPEG")
    return out.getvalue()


def run(*typed: str) -> str:
    done = invoke(list(typed), catch_exceptions=False)
    assert done.exit_code == 0, (typed, done.output)
    return str(done.stdout)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pool of tables alone, the current folder."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for number in range(2):
        rows = range(number * 6, number * 6 + 6)
        table = {
            "uid": [f"{k:032x}" for k in rows],
            "text": [f"a red wall and door number {k}" for k in rows],
            "sha256": [f"{k // 2:064x}" for k in rows],
            "original_width": [300 + k for k in rows],
            "original_height": [300] * 6,
            "clip_l14_similarity_score": pa.array([k / 20 for k in rows], pa.float32()),
        }
        pq.write_table(pa.table(table), folder / f"{number}.parquet")
    (tmp_path / "q.txt").write_text("red wall\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return folder


def as_others_read(folder: Path, cache: Path) -> dict[str, Any]:
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(cache))
    return {
        "pandas": pd.read_parquet(folder).to_dict("records"),
        "pyarrow": pq.read_table(folder).to_pylist(),
        "polars": pl.read_parquet(str(folder / "*.parquet")).to_dicts(),
        "datasets": loaded.to_list(),
    }


COMMANDS = [
    ["filter-pool", "--basic"],
    ["filter-pool", "--clip-score"],
    ["dedup-pool"],
    ["balance-pool", "--queries", "../q.txt", "--cap", "2"],
    ["pool-status"],
    ["reshard-pool", "--subset", "__newtest/dedup.npy"],
]


def test_after_every_command_other_readers_see_what_they_saw(tables: Path, tmp_path: Path) -> None:
    before = as_others_read(tables, tmp_path / "before")
    for typed in COMMANDS:
        run(*typed)
    assert (tables / "__newtest" / "dedup.npy").exists()
    assert {path.name for path in tables.iterdir()} == {"0.parquet", "1.parquet", "__newtest"}
    assert as_others_read(tables, tmp_path / "after") == before


def test_layers_and_notes_of_an_older_newtest_are_moved(tables: Path, tmp_path: Path) -> None:
    before = as_others_read(tables, tmp_path / "before")
    run("filter-pool", "--basic")
    layers = tables / "__newtest" / "layers"
    kept = sorted(path.relative_to(layers) for path in layers.rglob("*.parquet"))
    layers.rename(tables / "layers")
    (tables / "fetch.json").write_text(json.dumps({"newtest": "0.1"}))
    opened = open_pool(tables)
    assert sorted(path.relative_to(layers) for path in layers.rglob("*.parquet")) == kept
    assert {path.name for path in tables.iterdir()} == {"0.parquet", "1.parquet", "__newtest"}
    assert json.loads((tables / "__newtest" / "pool.json").read_text())["made_by"] == "fetch-pool"
    assert len(opened.shards) == 2
    assert as_others_read(tables, tmp_path / "after") == before


def test_what_cannot_be_moved_is_read_where_it_is(tables: Path) -> None:
    (tables / "layers" / "scores-1").mkdir(parents=True)
    (tables / "layers" / "scores-1" / "layer.json").write_text("{}")
    (tables / "__newtest").write_text("in the way")
    assert open_pool(tables).layers_address == f"{tables}/layers"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(ROWS):
        (folder / f"{k:02d}.jpg").write_bytes(photo(k))
    rows = "".join(f"{k:02d}.jpg,caption {k},{k / 8}\n" for k in range(ROWS))
    (folder / "captions.csv").write_text(f"file,text,score\n{rows}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    run("import-pool", "photos", "--out", "pool", "--shard-rows", "5")
    return tmp_path


def test_a_subset_written_as_parquet_is_a_dataset_with_its_images(photos: Path) -> None:
    run("filter-pool", "pool", "--where", "score>=1", "--out", "s.npy")
    run(
        "reshard-pool",
        "pool",
        "--subset",
        "s.npy",
        "--out",
        "exported",
        "--format",
        "parquet",
        "--shard-rows",
        "3",
    )
    loaded = datasets.load_dataset(str(photos / "exported"), split="train", cache_dir=str(photos / "cache"))
    assert loaded.features["image"] == datasets.Image()
    assert [row["text"] for row in loaded] == [f"caption {k}" for k in range(8, ROWS)]
    for row, k in zip(loaded, range(8, ROWS), strict=True):
        assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(photo(k)))))
    # and newtest reads it again: the same uids, and images that are the same bytes
    inside = pq.read_table(photos / "exported" / "00000000.parquet").to_pylist()
    assert [row["image"]["bytes"] for row in inside] == [photo(k) for k in range(8, 11)]
    run("dedup-pool", "exported", "--method", "bytes", "--out", "d.npy")
    assert np.array_equal(np.load(photos / "d.npy"), np.load(photos / "s.npy"))


def test_all_of_a_pool_goes_to_datasets(photos: Path) -> None:
    told = json.loads(
        run("reshard-pool", "pool", "--all", "--out", "exported", "--format", "parquet", "--json")
    )
    assert (told["written"], told["missing"], told["absent"]) == (ROWS, 0, [])
    assert (
        len(datasets.load_dataset(str(photos / "exported"), split="train", cache_dir=str(photos / "cache")))
        == ROWS
    )


def test_a_pool_is_a_webdataset(photos: Path) -> None:
    files = sorted(str(path) for path in (photos / "pool").glob("*.tar"))
    loaded = datasets.load_dataset(
        "webdataset", data_files={"train": files}, split="train", cache_dir=str(photos / "cache")
    )
    assert [row["txt"] for row in loaded] == [f"caption {k}" for k in range(ROWS)]
    assert [row["json"]["score"] for row in loaded] == [k / 8 for k in range(ROWS)]


FORMS = {
    "large_string": lambda values: pa.array(values, pa.large_string()),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
    "string_view": lambda values: pa.array(values, pa.string_view()),
    "lists": lambda values: pa.array([[value, "a second caption"] if value else [] for value in values]),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_in_every_form_give_the_same_subset(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = ["one two three", "one", None, "four five six seven", "a b c d e"]
    uids = [f"{k:032x}" for k in range(5)]
    for name, column in (("plain", pa.array(texts)), ("other", FORMS[form](texts))):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"uid": uids, "text": column}), tmp_path / name / "0.parquet")
        run("filter-pool", name, "--min-words", "3", "--out", f"{name}.npy")
        run("filter-pool", name, "--english", "--min-chars", "6", "--out", f"{name}-english.npy")
        run(
            "balance-pool", name, "--queries", write(tmp_path, "one\nfour\n"), "--out", f"{name}-balanced.npy"
        )
    for suffix in ("", "-english", "-balanced"):
        assert np.array_equal(np.load(f"plain{suffix}.npy"), np.load(f"other{suffix}.npy"))


def write(folder: Path, text: str) -> str:
    (folder / "queries.txt").write_text(text)
    return "queries.txt"


@pytest.mark.parametrize(
    "uids",
    [
        [f"{k:032X}" for k in range(10, 15)], [f"00000000-0000-0000-0000-{k:012x}" for k in range(10, 15)],
        list(range(10, 15)), [k.to_bytes(16, "big") for k in range(10, 15)],
        pa.array([k.to_bytes(16, "big") for k in range(10, 15)], pa.binary(16)),
        pa.array([f"{k:032x}" for k in range(10, 15)], pa.large_string()),
        pa.array([f"{k:032x}" for k in range(10, 15)], pa.string_view()),
    ],
    ids=["upper", "dashes", "numbers", "bytes", "fixed bytes", "large", "view"],
)  # fmt: skip
def test_uids_in_every_form_are_the_same_128_bits(
    uids: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table({"uid": uids, "score": list(range(5))}), tmp_path / "pool" / "0.parquet")
    run("filter-pool", "pool", "--where", "score>=3", "--out", "s.npy")
    assert np.load("s.npy").tolist() == [(0, 13), (0, 14)]
    run("reshard-pool", "pool", "--subset", "s.npy", "--out", "out")
    assert pd.read_parquet("out")["score"].tolist() == [3, 4]


def test_a_tar_and_its_table_meet_by_uids_in_any_form(photos: Path) -> None:
    tables = sorted((photos / "pool").glob("*.parquet"))
    for path in tables:
        table = pq.read_table(path).drop_columns(["key"])
        upper = pa.array([uid.upper() for uid in table["uid"].to_pylist()])
        pq.write_table(table.set_column(0, "uid", upper), path)
    run("dedup-pool", "pool", "--method", "hash", "--out", "d.npy")
    run("reshard-pool", "pool", "--subset", "d.npy", "--out", "again")
    with tarfile.open(photos / "again" / "00000000.tar") as archive:
        assert sum(name.endswith(".jpg") for name in archive.getnames()) == len(np.load("d.npy")) > 0
    assert os.environ["HF_DATASETS_CACHE"]
