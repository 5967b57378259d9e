"""Which column of a table holds the images, and images that a table names by their paths alone."""

from __future__ import annotations

from decimal import Decimal
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
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.storage.image_files import NOWHERE, OUTSIDE
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.row_images import paired
from newtest.progress import UNWATCHED

PATHS = [
    "a.jpg",
    "./sub/b.jpg",
    "e\u0301.jpg",
    "gone.jpg",
    "/etc/hostname",
    "../secret.jpg",
    "https://a.b/c.jpg",
    None,
]
REASONS = [None, None, None, NOWHERE, OUTSIDE, OUTSIDE, OUTSIDE, "no image"]


@pytest.fixture
def by_path(tmp_path: Path) -> Path:
    """A table in a folder of the pool, whose images are files beside it and files of the pool."""
    pool = tmp_path / "pool"
    (pool / "tables").mkdir(parents=True)
    (pool / "sub").mkdir()
    for number, name in enumerate(("tables/a.jpg", "sub/b.jpg", "\u00e9.jpg")):
        (pool / name).write_bytes(made_photo(number))
    (tmp_path / "secret.jpg").write_bytes(made_photo(9))
    return pool


def table_of(form: str) -> pa.Table:
    rows: list[Any] = [None if path is None else {"bytes": None, "path": path} for path in PATHS]
    if form == "paths":
        rows = [row and {"path": row["path"]} for row in rows]
    kind = {
        "null": pa.struct([("bytes", pa.null()), ("path", pa.string())]),
        "binary": pa.struct([("bytes", pa.binary()), ("path", pa.large_string())]),
        "paths": pa.struct([("path", pa.string())]),
    }[form]
    return pa.table({"image": pa.array(rows, kind), "text": [f"caption {k}" for k in range(len(rows))]})


@pytest.mark.parametrize("form", ["null", "binary", "paths"])
def test_images_that_are_paths_are_read_in_the_pool_or_have_a_reason(form: str, by_path: Path) -> None:
    pq.write_table(table_of(form), by_path / "tables" / "0.parquet")
    pool = open_pool(by_path)
    found = {
        row: (sample.image, None if sample.image else sample.why)
        for row, sample in paired(pool, pool.shards[0])
    }
    photos = [made_photo(number) for number in range(3)] + [None] * 5
    assert [found[row] for row in range(len(PATHS))] == list(zip(photos, REASONS, strict=True))
    assert len(framed_hashes(pool)[1]) == 3
    assert HASHES.table(pool, pool.shards[0])["reason"].to_pylist() == REASONS
    (batch,) = pool.batches(pool.shards[0], ["uid", "width"])
    assert batch["width"].to_pylist() == [160] * 3 + [None] * 5
    assert [data for name, data in set_images(str(by_path / "tables" / "0.parquet")) if data] == photos[:1], (
        "a table that is given alone knows the files of its own folder"
    )


@pytest.mark.parametrize("form", ["null", "paths"])
def test_a_pool_written_elsewhere_takes_the_bytes_along(form: str, by_path: Path, tmp_path: Path) -> None:
    pq.write_table(table_of(form), by_path / "tables" / "0.parquet")
    pool = open_pool(by_path)
    plan = plan_reshard(pool, None, 10)
    (outcome,) = reshard(pool, plan, str(tmp_path / "out"), LocalEngine(), Resources(1))
    assert outcome.error is None
    rows = pq.read_table(next((tmp_path / "out").glob("*.parquet"))).to_pylist()
    assert [row["image"] and row["image"]["bytes"] for row in rows] == [
        *map(made_photo, range(3)),
        *[None] * 5,
    ]
    assert [row["image"] and row["image"]["path"] for row in rows] == PATHS


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Columns of photos and of thumbnails: the photos are all different, the thumbnails are not."""
    table = {
        "jpg": [made_photo(number) for number in range(4)],
        "thumb": [{"bytes": made_photo(number // 2 + 5), "path": None} for number in range(4)],
        "key": list("abcd"),
    }
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table(table), tmp_path / "pool" / "0.parquet")
    return tmp_path


def test_two_columns_of_images_are_never_chosen_in_silence(two: Path) -> None:
    pool = str(two / "pool")
    for read in (lambda: framed_hashes(open_pool(pool)), lambda: list(set_images(pool))):
        with pytest.raises(
            PoolError, match=r"several columns of images \(jpg, thumb\); choose one with `image_col`"
        ):
            read()
    assert not (two / "pool" / "__newtest").exists()
    kept = len(run(open_pool(pool), Recipe(where=("key!=a",)), LocalEngine(), 1, UNWATCHED))
    assert kept == 3, "what needs no image does not ask"
    with pytest.raises(PoolError, match="no column 'png'; it has jpg, thumb, key"):
        framed_hashes(open_pool(pool, image_col="png"))
    with pytest.raises(PoolError, match="string holds no images"):
        list(paired(open_pool(pool, image_col="key"), open_pool(pool).shards[0]))
    refused = newtest("dedup-pool", "pool", "--method", "hash", "--out", "d.npy", cwd=two)
    assert (refused.returncode, "choose one with --image-col" in refused.stderr) == (1, True)
    for column, rows in (("jpg", 4), ("thumb", 2), ("jpg", 4)):  # the layer of one column is not the other's
        done = newtest(
            "dedup-pool", "pool", "--image-col", column, "--method", "hash", "--out", "d.npy", cwd=two
        )
        assert f"kept {rows} rows" in done.stdout, done.stderr


SCORES = [Decimal("0.1"), Decimal("0.35"), None, Decimal("0.9")]
TEXTS = ["one word here", "two", None, "one word here"]


@pytest.mark.parametrize(
    "scores",
    [
        pa.array(SCORES, pa.decimal128(10, 4)),
        pa.array(SCORES, pa.decimal256(50, 4)),
        *([pa.array(SCORES, pa.decimal32(6, 3))] if hasattr(pa, "decimal32") else []),  # since pyarrow 18
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array([0.1, 0.35, 0.9])),
        pa.DictionaryArray.from_arrays(
            pa.array([0, 1, None, 2]), pa.array([SCORES[0], SCORES[1], SCORES[3]], pa.decimal128(9, 3))
        ),
    ],
    ids=lambda column: str(column.type).split("<")[-1],
)
def test_rules_read_numbers_of_every_kind(scores: pa.Array, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"uid": [f"{k:032x}" for k in range(4)], "score": scores}), tmp_path / "0.parquet"
    )
    for rules, rows in (
        (Recipe(where=("score>=0.35",)), 2),
        (Recipe(where=("score=null",)), 1),
        (Recipe(where=("score=0.3..0.4",)), 1),
        (Recipe(scores=("score>=0.35",)), 2),
        (Recipe(scores=("score:0.25",)), 1),
    ):
        assert len(run(open_pool(tmp_path), rules, LocalEngine(), 1, UNWATCHED)) == rows, rules


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(),
        pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)  # fmt: skip
def test_rules_read_texts_of_every_kind(kind: pa.DataType, tmp_path: Path) -> None:
    texts = pa.array(TEXTS)
    column = texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)
    table = pa.table({"uid": [f"{k:032x}" for k in range(4)], "text": column, "said": column})
    pq.write_table(table, tmp_path / "0.parquet")
    for rules, rows in (
        (Recipe(where=("said=two",)), 1),
        (Recipe(where=('said!="one word here"',)), 1),
        (Recipe(where=("said=null",)), 1),
        (Recipe(min_words=2), 2),
        (Recipe(min_chars=4, where=("text!=two",)), 2),
    ):
        assert len(run(open_pool(tmp_path), rules, LocalEngine(), 1, UNWATCHED)) == rows, rules


def test_captions_in_bytes_that_are_no_text_are_an_error_that_names_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uid": ["0" * 32], "text": [b"caf\xe9"]}), tmp_path / "0.parquet")
    with pytest.raises(PoolError, match="shard 0: the column 'text' holds bytes that are not UTF-8"):
        run(open_pool(tmp_path), Recipe(min_words=1), LocalEngine(), 1, UNWATCHED)
