"""A table of URLs against a real server that misbehaves."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from servers.images import ImageServer, made_photo, serving

from newtest.download import DownloadConfig
from newtest.pool.fetching import fetch_shards
from newtest.pool.storage.pool import open_pool

PATHS = [
    "1.jpg",
    "2.jpg",
    "flaky-1/3.jpg",
    "status-404/4.jpg",
    "text.html",
    "half/6.jpg",
    "flaky-9/7.jpg",
    "noai/8.jpg",
]
ERRORS = [None, None, None, "http-404", "not-an-image", "truncated", "http-503", "opted-out"]
CONFIG = DownloadConfig(allow_private=True, backoff=0.01, retries=2, read_timeout=1.0, deadline=5.0)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number) for number in range(12)])) as running:
        yield running


def table_of(server: ImageServer, folder: Path, **columns: list[object]) -> Path:
    folder.mkdir()
    urls = [server.url(path) for path in PATHS]
    captions = [f"caption {number}" for number in range(len(PATHS))]
    pq.write_table(pa.table({"URL": urls, "TEXT": captions, **columns}), folder / "urls.parquet")
    return folder


def test_what_came_is_kept_and_what_failed_for_now_is_asked_again(
    server: ImageServer, tmp_path: Path
) -> None:
    table, out = open_pool(table_of(server, tmp_path / "table")), tmp_path / "out"
    first = list(fetch_shards(table, str(out), CONFIG, shard_rows=5))
    assert [(shard.rows, shard.success, shard.retry, shard.asked) for shard in first] == [
        (5, 3, 0, 5),
        (3, 0, 1, 3),
    ]
    told = [error for shard in first for error, rows in shard.errors.items() for _ in range(rows)]
    assert sorted(told) == sorted(error for error in ERRORS if error)
    rows = pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("*.parquet"))]).to_pylist()
    assert [row["error"] for row in rows] == ERRORS
    before = {path.name: path.read_bytes() for path in out.glob("0*")}
    asked = server.asked.total()
    for _ in range(3):  # nine refusals, three a run: the fourth run gets it
        again = list(fetch_shards(table, str(out), CONFIG, shard_rows=5))
    assert server.asked.total() - asked == 7
    assert [(shard.success, shard.retry) for shard in again] == [(3, 0), (1, 0)]
    assert (out / "00000000.tar").read_bytes() == before["00000000.tar"]
    with tarfile.open(out / "00000001.tar") as archive:
        names = archive.getnames()
        assert archive.extractfile(names[0]).read() == made_photo(7)  # type: ignore[union-attr]
    assert [name.partition(".")[2] for name in names] == ["jpg", "txt", "json"]
    fetched = open_pool(out)
    assert sum(fetched.rows(shard) for shard in fetched.shards) == len(PATHS)


def test_faces_are_blurred_where_the_table_names_them(server: ImageServer, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    server.photos[:] = [buffer.getvalue()] * 12
    boxes: list[object] = [[[0.0, 0.0, 0.5, 1.0]], *([[]] * (len(PATHS) - 1))]
    table = open_pool(table_of(server, tmp_path / "table", face_bboxes=boxes))
    list(fetch_shards(table, str(tmp_path / "out"), CONFIG, blur_faces=True))
    with tarfile.open(tmp_path / "out" / "00000000.tar") as archive:
        images = [archive.extractfile(name).read() for name in archive.getnames() if name.endswith(".jpg")]  # type: ignore[union-attr]
    blurred = np.asarray(PIL.Image.open(io.BytesIO(images[0])).convert("RGB"), float)
    assert blurred[:, :48].std() < 20 < blurred[:, 52:].std()
    assert images[1] == buffer.getvalue()


def test_faces_that_were_kept_are_blurred_later_and_boxes_that_are_none_keep_no_picture(
    server: ImageServer, tmp_path: Path
) -> None:
    boxes: list[object] = [[[0.9, 0.9, 0.1, 0.1]], [[0.5]], *([None] * (len(PATHS) - 2))]
    table, out = open_pool(table_of(server, tmp_path / "table", face_bboxes=boxes)), tmp_path / "out"
    list(fetch_shards(table, str(out), CONFIG))
    plain = pq.read_table(out / "00000000.parquet").to_pylist()
    asked = server.asked["/1.jpg"]
    list(fetch_shards(table, str(out), CONFIG, blur_faces=True))
    rows = pq.read_table(out / "00000000.parquet").to_pylist()
    assert server.asked["/1.jpg"] == asked > 0, "it was there"
    assert (rows[0]["status"], rows[0]["faces_blurred"]) == ("success", 1)
    assert rows[0]["sha256"] != plain[0]["sha256"]
    assert (rows[1]["status"], rows[1]["error"], rows[1]["final"]) == ("failed_to_resize", "face-boxes", True)
    with tarfile.open(out / "00000000.tar") as archive:
        names = [name for name in archive.getnames() if name.endswith(".jpg")]
        first = archive.extractfile(names[0]).read()  # type: ignore[union-attr]
    assert names == ["0000000000000.jpg", "0000000000002.jpg"]
    assert hashlib.sha256(first).hexdigest() == rows[0]["sha256"]
    before = (out / "00000000.parquet").read_bytes()
    list(fetch_shards(table, str(out), CONFIG, blur_faces=True))
    assert (out / "00000000.parquet").read_bytes() == before


def test_the_command_refuses_private_addresses_unless_told(server: ImageServer, tmp_path: Path) -> None:
    table_of(server, tmp_path / "table")
    done = newtest("fetch-pool", "table", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "private-address      8\n0 of 8 images" in done.stdout
    assert server.asked.total() == 0
