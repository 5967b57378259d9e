"""Pools of Parquet alone: with their images inside they give what the same samples in tars give; written out anew they
are tables again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, killed_at_event, left_over, newtest
from pool_tiny_model import tiny_model
from servers.images import made_photo
from watchers import Watcher

from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.embedded_images import images_inside, read_rows
from newtest.pool.storage.image_types import ImageColumn
from newtest.pool.storage.layer_states import found
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.subset import Subset
from newtest.pool.storage.tar_writing import END, add
from newtest.progress import UNWATCHED

ENGINE = LocalEngine()
ONE = Resources(1)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FORMS = ("tars", "img2dataset", "datasets")


@dataclasses.dataclass(frozen=True)
class Row:
    """A photo as a test wants it; ``data`` None is a download that failed."""

    data: bytes | None
    text: str | None


def rows_of(number: int) -> list[Row]:
    """Photos with captions: the second a copy of the first, one whose bytes are none, one missing, one without a
    caption, two that share a caption."""
    rows = [Row(made_photo(7 * at, (160 + at, 120)), f"photo {at} of a red wall") for at in range(number)]
    rows[1] = Row(rows[0].data, "the same picture once more")
    rows[2] = Row(b"<html>no picture</html>", "a page that says it is a picture")
    rows[3] = Row(None, "a picture that never came")
    rows[4] = dataclasses.replace(rows[4], text=None)
    rows[6] = dataclasses.replace(rows[6], text=rows[5].text)
    return rows


def write_pool(folder: Path, form: str, rows: list[Row], shard_rows: int = 4) -> Path:
    """The same rows in tars with tables, in tables as img2dataset writes them, or as ``datasets`` does."""
    folder.mkdir()
    for number, start in enumerate(range(0, len(rows), shard_rows)):
        part = rows[start : start + shard_rows]
        if form == "datasets":
            images = [
                None if row.data is None else {"bytes": row.data, "path": f"{start + at}.jpg"}
                for at, row in enumerate(part)
            ]
            table = pa.table({"image": pa.array(images, IMAGE), "text": [row.text for row in part]})
            table = table.replace_schema_metadata({"huggingface": '{"info": {"features": {}}}'})
        else:
            table = _img2dataset(part, start)
        if form == "tars":
            with open(folder / f"{number:05d}.tar", "wb") as archive:
                for key, row in zip(table["key"].to_pylist(), part, strict=True):
                    if row.data is not None:
                        add(archive, f"{key}.jpg", row.data)
                archive.write(END)
            table = table.drop_columns(["jpg"])
        pq.write_table(table, folder / f"{number:05d}.parquet", row_group_size=3)
    return folder


def size_of(row: Row) -> tuple[int | None, int | None]:
    try:
        return PIL.Image.open(io.BytesIO(row.data or b"")).size
    except PIL.UnidentifiedImageError:
        return None, None


def _img2dataset(part: list[Row], start: int) -> pa.Table:
    return pa.table(
        {
            "caption": [row.text for row in part],
            "url": [f"https://example.org/{start + at}.jpg" for at in range(len(part))],
            "key": [f"{start + at:09d}" for at in range(len(part))],
            "status": ["failed_to_download" if row.data is None else "success" for row in part],
            "original_width": pa.array([size_of(row)[0] for row in part], pa.int32()),
            "original_height": pa.array([size_of(row)[1] for row in part], pa.int32()),
            "sha256": [row.data and hashlib.sha256(row.data).hexdigest() for row in part],
            "jpg": pa.array([row.data for row in part], pa.binary()),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def twins(model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rows in each form, scored by the filter that wanted scores, hashed by a dedup."""
    folder = tmp_path_factory.mktemp("twins")
    pools = {form: write_pool(folder / form, form, rows_of(10)) for form in FORMS}
    for path in pools.values():
        watcher = Watcher()
        run(open_pool(path), Recipe(clip_score=True, fraction=0.5, arch=model), ENGINE, 1, watcher)
        assert "embedding its images and captions" in watcher.said[0]
        dedup(open_pool(path), DedupConfig("hash"))
    return pools


def layer_rows(path: Path, kind: str) -> list[dict[str, object]]:
    pool = open_pool(path)
    (layer,) = found(pool, kind)
    return [row for shard in pool.shards for row in layer.table(pool, shard).to_pylist()]


def row_numbers(pool: Pool, subset: Subset) -> list[int]:
    """The rows of the pool that a subset holds: uids differ where one pool has URLs and the other has none."""
    uids = [
        uid
        for shard in pool.shards
        for batch in pool.batches(shard, ["uid"])
        for uid in batch["uid"].to_pylist()
    ]
    kept = set(ids.to_hex(subset.uids).to_pylist())
    return [number for number, uid in enumerate(uids) if uid in kept]


@pytest.mark.parametrize("kind", ["embeddings", "scores", "hashes"])
def test_layers_are_the_same_wherever_the_images_lie(kind: str, twins: dict[str, Path]) -> None:
    expected = layer_rows(twins["tars"], kind)
    reasons = [row["reason"] for row in expected]
    assert reasons[2:5] == ["not-an-image", "no image", None if kind == "hashes" else "no caption"]
    assert reasons[:2] + reasons[5:] == [None] * 7
    for form in FORMS[1:]:
        assert repr(layer_rows(twins[form], kind)) == repr(expected)


CHOICES = {
    "clip-score": lambda pool, model: run(
        pool,
        Recipe(clip_score=True, fraction=0.5, arch=found(pool, "scores")[0].config["encoder"]),
        ENGINE, 1, UNWATCHED,
    ),
    "sizes": lambda pool, model: run(pool, Recipe(min_size=100, max_aspect=1.36), ENGINE, 1, UNWATCHED),
    "bytes": lambda pool, model: dedup(pool, DedupConfig("bytes")).subset,
    "hash": lambda pool, model: dedup(pool, DedupConfig("hash")).subset,
    "exact": lambda pool, model: dedup(pool, DedupConfig("exact", 0.999)).subset,
    "semantic": lambda pool, model: dedup(pool, DedupConfig("semantic", 0.999)).subset,
    "decontaminated": lambda pool, model: decontaminate(
        pool, [str(Path(pool.address).parent / "img2dataset")], DecontaminateConfig("hash", radius=0)
    ).subset,
    "decontaminated by vectors": lambda pool, model: decontaminate(
        pool, [str(Path(pool.address).parent / "datasets")], DecontaminateConfig(threshold=0.9999, encoder=model)
    ).subset,
}  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
def test_subsets_are_the_same_wherever_the_images_lie(
    choice: str, twins: dict[str, Path], model: str
) -> None:
    chosen = {
        form: (open_pool(path), CHOICES[choice](open_pool(path), model)) for form, path in twins.items()
    }
    rows = {form: row_numbers(*each) for form, each in chosen.items()}
    assert rows["tars"]
    assert len(rows["tars"]) < 10
    assert rows == dict.fromkeys(FORMS, rows["tars"])
    assert np.array_equal(chosen["img2dataset"][1].uids, chosen["tars"][1].uids)


def test_uids_and_sizes_are_seen_in_the_images_as_import_pool_writes_them(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    turned = PIL.Image.open(io.BytesIO(made_photo(5)))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "photos" / "2.jpg", exif=exif)
    for number in range(2):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(made_photo(number))
        (tmp_path / "photos" / f"{number}.txt").write_text("the same caption")
    assert newtest("import-pool", "photos", "--out", "pool", cwd=tmp_path).returncode == 0
    photos = sorted((tmp_path / "photos").glob("*.jpg"))
    texts = ["the same caption", "the same caption", None]
    rows = [Row(photo.read_bytes(), text) for photo, text in zip(photos, texts, strict=True)]
    pool = open_pool(write_pool(tmp_path / "tables", "datasets", rows))
    (batch,) = pool.batches(pool.shards[0], ["width", "text", "uid", "height"])
    imported = pq.read_table(tmp_path / "pool" / "00000000.parquet")
    assert batch["uid"].to_pylist() == imported["uid"].to_pylist()
    assert batch["width"].to_pylist() == imported["original_width"].to_pylist() == [160, 160, 120]
    assert batch["height"].to_pylist() == imported["original_height"].to_pylist()


def test_a_page_shows_pictures_from_inside_the_tables(twins: dict[str, Path], tmp_path: Path) -> None:
    pool = Path(shutil.copytree(twins["datasets"], tmp_path / "pool"))
    done = newtest("filter-pool", "--clip-score", "--fraction", "0.4", "--report", "page", cwd=pool)
    assert done.returncode == 0, done.stderr
    shown = json.loads((pool / "page" / "examples.json").read_text())
    kept = shown["kept"]
    assert len(kept) == 4
    assert all((pool / "page" / example["picture"]).read_bytes()[:2] == b"\xff\xd8" for example in kept)
    dropped = {example["text"]: example["picture"] for example in shown["dropped by clip-score"]}
    assert dropped["a picture that never came"] is None
    assert dropped["a page that says it is a picture"] is None


def test_status_counts_tables_with_images(twins: dict[str, Path]) -> None:
    for form, (tars, inside) in {"tars": (3, 0), "datasets": (0, 3)}.items():
        told = json.loads(newtest("pool-status", form, "--json", cwd=twins[form].parent).stdout)
        assert (told["tars"], told["images_inside"], told["broken"]) == (tars, inside, [])


@pytest.mark.parametrize(
    ("columns", "command", "sentence"),
    [
        (["url", "text"], ["embed-pool", "pool"], "no tar beside it and no column of images"),
        (["url", "text"], ["dedup-pool", "pool", "--method", "hash"], "'newtest fetch-pool' downloads"),
        (["url", "text"], ["filter-pool", "pool", "--clip-score"], "there are no images to compute one of"),
        (
            ["jpg", "sha256"],
            ["filter-pool", "pool", "--clip-score"],
            "no captions to compare its images with",
        ),
        (["jpg", "text"], ["filter-pool", "pool", "--clip-score", "--dry-run"], "a dry run computes none"),
    ],
)
def test_what_a_table_lacks_is_said_before_anything_is_written(
    columns: list[str], command: list[str], sentence: str, tmp_path: Path
) -> None:
    values = {"url": ["a"], "text": ["b"], "jpg": [made_photo(1)], "sha256": ["c"]}
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table({name: values[name] for name in columns}), tmp_path / "pool" / "0.parquet")
    done = newtest(*command, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert sentence in " ".join(done.stderr.split())
    assert list(contents(tmp_path)) == ["pool/0.parquet"]


def test_images_without_captions_are_embedded(model: str, tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", "datasets", [Row(made_photo(number), None) for number in range(2)])
    path = tmp_path / "pool" / "00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["text"]), path)
    done = newtest("embed-pool", "pool", "--model", model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 rows have no score" in done.stdout
    rows = layer_rows(tmp_path / "pool", "embeddings")
    assert [row["reason"] for row in rows] == ["no caption", "no caption"]
    assert np.isfinite(np.array([row["image"] for row in rows], np.float32)).all()
    assert len(dedup(open_pool(tmp_path / "pool"), DedupConfig("exact", 1.0)).subset) >= 1


@pytest.fixture
def chosen(tmp_path: Path) -> tuple[Pool, Subset]:
    """Every second of 20 rows in shards of 4, row 3 (which has no image) three times, and an id that the pool lacks."""
    pool = open_pool(write_pool(tmp_path / "pool", "img2dataset", rows_of(20)))
    uids = [
        uid
        for shard in pool.shards
        for batch in pool.batches(shard, ["uid"])
        for uid in batch["uid"].to_pylist()
    ]
    subset = Subset.of(ids.from_arrow(pa.array(uids[::2] + [uids[3]] * 3 + ["f" * 32])))
    subsets.write(subset, tmp_path / "s.npy")
    return pool, subset


def whole_table(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])


def test_tables_come_out_as_tables_with_their_columns_order_and_copies(
    chosen: tuple[Pool, Subset], tmp_path: Path
) -> None:
    pool, subset = chosen
    plan = plan_reshard(pool, subset, shard_rows=5)
    assert (plan.samples, plan.absent) == (13, ("f" * 32,))
    done = [outcome.value for outcome in reshard(pool, plan, tmp_path / "out", ENGINE, ONE)]
    assert done == [{"written": rows, "missing": 0, "computed": 1} for rows in (5, 5, 3)]
    old, new = whole_table(tmp_path / "pool"), whole_table(tmp_path / "out")
    assert new.column_names == [*old.column_names, "uid"]
    wanted = [
        row for number, row in enumerate(old.to_pylist()) for _ in range({3: 3}.get(number, 1 - number % 2))
    ]
    assert [{name: row[name] for name in old.column_names} for row in new.to_pylist()] == wanted
    assert new.schema.field("original_width").type == pa.int32()
    again = plan_reshard(open_pool(tmp_path / "out"), subset)
    assert (again.samples, again.absent) == (13, ("f" * 32,)), "the uids that were derived stay what they are"
    repeated = [outcome.value for outcome in reshard(pool, plan, tmp_path / "out", ENGINE, ONE)]
    assert [value["computed"] for value in repeated if value] == [0, 0, 0]


def test_killed_at_any_moment_tables_end_with_the_same_bytes(
    chosen: tuple[Pool, Subset], tmp_path: Path
) -> None:
    command = ("reshard-pool", "pool", "--subset", "s.npy", "--shard-rows", "3", "--workers", "1", "--out")
    before = contents(tmp_path)
    dry = newtest(*command, "none", "--dry-run", cwd=tmp_path)
    assert "13 samples would go into 5 shards of none; nothing was touched" in dry.stdout, dry.stderr
    assert contents(tmp_path) == before
    done = newtest(*command, "whole", cwd=tmp_path)
    assert "13 samples in 5 shards of whole, 5 written now; tables alone" in done.stdout, done.stderr
    whole = contents(tmp_path / "whole")
    for moment in (0, 2, 1):
        killed_at_event(*command, "killed", cwd=tmp_path, after=moment)
        assert contents(tmp_path / "killed").items() <= whole.items(), "half a file has appeared"
    again = newtest(*command, "killed", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["computed"] == 3, again.stderr
    assert contents(tmp_path / "killed") == whole
    assert left_over(tmp_path / "killed") == []


def test_tables_that_name_one_column_differently_stand_in_one(tmp_path: Path) -> None:
    for form in ("tables", "tars"):
        folder = write_pool(tmp_path / form, "img2dataset" if form == "tables" else "tars", rows_of(8))
        other = pq.read_table(folder / "00001.parquet")
        names = {"caption": "TEXT", "original_width": "WIDTH"}
        pq.write_table(
            other.rename_columns([names.get(name, name) for name in other.column_names]),
            folder / "00001.parquet",
        )
        pool = open_pool(folder)
        everything = [
            batch for shard in pool.shards for batch in pool.batches(shard, ["uid", "text", "width"])
        ]
        subset = Subset.of(ids.from_arrow(pa.concat_tables(everything)["uid"].combine_chunks()))
        list(reshard(pool, plan_reshard(pool, subset), tmp_path / f"{form}-new", ENGINE, ONE))
        new = open_pool(tmp_path / f"{form}-new")
        (batch,) = new.batches(new.shards[0], ["uid", "text", "width"])
        expected = {row["uid"]: row for each in everything for row in each.to_pylist()}
        assert len(batch) == (8 if form == "tables" else 7), "a row without a file has no place among tars"
        assert all(row == expected[row["uid"]] for row in batch.to_pylist())


def test_types_that_do_not_go_together_are_said(tmp_path: Path) -> None:
    for number, values in enumerate((["a"], [1])):
        pq.write_table(pa.table({"uid": [f"{number:032x}"], "note": values}), tmp_path / f"{number}.parquet")
    pool = open_pool(tmp_path)
    subset = Subset.of(ids.from_arrow(pa.array([f"{number:032x}" for number in range(2)])))
    (outcome,) = reshard(pool, plan_reshard(pool, subset), tmp_path / "out", ENGINE, ONE)
    assert "the tables of the shards 0, 1 have one column in types that do not go together" in str(
        outcome.error
    )


def test_a_pool_with_some_tars_is_not_written_out_in_part(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool", "tars", rows_of(8))
    (pool / "00000.tar").unlink()
    with pytest.raises(PoolError, match="shard 00000 has no tar beside it, while others have"):
        plan_reshard(open_pool(pool), Subset.of(ids.from_arrow(pa.array(["0" * 32]))))


def test_rows_are_read_by_number_and_other_row_groups_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"jpg": [bytes([number]) * 50 for number in range(9)]}), path, row_group_size=3)
    data = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(data)
    with pq.ParquetFile(path) as file:
        got = [(row, image.data) for row, image in images_inside(file, ImageColumn("jpg"), {8, 0, 2})]
        assert got == [(row, bytes([row]) * 50) for row in (0, 2, 8)]
        copies = [numbers.tolist() for numbers, _ in read_rows(file, np.array([1, 1, 1, 7]), most=2)]
        assert copies == [[1, 1], [1], [7]]
        with pytest.raises(OSError):
            list(images_inside(file, ImageColumn("jpg")))


def test_a_table_of_polars_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    pl.DataFrame({"image": [made_photo(1), None, made_photo(2)], "text": ["a", "b", None]}).write_parquet(
        tmp_path / "pool" / "0.parquet"
    )
    pool = open_pool(tmp_path / "pool")
    (batch,) = pool.batches(pool.shards[0], ["uid", "width"])
    assert batch["width"].to_pylist() == [160, None, 160]
    subset = Subset.of(ids.from_arrow(batch["uid"].combine_chunks()[1:]))
    (outcome,) = reshard(pool, plan_reshard(pool, subset), tmp_path / "out", ENGINE, ONE)
    assert outcome.error is None
    assert pl.read_parquet(tmp_path / "out" / "0*.parquet")["image"].to_list() == [None, made_photo(2)]
