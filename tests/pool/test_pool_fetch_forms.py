"""fetch-pool beyond the web: files and stores where they are allowed, images resized, robots.txt obeyed."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from servers.images import ImageServer, made_photo, serving

from newtest.download import DownloadConfig
from newtest.errors import PoolError, UsageError
from newtest.images import shown
from newtest.pool.fetching import fetch_shards
from newtest.pool.resizing import Resize, resized
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.row_images import paired
from newtest.pool.url_tables import url_tables

CONFIG = DownloadConfig(allow_private=True, backoff=0.01, retries=0, read_timeout=1.0, deadline=5.0)


def rows_of(pool: Path) -> list[dict[str, Any]]:
    return pa.concat_tables([pq.read_table(path) for path in sorted(pool.glob("*.parquet"))]).to_pylist()


def urls(folder: Path, *lines: str) -> Path:
    table = folder / "urls.parquet"
    pq.write_table(pa.table({"url": list(lines), "text": [f"caption {k}" for k in range(len(lines))]}), table)
    return table


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "sub/b c.jpg")):
        (folder / name).write_bytes(made_photo(number))
    (tmp_path / "secret.jpg").write_bytes(made_photo(9))
    (folder / "out.jpg").symlink_to("../secret.jpg")
    os.mkfifo(folder / "pipe.jpg")
    return folder


def test_files_are_read_below_the_places_that_are_allowed_and_nowhere_else(photos: Path) -> None:
    home = photos.parent
    table = urls(
        home, f"file://{photos}/a.jpg", f"file://{photos}/sub/b%20c.jpg", "a.jpg", "sub\\b c.jpg", f"{photos}/a.jpg",
        "gone.jpg", "../secret.jpg", f"file://{home}/secret.jpg", "out.jpg", "pipe.jpg", "file://elsewhere/a.jpg",
        "s3://bucket/a.jpg",
    )  # fmt: skip
    refused = list(fetch_shards(url_tables(str(table)), str(home / "out"), CONFIG))
    assert refused[0].errors == {"not-allowed": 5, "bad-url": 7}
    done = list(fetch_shards(url_tables(str(table)), str(home / "out"), CONFIG, allow_below=[str(photos)]))
    assert [row["error"] for row in rows_of(home / "out")] == [
        *[None] * 5, "no-such-file", *["not-allowed"] * 3, "unreadable", *["not-allowed"] * 2,
    ]  # fmt: skip
    assert (done[0].success, done[0].retry) == (5, 1)
    pool = open_pool(home / "out")
    found = [sample.image for _, sample in paired(pool, pool.shards[0])]
    assert found == [made_photo(number) for number in (0, 1, 0, 1, 0)]


def test_the_command_says_how_files_are_allowed(photos: Path) -> None:
    urls(photos.parent, f"file://{photos}/a.jpg")
    done = newtest("fetch-pool", "urls.parquet", "--out", "out", cwd=photos.parent)
    assert "1 URLs name files of this machine or objects of a store; --allow-below reads" in done.stderr
    done = newtest(
        "fetch-pool", "urls.parquet", "--out", "out", "--allow-below", "photos", "--json", cwd=photos.parent
    )
    assert json.loads(done.stdout)["success"] == 1
    done = newtest("fetch-pool", "urls.parquet", "--out", "out", "--allow-below", "none", cwd=photos.parent)
    assert (done.returncode, "there is no such folder" in done.stderr) == (2, True)


def image(width: int, height: int) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)).save(
        out, "PNG"
    )
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("keep_ratio", (80, 40)),
        ("keep_ratio_largest", (40, 20)),
        ("center_crop", (40, 40)),
        ("border", (40, 40)),
    ],
)
def test_each_mode_gives_img2datasets_sizes(mode: Any, size: tuple[int, int]) -> None:
    for width, height in ((200, 100), (20, 10)):  # smaller and larger
        made = resized(image(width, height), Resize(mode, 40, "png"))
        assert made is not None
        assert (made.width, made.height) == size == shown(made.data).size
    kept = resized(image(20, 10), Resize(mode, 40, "png", only_if_bigger=True))
    assert kept is None
    pixels = np.asarray(shown(resized(image(80, 40), Resize(mode, 40, "png")).data))  # type: ignore[union-attr]
    whole = np.asarray(shown(image(80, 40)))
    if mode == "border":
        assert (pixels[:10] == 255).all()
        assert (pixels[-10:] == 255).all()
        averages = whole.reshape(20, 2, 40, 2, 3).mean((1, 3))
        assert abs(pixels[10:30].astype(float) - averages).max() <= 1, "two roundings"
    if mode == "center_crop":
        assert (pixels == whole[:, 20:60]).all()
    with pytest.raises(UsageError, match="is not one of no, keep_ratio"):
        Resize("squash")  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer([made_photo(number, (160, 120)) for number in range(4)])) as running:
        yield running


def test_resized_images_are_kept_with_both_sizes_and_another_setting_is_refused(
    server: ImageServer, tmp_path: Path
) -> None:
    table = urls(tmp_path, server.url("1.jpg"), server.url("half/2.jpg"))
    resize = Resize("border", 64, "webp")
    for _ in range(2):
        done = list(fetch_shards(url_tables(str(table)), str(tmp_path / "out"), CONFIG, resize=resize))
        assert done[0].errors == {"truncated": 1}
    row, failed = rows_of(tmp_path / "out")
    sizes = [row[name] for name in ("original_width", "original_height", "resized_width", "resized_height")]
    assert (sizes, row["format"], row["status"]) == ([160, 120, 64, 64], "WEBP", "success")
    assert (failed["status"], failed["resized_width"]) == ("failed_to_resize", None)
    pool = open_pool(tmp_path / "out")
    ((_, sample),) = paired(pool, pool.shards[0])
    assert list(sample.members) == ["webp", "txt", "json"]
    assert shown(sample.image or b"").size == (64, 64)
    with pytest.raises(PoolError, match="resized in another way"):
        list(fetch_shards(url_tables(str(table)), str(tmp_path / "out"), CONFIG))


def test_objects_of_a_store_are_read_below_the_address_that_is_allowed(bucket: str, tmp_path: Path) -> None:
    import boto3

    store = boto3.client("s3")
    for name in ("photos/a.jpg", "private/b.jpg"):
        store.put_object(Bucket=bucket.removeprefix("s3://"), Key=name, Body=made_photo(len(name)))
    table = urls(tmp_path, *(f"{bucket}/{name}" for name in (
        "photos/a.jpg", "photos/gone.jpg", "private/b.jpg", "photos/../private/b.jpg", "photos-of-others/c.jpg",
    )))  # fmt: skip
    done = list(
        fetch_shards(url_tables(str(table)), str(tmp_path / "out"), CONFIG, allow_below=[f"{bucket}/photos"])
    )
    assert (done[0].success, done[0].errors) == (1, {"no-such-file": 1, "not-allowed": 3})
    rows = rows_of(tmp_path / "out")
    assert [row["error"] for row in rows] == [None, "no-such-file", *["not-allowed"] * 3]


def test_a_folder_of_tars_is_sent_to_the_command_that_imports_them(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(bytes(10240))
    with pytest.raises(
        PoolError, match=r"tars, which hold their images already; 'newtest import-pool .*' makes a"
    ):
        url_tables(str(tmp_path))
