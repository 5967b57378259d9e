"""img2dataset 1.47.0 and newtest download the same table: equal facts, and each reads the other's files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from img2dataset_tool import downloaded
from servers.images import ImageServer, made_photo, serving

from newtest.download import DownloadConfig
from newtest.engines import LocalEngine
from newtest.pool.fetching import fetch_shards
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.importing import import_folder, read_folder
from newtest.pool.storage.pool import open_pool
from newtest.pool.url_tables import url_tables
from newtest.progress import UNWATCHED

PATHS = ("0.jpg", "1.jpg", "status-404/2.jpg", "text.html", "4.jpg")
FORMATS = ("files", "webdataset", "parquet")
CONFIG = DownloadConfig(allow_private=True, retries=0)


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number) for number in range(5)])) as running:
        yield running


@pytest.fixture(scope="module")
def theirs(server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their three formats of one table, with a score and a licence as additional columns."""
    folder = tmp_path_factory.mktemp("img2dataset")
    table = pd.DataFrame(
        {
            "url": [server.url(path) for path in PATHS],
            "caption": [f"caption number {k}" for k in range(5)],
            "score": [k / 4 for k in range(5)],
            "license": ["by", "cc0", "by", "by", "cc0"],
        }
    )
    table.to_csv(folder / "table.csv", index=False)
    for kind in FORMATS:
        options = {
            "url_list": str(folder / "table.csv"), "input_format": "csv", "url_col": "url", "caption_col": "caption",
            "save_additional_columns": ["score", "license"], "output_folder": str(folder / kind), "output_format": kind,
            "processes_count": 1, "thread_count": 4, "resize_mode": "no", "number_sample_per_shard": 10,
            "enable_wandb": False, "retries": 0,
        }  # fmt: skip
        downloaded(json.dumps(options))
    return folder


def test_the_same_rows_and_the_same_words_for_what_became_of_them(theirs: Path, tmp_path: Path) -> None:
    list(
        fetch_shards(
            url_tables(str(theirs / "table.csv"), caption_col="caption"), str(tmp_path / "out"), CONFIG
        )
    )
    # Its four threads write rows in the order in which they end.
    tables = (tmp_path / "out" / "00000000.parquet", theirs / "webdataset" / "00000.parquet")
    ours, said = (sorted(pq.read_table(table).to_pylist(), key=lambda row: row["url"]) for table in tables)
    for name in ("url", "caption", "score", "license", "status"):
        assert [row[name] for row in ours] == [row[name] for row in said], name
    for mine, other in zip(ours, said, strict=True):
        if mine["status"] == "success":
            assert (mine["original_width"], mine["original_height"]) == (
                other["original_width"],
                other["original_height"],
            )


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_what_it_writes_is_a_pool(kind: str, theirs: Path) -> None:
    pool = open_pool(theirs / kind)
    subset = run(pool, Recipe(where=("status=success", "score>=0.25")), LocalEngine(), 1, UNWATCHED)
    assert len(subset) == 2


def test_its_files_are_imported_with_everything_that_it_says_of_them(theirs: Path, tmp_path: Path) -> None:
    folder = read_folder(theirs / "files")
    assert sum(shard.rows for shard in import_folder(folder, tmp_path / "out")) == 3
    rows: list[dict[str, Any]] = pq.read_table(tmp_path / "out" / "00000000.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["caption number 0", "caption number 1", "caption number 4"]
    assert [row["score"] for row in rows] == [0.0, 0.25, 1.0]
    assert [row["license"] for row in rows] == ["by", "cc0", "cc0"]
    assert {row["status"] for row in rows} == {"success"}
    assert not folder.captions.unmatched
    assert {reason for _, reason in folder.left_out()} <= {".parquet", ".json"}  # its tables and statistics
