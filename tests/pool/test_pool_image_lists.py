"""Columns that hold a list of images per row: what is read, what is said, and that nothing of it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest
from servers.images import made_photo

from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool.dedup.hash_layer import HASHES
from newtest.pool.dedup.hashing import framed_hashes
from newtest.pool.dedup.target_sets import set_images
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.storage.image_files import OUTSIDE
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.row_images import paired

PHOTOS = [made_photo(number) for number in range(4)]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SEVERAL = "several images in a row; `image_col` images[0] chooses the first of them"


def structs(*photos: int) -> list[dict[str, Any]]:
    return [{"bytes": PHOTOS[photo], "path": f"{photo}.jpg"} for photo in photos]


ROWS = [structs(0), structs(1, 2), [], None, structs(3)]
FORMS = {
    "structs": pa.array(ROWS, pa.list_(IMAGE)),
    "large": pa.array(ROWS, pa.large_list(IMAGE)),
    "bytes": pa.array([row and [image["bytes"] for image in row] for row in ROWS], pa.list_(pa.binary())),
}


def pool_of(folder: Path, images: pa.Array) -> Path:
    folder.mkdir()
    pq.write_table(pa.table({"images": images, "text": list("abcde")}), folder / "0.parquet")
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_list_of_one_image_is_that_image_and_others_have_a_reason(form: str, tmp_path: Path) -> None:
    pool = open_pool(pool_of(tmp_path / "pool", FORMS[form]))
    found = dict(paired(pool, pool.shards[0]))
    assert [found[row].image for row in range(5)] == [PHOTOS[0], None, None, None, PHOTOS[3]]
    assert len(framed_hashes(pool)[1]) == 2
    assert HASHES.table(pool, pool.shards[0])["reason"].to_pylist() == [
        None, SEVERAL, "no image", "no image", None,
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_index_chooses_one_of_each_list_and_has_layers_of_its_own(form: str, tmp_path: Path) -> None:
    folder = pool_of(tmp_path / "pool", FORMS[form])
    second = open_pool(folder, image_col="images[1]")
    found = dict(paired(second, second.shards[0]))
    assert [found[row].image for row in range(5)] == [None, PHOTOS[2], None, None, None]
    assert found[0].why == "no image at images[1]"
    first = open_pool(folder, image_col="images[0]")
    assert first.shard_fingerprint(first.shards[0]) != second.shard_fingerprint(second.shards[0])
    assert len(framed_hashes(first)[1]) == 3
    assert len(framed_hashes(second)[1]) == 1
    with pytest.raises(PoolError, match="no column 'photos'"):
        framed_hashes(open_pool(folder, image_col="photos[0]"))


def test_the_command_counts_the_rows_that_it_did_not_compare_by_reason(tmp_path: Path) -> None:
    pool_of(tmp_path / "pool", FORMS["structs"])
    done = newtest("dedup-pool", "pool", "--method", "hash", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["rows_not_compared"] == 3
    assert told["not_compared"] == {"no image": 2, SEVERAL: 1}
    done = newtest("dedup-pool", "pool", "--method", "hash", "--image-col", "images[0]", cwd=tmp_path)
    assert "3 rows not compared" not in done.stdout
    assert "2 rows are kept uncompared: 2 no image" in done.stdout


def test_a_set_with_lists_is_compared_by_each_of_its_images(tmp_path: Path) -> None:
    folder = pool_of(tmp_path / "set", FORMS["structs"])
    images = dict(set_images(str(folder)))
    assert [data for data in images.values() if data] == PHOTOS
    assert list(images) == [f"0.parquet:{name}" for name in ("0.jpg", "1.jpg", "2.jpg", "2", "3", "3.jpg")]
    plain = pool_of(tmp_path / "plain", FORMS["bytes"])
    assert [name for name, data in set_images(str(plain), "images[0]") if data] == [
        f"0.parquet:{name}" for name in ("0", "1[0]", "1[1]", "4")
    ]


def test_reshard_keeps_all_images_of_a_row_and_takes_those_of_paths_along(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    for number in (0, 1):
        (tmp_path / "pool" / f"{number}.jpg").write_bytes(PHOTOS[number])
    paths = pa.list_(pa.struct([("bytes", pa.null()), ("path", pa.string())]))
    rows = [[{"bytes": None, "path": "0.jpg"}, {"bytes": None, "path": "1.jpg"}], None,
            [{"bytes": None, "path": "../2.jpg"}]]  # fmt: skip
    table = pa.table({"images": pa.array(rows, paths), "uid": [f"{row:032x}" for row in range(3)]})
    pq.write_table(table, tmp_path / "pool" / "0.parquet")
    pool = open_pool(tmp_path / "pool", image_col="images[0]")
    found = {row: sample.image or sample.why for row, sample in paired(pool, pool.shards[0])}
    assert found == {0: PHOTOS[0], 1: "no image at images[0]", 2: OUTSIDE}
    (outcome,) = reshard(
        pool, plan_reshard(pool, None, 10), str(tmp_path / "out"), LocalEngine(), Resources(1)
    )
    assert outcome.error is None
    written = pq.read_table(next((tmp_path / "out").glob("*.parquet")))["images"].to_pylist()
    assert [row and [image["bytes"] for image in row] for row in written] == [PHOTOS[:2], None, [None]]


def test_a_column_of_bytes_by_another_name_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    uids = [f"{row:032x}" for row in range(4)]
    table = pa.table({"picture": PHOTOS, "other": PHOTOS[:1] * 4, "uid": uids})
    pq.write_table(table, tmp_path / "pool" / "0.parquet")
    with pytest.raises(PoolError, match="if picture or other holds them, name it as `image_col`"):
        framed_hashes(open_pool(tmp_path / "pool"))
    hashes = [
        framed_hashes(open_pool(tmp_path / "pool", image_col=column))[0] for column in ("picture", "other")
    ]
    assert [len({each.tobytes() for each in words}) for words in hashes] == [4, 1], "layers of their own"
    with pytest.raises(PoolError, match=r"holds one image per row; leave \[0\] out"):
        framed_hashes(open_pool(tmp_path / "pool", image_col="picture[0]"))
