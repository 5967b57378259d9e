"""Rows in are rows out and rows counted: for every command that reads a pool, whatever is in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from pool_cheap_encoder import Cheap
from servers.images import ImageServer, made_photo, serving

from newtest.pool import embedding
from newtest.pool.dedup import target_sets

LETTERS = some.text("ab cé\u0308日", max_size=12)
ROW = some.fixed_dictionaries(
    {
        "uid": some.integers(0, 9).map(lambda number: f"{number:032x}"),
        "text": some.none() | LETTERS,
        "sha256": some.none() | some.sampled_from(["0" * 64, "1" * 64]),
        "score": some.none() | some.sampled_from([0.1, 0.35, float("nan")]),
        "original_width": some.none() | some.integers(0, 500),
        "original_height": some.none() | some.integers(0, 500),
    }
)
SCHEMA = pa.schema(
    [
        ("uid", pa.string()), ("text", pa.string()), ("sha256", pa.string()), ("score", pa.float32()),
        ("original_width", pa.int64()), ("original_height", pa.int64()),
    ]
)  # fmt: skip


QUICK: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],  # a failure is small as it is, and looking for a smaller one takes minutes
}


def told(*typed: str) -> dict[str, Any]:
    done = invoke([*typed, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, (typed, done.output)
    return dict(json.loads(done.stdout))


@settings(max_examples=3, **QUICK)
@given(shards=some.lists(some.lists(ROW, max_size=9), min_size=1, max_size=3))
def test_every_row_is_kept_or_counted(shards: list[list[dict[str, Any]]], tmp_path_factory: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("rows")
    (folder / "pool").mkdir()
    for number, rows in enumerate(shards):
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "pool" / f"{number}.parquet")
    total, pool = sum(map(len, shards)), str(folder / "pool")
    rules = {
        "filter": ("--min-chars", "3", "--where", "score<=0.35", "--min-size", "100"),
        "best": ("--score", "score:0.5"),
    }
    for name, typed in rules.items():
        subset = str(folder / f"{name}.npy")
        said = told("filter-pool", pool, *typed, "--out", subset)
        assert said["rows_read"] == total
        assert said["rows"] == said["rows_kept"] == len(np.load(subset))
        assert said["rows_kept"] + sum(row["rows"] for row in said["dropped_by_reason"]) == total
        assert sum(row["rows"] for row in said["overlaps"]) == total
        written = told("reshard-pool", pool, "--subset", subset, "--out", str(folder / f"{name}-out"))
        assert written["written"] + written["missing"] == said["rows"]
        assert (written["absent"], written["rows_that_share_a_uid"]) == ([], 0)
    said = told("dedup-pool", pool, "--method", "bytes", "--out", str(folder / "d.npy"))
    assert said["rows_read"] == total == len(np.load(folder / "d.npy")) + said["rows_removed"]
    known = Counter(row["sha256"] for rows in shards for row in rows)
    assert said["rows_not_compared"] == known[None]
    (folder / "queries.txt").write_text("a\nb\ncé\n")
    said = told(
        "balance-pool",
        pool,
        "--queries",
        str(folder / "queries.txt"),
        "--cap",
        "1",
        "--out",
        str(folder / "b.npy"),
    )
    assert said["rows"] == len(np.load(folder / "b.npy"))
    assert (
        said["rows_read"] == total == said["rows"] + said["rows_that_match_no_query"] + said["rows_not_drawn"]
    )
    written = told("reshard-pool", pool, "--subset", str(folder / "b.npy"), "--out", str(folder / "b-out"))
    assert (written["written"], written["rows_that_share_a_uid"]) == (said["rows"], 0)
    classes = folder / "classes.csv"
    classes.write_text("wnid,lemmas,gloss\nn1,a,first\nn2,b,second\n")
    found = str(folder / "found.csv")
    said = told("search-pool", pool, "--classes", str(classes), "--per-class", "2", "--out", found)
    assert said["rows_read"] == total
    mentions = sum(row["mentions"] for row in said["classes"])
    assert mentions == said["candidates"] + sum(said["left_out"].values())
    assert said["candidates"] == len(Path(found).read_text().splitlines()) - 1


PHOTO = [made_photo(number) for number in range(3)]
IMAGES: dict[str, bytes | None] = {
    **{f"photo {number}": photo for number, photo in enumerate(PHOTO)},
    "half": PHOTO[0][:200], "empty": b"", "text": b"text", "none": None,
}  # fmt: skip
URLS = ("0.jpg", "1.jpg", "status-404/2.jpg", "text.html", "empty.jpg", None, "", "no address")


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    with serving(ImageServer(PHOTO)) as running:
        yield running


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_encoder", lambda config: Cheap())
    monkeypatch.setattr(target_sets, "encoder", lambda name, **more: Cheap())


@settings(max_examples=2, **QUICK)
@given(
    names=some.lists(some.sampled_from(sorted(IMAGES)), min_size=1, max_size=8),
    texts=some.lists(some.none() | LETTERS, min_size=8, max_size=8),
)
def test_every_image_is_read_or_counted(
    names: list[str], texts: list[str | None], cheap: None, tmp_path_factory: Any
) -> None:
    folder: Path = tmp_path_factory.mktemp("images")
    images = [*(IMAGES[name] for name in names), PHOTO[1]]  # a pool without one image is an error
    (folder / "pool").mkdir()
    table = {
        "key": [f"{number:03d}" for number in range(len(images))],
        "jpg": images,
        "text": [*texts, ""][: len(images)],
    }
    pq.write_table(
        pa.table(table, pa.schema({"key": pa.string(), "jpg": pa.binary(), "text": pa.string()})),
        folder / "pool/0.parquet",
    )
    total, readable, pool = len(images), sum(image in PHOTO for image in images), str(folder / "pool")
    told("embed-pool", pool)
    (layer,) = (folder / "pool/__newtest/layers").glob("embeddings-*/0-*.parquet")
    vectors = pq.read_table(layer)
    reasons = vectors["reason"].to_pylist()
    assert np.isfinite([row[0] for row in vectors["image"].to_pylist()]).tolist() == [
        image in PHOTO for image in images
    ]
    assert all(reasons[row] for row, image in enumerate(images) if image not in PHOTO)
    (folder / "set").mkdir()
    (folder / "set/1.jpg").write_bytes(PHOTO[1])
    (folder / "set/half.jpg").write_bytes(PHOTO[1][:200])
    for method in ("exact", "hash"):
        out = str(folder / f"{method}.npy")
        said = told(
            "decontaminate-pool",
            pool,
            "--against",
            str(folder / "set"),
            "--method",
            method,
            "--threshold",
            "0.999",
            "--out",
            out,
        )
        assert said["rows_read"] == total == len(np.load(out)) + said["rows_removed"]
        assert (said["rows_not_compared"], said["rows_removed"]) == (total - readable, images.count(PHOTO[1]))
        (counts,) = said["sets"].values()
        assert (counts["images"], counts["unreadable"]) == (1, 1)
    (folder / "files").mkdir()
    for number, image in enumerate(images):
        (folder / "files" / f"{number}.jpg").write_bytes(image or b"")
        if texts[number % 8] is not None:
            (folder / "files" / f"{number}.txt").write_text(texts[number % 8] or "")
    said = told("import-pool", str(folder / "files"), "--out", str(folder / "imported"))
    assert said["rows"] + said["left_out"] - said["reasons"].get("a caption without an image", 0) == total
    assert said["rows"] == readable == pq.read_table(folder / "imported/00000000.parquet").num_rows


@settings(max_examples=2, **QUICK)
@given(
    paths=some.lists(some.sampled_from(URLS), min_size=1, max_size=9),
    labels=some.lists(some.integers(0, 5), max_size=6),
)
def test_every_url_and_every_label_is_a_row_or_counted(
    paths: list[str | None], labels: list[int], server: ImageServer, tmp_path_factory: Any
) -> None:
    folder: Path = tmp_path_factory.mktemp("urls")
    urls = [server.url(path) if path and "." in path else path for path in paths]
    pq.write_table(pa.table({"url": pa.array(urls, pa.string())}), folder / "urls.parquet")
    said = told(
        "fetch-pool",
        str(folder / "urls.parquet"),
        "--out",
        str(folder / "pool"),
        "--allow-private",
        "--retries",
        "0",
    )
    rows = pq.read_table(folder / "pool/00000000.parquet").to_pylist()
    assert [row["url"] for row in rows] == urls
    assert said["rows"] == len(paths) == said["success"] + said["left_out"]
    assert said["success"] == sum(path in URLS[:2] for path in paths)
    assert sum(said["errors"].values()) == said["left_out"]
    assert all(bool(row["error"]) != (row["status"] == "success") for row in rows)
    photos = [{"photo_id": str(k), "title": "" if k == 1 else f"title {k}"} for k in range(4)]
    rows_of_labels = [
        {"file": f"{k}.jpg", "wnid": "n1", "photo_id": str(number)} for k, number in enumerate(labels)
    ]
    pq.write_table(pa.Table.from_pylist(photos), folder / "photos.parquet")
    schema = pa.schema([(name, pa.string()) for name in ("file", "wnid", "photo_id")])
    pq.write_table(pa.Table.from_pylist(rows_of_labels, schema), folder / "labels.parquet")
    said = told(
        "caption-pool",
        str(folder / "labels.parquet"),
        str(folder / "photos.parquet"),
        "--out",
        str(folder / "captions"),
    )
    assert said["rows"] == len(labels)
    assert said["matched"] == sum(number < 4 for number in labels)
    assert said["captioned"] == sum(number in (0, 2, 3) for number in labels)
    assert said["captioned"] == pq.read_table(folder / "captions/00000000.parquet").num_rows
    assert said["photos"] == 4 == said["photos_unused"] + len({number for number in labels if number < 4})
