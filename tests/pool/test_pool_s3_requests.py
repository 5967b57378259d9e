"""How often a store is asked, by its own log, and for how many bytes."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from werkzeug.serving import WSGIRequestHandler

from newtest.pool.storage.location import place_of
from newtest.pool.storage.ranges import TAIL, Known, RangedFile

SHARDS = 12


@pytest.fixture
def small_shards(bucket: str) -> str:
    place = place_of(f"{bucket}/small")
    if not place.entries():
        for number in range(SHARDS):
            rows = range(number * 100, number * 100 + 100)
            table = {
                "uid": [f"{row:032x}" for row in rows],
                "text": [f"a photo of a goldfish, number {row}" for row in rows],
                "original_width": [100 + row for row in rows],
                "original_height": [400] * 100,
            }
            with place.writing(f"{number:08d}.parquet") as path:
                pq.write_table(pa.table(table), path)
    return place.url


def asked(caplog: pytest.LogCaptureFixture, *rules: str, pool: str, at: Path) -> Counter[str]:
    """Requests of one command per kind: the method, and whether it was for a shard's own file."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "werkzeug"):
        done = newtest("filter-pool", pool, *rules, "--out", "kept.npy", cwd=at)
    assert done.returncode == 0, done.stderr
    lines = (record.getMessage() for record in caplog.records if record.name == "werkzeug")
    found = (re.search(r"(GET|HEAD|PUT) (/\S+)", line) for line in lines)
    requests = [(one[1], one[2]) for one in found if one and "list-type" not in one[2]]
    return Counter(
        f"{method} {'layer' if '__newtest' in path else 'shard'}"
        for method, path in requests
        if path.endswith(".parquet")
    )


def test_rules_ask_once_per_small_shard(
    caplog: pytest.LogCaptureFixture, small_shards: str, tmp_path: Path
) -> None:
    for _ in range(2):
        rules = ("--min-size", "300", "--where", "original_width<1000")
        assert asked(caplog, *rules, pool=small_shards, at=tmp_path) == {"GET shard": SHARDS}
    assert len(np.load(tmp_path / "kept.npy")) == 700


def test_languages_ask_once_per_small_shard_and_once_for_what_its_layer_knows(
    caplog: pytest.LogCaptureFixture, small_shards: str, tmp_path: Path
) -> None:
    first = asked(caplog, "--basic", pool=small_shards, at=tmp_path)
    assert first == {"GET shard": SHARDS, "PUT layer": SHARDS}
    later = asked(caplog, "--basic", pool=small_shards, at=tmp_path)
    assert later == {"GET shard": SHARDS, "GET layer": SHARDS}


def test_the_server_sends_little_more_of_a_large_shard_than_the_columns(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Counted by the lengths that the server itself writes into its answers."""
    rows, rng = 60_000, np.random.default_rng(0)
    table = {
        "uid": [f"{row:032x}" for row in range(rows)],
        **{name: rng.random(rows) for name in "abcdefghijkl"},
    }
    place = place_of(f"{bucket}/large")
    with place.writing("0.parquet") as path:
        pq.write_table(pa.table(table), path, row_group_size=20_000)
        about, size = pq.read_metadata(path), path.stat().st_size
    needed = sum(
        about.row_group(group).column(at).total_compressed_size
        for group in range(about.num_row_groups)
        for at in range(about.num_columns)
        if about.row_group(group).column(at).path_in_schema in ("uid", "b")
    )
    sent: list[tuple[str, int]] = []
    plain = WSGIRequestHandler.send_header

    def counted(self: WSGIRequestHandler, keyword: str, value: str) -> None:
        if keyword.lower() == "content-length" and self.path.endswith("0.parquet"):
            sent.append((self.command, int(value)))
        plain(self, keyword, value)

    monkeypatch.setattr(WSGIRequestHandler, "send_header", counted)
    for _ in range(2):
        sent.clear()
        done = newtest("filter-pool", place.url, "--where", "b<0.5", "--out", "kept.npy", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        fetched = sum(length for method, length in sent if method == "GET")
        assert needed < fetched <= 1.3 * needed < size / 2
        assert {method for method, _ in sent} == {"GET"}


def test_of_a_large_file_little_more_than_the_columns_is_fetched(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.random(100_000) for name in ("a", "b", "c", "d", "e", "f", "g", "h")}
    path = tmp_path / "large.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=25_000)
    data, fetched = path.read_bytes(), []

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return data[start:end]

    first = 0
    for run in range(2):
        with RangedFile(fetch, Known(len(data), "one"), "large", columns=True) as file:
            read = pq.ParquetFile(file)
            table = read.read(columns=["b", "g"])
        first = first if run else len(fetched)
    assert table["b"].to_pylist() == columns["b"].tolist()
    parts = (
        read.metadata.row_group(group).column(at).total_compressed_size for group in range(4) for at in (1, 6)
    )
    needed = sum(parts)
    footers = [span for span in fetched if span[1] == len(data)]
    assert footers == [(len(data) - TAIL, len(data))]  # once, though the file was opened twice
    assert (sum(end - start for start, end in fetched) - TAIL) / 2 <= 1.01 * needed
    assert sum(end - start for start, end in fetched[:first]) <= 1.3 * needed


def test_what_is_read_is_the_file_wherever_one_looks(tmp_path: Path) -> None:
    data = np.random.default_rng(1).bytes(3_000_000)
    for columns in (True, False):
        file = RangedFile(lambda start, end: data[start:end], Known(len(data), "x"), columns, columns=columns)
        for place, size in ((0, 10), (2_999_990, 50), (1_500_000, 1_200_000), (5, 0), (3_000_000, 1)):
            assert file.seek(place) == place
            assert file.read(size) == data[place : place + size]
        assert file.seek(-4, 2) == 2_999_996
        assert file.read() == data[-4:]
    short = RangedFile(lambda start, end: b"", Known(10, "short"), "short", columns=True)
    with pytest.raises(OSError, match="the store gave 0 bytes"):
        short.read(1)


def test_a_file_that_may_have_changed_unseen_is_fetched_each_time() -> None:
    """Where a store tells neither an ETag nor a time, a changed file of the same size would look the same."""
    for tag, expected in (("", b"new"), ("etag", b"old")):
        for data in (b"old", b"new"):
            file = RangedFile(
                lambda start, end, data=data: data[start:end], Known(3, tag), f"untagged{tag}", columns=True
            )  # type: ignore[misc]
            read = file.read()
        assert read == expected
