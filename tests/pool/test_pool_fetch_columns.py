"""What fetch-pool takes, and that it keeps all of it: columns, rows, and what filters make of them."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from servers.images import ImageServer, made_photo, serving

from newtest.download import DownloadConfig
from newtest.engines import LocalEngine
from newtest.errors import PoolError
from newtest.pool.fetching import Fetched, fetch_shards
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.storage.pool import open_pool
from newtest.pool.url_tables import url_tables
from newtest.progress import UNWATCHED

CONFIG = DownloadConfig(allow_private=True, retries=0, backoff=0.01)
SIZE = 10


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number) for number in range(SIZE)])) as running:
        yield running


def datacomp(server: ImageServer) -> pa.Table:
    """DataComp's metadata, with sizes that are not those of the photos, and a licence."""
    return pa.table(
        {
            "uid": [f"{k:032x}" for k in range(SIZE)],
            "url": [server.url(f"{k}.jpg") for k in range(SIZE)],
            "text": [f"caption number {k}" for k in range(SIZE)],
            "original_width": [100 * k for k in range(SIZE)],
            "original_height": [100 * k for k in range(SIZE)],
            "clip_l14_similarity_score": pa.array([k / 10 for k in range(SIZE)], pa.float32()),
            "license": ["by"] * SIZE,
            "sha256": ["0" * 64] * SIZE,
            "key": [f"theirs{k}" for k in range(SIZE)],
            "face_bboxes": pa.array([[[0.1, 0.1, 0.2, 0.2]]] * SIZE, pa.list_(pa.list_(pa.float64()))),
        }
    )


def fetched(source: Path, out: Path, **columns: str) -> list[Fetched]:
    return list(fetch_shards(url_tables(str(source), **columns), str(out), CONFIG, shard_rows=4))


def kept(pool: Path, recipe: Recipe) -> list[str]:
    subset = run(open_pool(pool), recipe, LocalEngine(), 1, UNWATCHED)
    return [f"{high:016x}{low:016x}" for high, low in subset.uids.tolist()]


def test_filtering_before_and_after_fetching_keeps_the_same_rows(server: ImageServer, tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    given = datacomp(server)
    pq.write_table(given, tmp_path / "meta" / "0.parquet")
    fetched(tmp_path / "meta", tmp_path / "out")
    after = pa.concat_tables(
        [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))],
        promote_options="default",
    )
    names = [name for name in given.column_names if name != "key"]
    assert after.select(names).to_pylist() == given.select(names).to_pylist()
    assert after["given_key"].to_pylist() == given["key"].to_pylist()
    assert set(after["status"].to_pylist()) == {"success"}
    for recipe in (
        Recipe(clip_score=True),
        Recipe(min_size=500),
        Recipe(scores=("clip_l14_similarity_score>=0.4",)),
    ):
        assert kept(tmp_path / "meta", recipe) == kept(tmp_path / "out", recipe)
    assert [int(uid, 16) for uid in kept(tmp_path / "out", Recipe(clip_score=True))] == [7, 8, 9]
    with tarfile.open(tmp_path / "out" / "00000000.tar") as archive:
        member = archive.extractfile("0000000000002.json")
        assert member is not None
        said = json.load(member)
    assert (said["license"], said["uid"], said["given_key"]) == ("by", f"{2:032x}", "theirs2")
    assert said["clip_l14_similarity_score"] == pytest.approx(0.2)


ROWS = [
    {"image": "0.jpg", "alt": "red, and round", "score": 0.5, "id": 7},
    {"image": "1.jpg", "alt": "blue", "score": 2, "id": 8},
]


def written(kind: str, server: ImageServer, folder: Path) -> Path:
    rows = [{**row, "image": server.url(str(row["image"]))} for row in ROWS]
    plain = kind.removesuffix(".gz")
    names = ["image", "alt", "score", "id"]
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    text = {
        "csv": lambda: "".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in cells),
        "tsv": lambda: "".join("\t".join(line) + "\n" for line in cells),
        "json": lambda: json.dumps(rows),
        "jsonl": lambda: "".join(json.dumps(row) + "\n" for row in rows),
        "txt": lambda: "".join(f"{row['image']}\n" for row in rows),
    }
    path = folder / f"table.{kind}"
    if plain == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        data = text[plain]().encode()
        path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "tsv", "json", "jsonl", "txt", "csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_everything_that_img2dataset_takes_is_taken(
    kind: str, whole: bool, server: ImageServer, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    path = written(kind, server, tmp_path / "in")
    named: dict[str, Any] = (
        {} if kind == "txt" else {"url_col": "image", "caption_col": "alt", "uid_col": "id"}
    )
    (done,) = fetched(path.parent if whole else path, tmp_path / "out", **named)
    assert (done.rows, done.success) == (2, 2)
    rows = pq.read_table(tmp_path / "out" / "00000000.parquet").to_pylist()
    if kind != "txt":
        assert [row["text"] for row in rows] == [row["alt"] for row in ROWS]
        assert [row["score"] for row in rows] == [0.5, 2.0]
        assert [row["uid"] for row in rows] == [f"{7:032x}", f"{8:032x}"]
    assert kept(tmp_path / "out", Recipe(min_size=1)) == sorted(row["uid"] for row in rows)


def test_a_column_that_is_missing_is_named_before_anything_is_written(
    server: ImageServer, tmp_path: Path
) -> None:
    path = written("csv", server, tmp_path)
    for named, said in (
        ({}, "no column of URLs"),
        ({"url_col": "link"}, "no column 'link'; it has image, alt, score, id"),
    ):
        with pytest.raises(PoolError, match=said):
            fetched(path, tmp_path / "out", **named)
    assert not (tmp_path / "out").exists()


def test_rows_that_share_a_uid_keep_what_became_of_each(server: ImageServer, tmp_path: Path) -> None:
    urls = [server.url("0.jpg"), server.url("status-404/1.jpg"), server.url("2.jpg")]
    table = pa.table({"uid": ["0" * 32] * 3, "url": urls, "text": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "in.parquet")
    for asked in (3, 0):
        (done,) = fetched(tmp_path / "in.parquet", tmp_path / "out")
        assert (done.success, done.asked, dict(done.errors)) == (2, asked, {"http-404": 1})
    status = pq.read_table(tmp_path / "out" / "00000000.parquet")["status"].to_pylist()
    assert status == ["success", "failed_to_download", "success"]


def test_the_command_says_what_has_no_image_and_why(server: ImageServer, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(f"{server.url('0.jpg')}\n{server.url('status-404/1.jpg')}\n")
    command = ("fetch-pool", "urls.txt", "--out", "out", "--allow-private", "--retries", "0")
    done = newtest(*command, "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (told["rows"], told["success"], told["left_out"], told["errors"]) == (2, 1, 1, {"http-404": 1})
    assert "1 of 2 images are in 1 shards of out" in newtest(*command, cwd=tmp_path).stdout
    again = newtest("fetch-pool", "urls.txt", "--out", "out", "--shard-rows", "1", cwd=tmp_path)
    assert (again.returncode, "shards of another size" in again.stderr) == (1, True)
    assert np.array_equal([row.name for row in sorted((tmp_path / "out").glob("*.tar"))], ["00000000.tar"])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_quote_that_does_not_close_swallows_no_rows(name: str, tmp_path: Path) -> None:
    comma = "," if name.endswith("csv") else "\t"
    rows = [("url", "text"), ("http://h/1", '"an open cell'), ("http://h/2", "two"), ("http://h/3", "three")]
    (tmp_path / name).write_text("".join(f"{comma.join(row)}\n" for row in rows))
    with pytest.raises(PoolError, match=rf"{name}.*line 2.*unexpected end"):
        list(url_tables(str(tmp_path / name)).batches(10))
    (tmp_path / name).write_text(
        f'url{comma}text\nhttp://h/1{comma}"two\nlines"\nhttp://h/2{comma}a 6" pipe\n'
    )
    (table,) = url_tables(str(tmp_path / name)).batches(10)
    assert table["text"].to_pylist() == ["two\nlines", 'a 6" pipe']
