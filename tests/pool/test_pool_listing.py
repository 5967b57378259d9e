"""What commands that are typed in a pool leave there is no part of the pool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from servers.images import ImageServer, made_photo, serving

from newtest.pool.storage.listing import of_this_pool
from newtest.pool.storage.location import Entry
from newtest.pool.storage.pool import open_pool


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number) for number in range(3)])) as running:
        yield running


def test_commands_typed_in_a_pool_leave_it_the_pool_that_it_was(tmp_path: Path) -> None:
    rows = {
        "jpg": [made_photo(number) for number in range(3)],
        "text": [f"red wall {number}" for number in range(3)],
    }
    pq.write_table(pa.table(rows), tmp_path / "0.parquet")
    (tmp_path / "_q.txt").write_text("wall\n")
    before = open_pool(tmp_path)
    for command in (
        ("dedup-pool", "--method", "bytes"),
        ("dedup-pool", "--method", "hash"),
        ("balance-pool", "--queries", "_q.txt"),
        ("filter-pool", "--min-words", "3"),
        ("reshard-pool", "--subset", "__newtest/min-words-3.npy"),
        ("balance-pool", "--queries", "_q.txt"),
    ):
        done = newtest(*command, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)
    written = {path.name for path in tmp_path.rglob("*.parquet")}
    assert {"dedup.pairs.parquet", "balanced.queries.parquet", "00000000.parquet"} <= written
    assert open_pool(tmp_path) == before
    resharded = open_pool(tmp_path / "__newtest" / "resharded")
    assert resharded.rows(resharded.shards[0]) == 3
    assert len(pd.read_parquet(tmp_path)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"0.parquet", "_q.txt", "__newtest"}


def test_a_download_into_the_folder_of_its_tables_is_a_pool_of_its_own(
    server: ImageServer, tmp_path: Path
) -> None:
    urls = [server.url(path) for path in ("0.jpg", "1.jpg", "status-404/2.jpg")]
    pq.write_table(pa.table({"url": urls, "text": ["a", "b", "c"]}), tmp_path / "urls.parquet")
    command = ("fetch-pool", "--allow-private", "--json")
    first, second = (json.loads(newtest(*command, cwd=tmp_path).stdout) for _ in range(2))
    assert (first["rows"], first["asked"], first["errors"]) == (3, 3, {"http-404": 1})
    assert (second["rows"], second["asked"], second["success"]) == (3, 0, 2)
    assert [shard.name for shard in open_pool(tmp_path).shards] == ["urls"]
    assert [shard.tar is not None for shard in open_pool(tmp_path / "__newtest/shards").shards] == [True]


def test_what_is_no_part_of_a_pool_is_told_by_its_names() -> None:
    names = [
        "0.parquet", "a/1.parquet", "a/layers/scores-1/0-ab.parquet", "b/0.parquet", "b/c/0.parquet", "b/fetch.json",
        "d/reshard.json", "d/0.tar", "layers.parquet", "layers/x/0.parquet", "reshard.json", "x.pairs.parquet",
        "x.queries.parquet", "x.clusters.parquet", "x.groups.parquet",
    ]  # fmt: skip
    kept = [entry.name for entry in of_this_pool([Entry(name, 1) for name in names])]
    assert kept == ["0.parquet", "a/1.parquet", "layers.parquet", "reshard.json"]
