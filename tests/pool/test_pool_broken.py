"""Broken pools through the command line: a clear sentence, and nothing lost; empty ones and one image are not
mishaps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, losing, newtest
from servers.images import made_photo

FILTER = ("filter-pool", "pool", "--min-words", "2", "--out", "out.npy")
BY_PROCESSES = ("dedup-pool", "pool", "--method", "hash", "--out", "out.npy")
DEDUP = (*BY_PROCESSES, "--workers", "1")  # processes show in nothing but what an error crosses
NEAR = ("dedup-pool", "pool", "--out", "out.npy")
CLEAN = (
    "decontaminate-pool", "pool", "--against", "photos", "--method", "hash", "--workers", "1", "--out", "out.npy",
)  # fmt: skip
BALANCE = ("balance-pool", "pool", "--queries", "q.txt", "--workers", "1", "--out", "out.npy")
RESHARD = (
    "reshard-pool",
    "pool",
    "--subset",
    "all.npy",
    "--out",
    "new",
    "--shard-rows",
    "2",
    "--workers",
    "1",
)
STATUS = ("pool-status", "pool")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos and their pool of three shards, with vectors beside the tables."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "photos").mkdir()
    for number in range(6):
        (folder / "photos" / f"{number}.jpg").write_bytes(made_photo(number))
        (folder / "photos" / f"{number}.txt").write_text(f"photo number {number}")
    (folder / "q.txt").write_text("photo\n")
    assert newtest("import-pool", "photos", "--out", "pool", "--shard-rows", "2", cwd=folder).returncode == 0
    assert newtest("filter-pool", "pool", "--min-words", "0", "--out", "all.npy", cwd=folder).returncode == 0
    for number in range(3):
        np.savez(folder / "pool" / f"{number:08d}.npz", l14_img=np.eye(6, dtype=np.float16)[2 * number :][:2])
    return folder


@pytest.fixture
def place(material: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(material, tmp_path, dirs_exist_ok=True))


def changed(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Write the second shard's table anew."""

    def work(pool: Path) -> None:
        path = pool / "00000001.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return work


def cut(name: str, size: int) -> Callable[[Path], object]:
    """Cut a file of the pool short."""
    return lambda pool: (pool / name).write_bytes((pool / name).read_bytes()[:size])


def scribbled(pool: Path) -> None:
    """Spoil the first header of the second tar."""
    data = bytearray((pool / "00000001.tar").read_bytes())
    data[:512] = b"\xff" * 512
    (pool / "00000001.tar").write_bytes(data)


def replaced(column: str, values: list[object]) -> Callable[[Path], None]:
    return changed(lambda table: table.set_column(table.column_names.index(column), column, pa.array(values)))


BREAKS: dict[str, Callable[[Path], object]] = {
    "a tar cut short": cut("00000001.tar", 9000),
    "a tar with a spoilt header": scribbled,
    "a tar that is gone": lambda pool: (pool / "00000001.tar").unlink(),
    "a Parquet cut short": cut("00000001.parquet", 1000),
    "no captions": changed(lambda table: table.drop_columns(["text"])),
    "no key and no uid": changed(lambda table: table.drop_columns(["key", "uid"])),
    "captions that are numbers": replaced("text", [1, 2]),
    "uids that are fractions": replaced("uid", [1.5, 2.5]),
    "an npz cut short": cut("00000001.npz", 100),
}
SENTENCES = [
    ("a tar cut short", BY_PROCESSES, r"1 of 3 shards failed, the others are kept.*00000001\.tar is not a whole tar"),
    ("a tar cut short", RESHARD, r"00000001: .*00000001\.tar is not a whole tar \(it ends within a file\)"),
    ("a tar cut short", STATUS, r"broken: pool: 00000001\.tar has no end mark"),
    ("a tar with a spoilt header", CLEAN, r"00000001\.tar is not a whole tar \(a header that cannot be read\)"),
    ("a tar that is gone", RESHARD, r"shard 00000001 has no tar beside it"),
    ("a Parquet cut short", FILTER, r"so nothing was written: .*00000001\.parquet cannot be read as Parquet"),
    ("a Parquet cut short", BALANCE, r"so nothing was written: .*00000001\.parquet cannot be read as Parquet"),
    ("a Parquet cut short", RESHARD, r"00000001\.parquet cannot be read as Parquet.*fetch it again or move it away"),
    ("no captions", FILTER, r"shard 00000001 has no column for 'text' \(looked for text, caption, TEXT\); it has uid"),
    ("no captions", BALANCE, r"shard 00000001 has no column for 'text'"),
    ("no key and no uid", DEDUP, r"the table of shard 00000001 has neither a key nor a uid"),
    ("captions that are numbers", FILTER, r"the column 'text' of shard 00000001 holds int64 and not text"),
    ("captions that are numbers", (*RESHARD, "--shard-rows", "6"), r"types that do not go together"),
    ("uids that are fractions", NEAR, r"00000001: row 0 has the uid 1\.5: not 32 hex digits"),
    ("an npz cut short", NEAR, r"00000001\.npz gives no l14_img"),
]  # fmt: skip


@pytest.mark.parametrize(("mishap", "command", "sentence"), SENTENCES)
def test_a_broken_shard_is_named(mishap: str, command: tuple[str, ...], sentence: str, place: Path) -> None:
    BREAKS[mishap](place / "pool")
    before = contents(place)
    done = newtest(*command, cwd=place)
    said = done.stdout + done.stderr
    assert (done.returncode, "Traceback" in said, "Error:" in said) == (1, False, False), said
    assert re.search(sentence, " ".join(said.split())), said
    after = contents(place)
    assert {name: after[name] for name in before} == before
    assert not any(name.startswith("out") for name in after), "a subset that lacks a shard would be wrong"


def test_what_other_shards_gave_is_kept_and_a_mended_shard_is_added(place: Path) -> None:
    tar = place / "pool" / "00000001.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:9000])
    assert newtest(*DEDUP, cwd=place).returncode == 1
    assert newtest(*RESHARD, cwd=place).returncode == 1
    kept = contents(place)
    assert (
        sum(name.startswith("pool/__newtest/layers/hashes-") and name.endswith(".parquet") for name in kept)
        == 2
    )
    assert "new/00000000.parquet" in kept
    assert "new/00000001.parquet" not in kept
    tar.write_bytes(whole)
    for command in (DEDUP, RESHARD):
        done = newtest(*command, cwd=place)
        assert done.returncode == 0, done.stderr
    after = contents(place)
    kept.pop("pool/00000001.tar")
    assert {name: after[name] for name in kept} == kept
    assert "new/00000001.parquet" in after


def test_a_damaged_file_of_a_layer_is_made_again(place: Path) -> None:
    assert newtest(*DEDUP, cwd=place).returncode == 0
    whole = contents(place)
    victim = next(name for name in whole if "hashes-" in name and "/00000001-" in name)
    (place / victim).write_bytes(whole[victim][:100])
    assert newtest(*DEDUP, cwd=place).returncode == 0
    assert contents(place) == whole


def test_two_schemas_that_mean_the_same_are_one_pool(place: Path) -> None:
    names = {"text": "caption", "original_width": "width", "original_height": "height"}
    changed(
        lambda table: table.rename_columns(
            [names.get(name, name) for name in table.column_names]
        ).append_column("extra", pa.array([1, 2], pa.int32()))
    )(place / "pool")
    for command in (FILTER, DEDUP, BALANCE, RESHARD):
        done = newtest(*command, cwd=place)
        assert done.returncode == 0, done.stderr
    rows = [
        row for path in sorted((place / "new").glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    assert [row.get("text") or row.get("caption") for row in rows] == [f"photo number {n}" for n in range(6)]
    status = newtest(*STATUS, cwd=place)
    assert status.returncode == 0
    assert "caption (in 1 shards)" in " ".join(status.stdout.split())


@pytest.mark.parametrize("command", [DEDUP, RESHARD])
def test_a_shard_that_vanishes_while_the_command_runs_is_named(command: tuple[str, ...], place: Path) -> None:
    begun = ".00000000.tar.part" if command is RESHARD else ".layer.json.part"
    done = losing(begun, place / "pool" / "00000002.tar", *command, cwd=place)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "00000002.tar has vanished since the pool was listed" in done.stderr


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_image_are_pools(rows: int, place: Path) -> None:
    for path in sorted((place / "pool").glob("0*"))[3:]:
        path.unlink()
    table = place / "pool" / "00000000.parquet"
    pq.write_table(pq.read_table(table).slice(0, rows), table)
    (place / "pool" / "00000000.npz").unlink()
    np.savez(place / "pool" / "00000000.npz", l14_img=np.eye(6, dtype=np.float16)[:rows])
    for command in (STATUS, FILTER, DEDUP, NEAR, BALANCE, RESHARD, CLEAN):
        done = newtest(*command, cwd=place)
        assert done.returncode == 0, (command, done.stderr)
    assert (
        len(np.load(place / "out.npy")) == 0
    )  # the one image is among the photos, so the last command removes it
    assert pq.read_table(place / "out.pairs.parquet").num_rows == rows


@pytest.mark.parametrize("command", [STATUS, FILTER, DEDUP, CLEAN, BALANCE, RESHARD, ("fetch-pool", "pool")])
def test_a_folder_without_shards_is_no_pool(command: tuple[str, ...], place: Path) -> None:
    shutil.rmtree(place / "pool")
    (place / "pool").mkdir()
    before = contents(place)
    done = newtest(*command, cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert re.search(
        r"pool: no pool here, (a pool is|and no tables of URLs:) a folder of \.parquet files", done.stderr
    )
    assert contents(place) == before
