"""A full disk, for each command on pools: one sentence that names the place, nothing lost, and with room it goes on."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, left_over, newtest
from pool_disk import SmallDisk
from pool_tiny_model import tiny_model
from servers.images import ImageServer, made_photo, serving

PHOTOS = 6
KIB = 1024


@dataclass(frozen=True)
class Case:
    """A command that writes below ``disk``, how much room there is, and the largest file where nothing is mounted."""

    command: tuple[str, ...]
    room: int
    largest: int
    kept: str | None = None
    """A file that is complete before the disk is full."""


CASES = {
    "import-pool": Case(
        ("import-pool", "photos", "--out", "disk/new", "--shard-rows", "2"),
        100 * KIB, 100 * KIB, "disk/new/00000001.parquet",
    ),
    "filter-pool": Case(("filter-pool", "pool", "--min-words", "2", "--out", "disk/s.npy"), 4 * KIB, 200),
    "filter-pool --report": Case(
        ("filter-pool", "pool", "--min-words", "2", "--out", "disk/s.npy", "--report", "disk/r"),
        24 * KIB, 4 * KIB, "disk/s.npy",
    ),
    "dedup-pool": Case(
        ("dedup-pool", "pool", "--layers", "disk/layers", "--method", "hash", "--out", "disk/d.npy"), 8 * KIB, KIB
    ),
    "decontaminate-pool": Case(
        (
            "decontaminate-pool", "pool", "--against", "photos", "--method", "hash",
            "--layers", "disk/layers", "--workers", "1", "--out", "disk/c.npy",
        ),
        4 * KIB, KIB,
    ),
    "balance-pool": Case(
        ("balance-pool", "pool", "--queries", "q.txt", "--workers", "1", "--out", "disk/b.npy"),
        4 * KIB, KIB,
    ),
    "caption-pool": Case(("caption-pool", "labels.csv", "photos.jsonl", "--out", "disk/new"), 0, KIB),
    "reshard-pool by two processes": Case(
        ("reshard-pool", "pool", "--subset", "all.npy", "--out", "disk/new", "--shard-rows", "3", "--workers", "2"),
        100 * KIB, 100 * KIB,
    ),
    "reshard-pool of tables": Case(
        ("reshard-pool", "tables", "--subset", "all.npy", "--out", "disk/new", "--shard-rows", "3", "--workers", "1"),
        100 * KIB, 100 * KIB, "disk/new/00000000.parquet",
    ),
}  # fmt: skip


def noise(side: int) -> bytes:
    """A JPEG that does not shrink: about 150 KB at 400 pixels."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five small photos and a last one of 150 KB, their pool, and what else the commands want."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        data = made_photo(number) if number < PHOTOS - 1 else noise(400)
        (folder / "photos" / f"{number}.jpg").write_bytes(data)
        (folder / "photos" / f"{number}.txt").write_text(f"photo number {number}")
    (folder / "q.txt").write_text("photo\n")
    (folder / "labels.csv").write_text("file,wnid,photo_id\na.jpg,n1,1\n")
    (folder / "photos.jsonl").write_text(json.dumps({"photo_id": "1", "title": "a photo"}) + "\n")
    assert newtest("import-pool", "photos", "--out", "pool", "--shard-rows", "3", cwd=folder).returncode == 0
    assert newtest("filter-pool", "pool", "--min-words", "0", "--out", "all.npy", cwd=folder).returncode == 0
    (folder / "tables").mkdir()
    photos = sorted((folder / "photos").glob("*.jpg"))
    inside = {"jpg": [photo.read_bytes() for photo in photos]}
    texts = {"text": [photo.with_suffix(".txt").read_text() for photo in photos]}
    pq.write_table(pa.table(inside | texts), folder / "tables" / "0.parquet")
    return folder


def furnished(material: Path, place: Path) -> None:
    shutil.copytree(material, place, dirs_exist_ok=True)
    (place / "disk").mkdir(exist_ok=True)


@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_is_one_sentence_and_with_room_the_command_goes_on(
    name: str, material: Path, small_disk: SmallDisk, tmp_path: Path
) -> None:
    case = CASES[name]
    furnished(material, tmp_path)
    furnished(material, tmp_path / "whole")
    assert newtest(*case.command, cwd=tmp_path / "whole").returncode == 0
    whole = contents(tmp_path / "whole" / "disk")
    full = newtest(*case.command, cwd=tmp_path, setup=small_disk.filled(case.room, case.largest))
    small_disk.freed()
    assert (full.returncode, "Traceback" in full.stderr) == (1, False), full.stderr
    told = [line for line in full.stderr.splitlines() if line.startswith("newtest: ")]
    assert len(told) == 1
    assert told[0].startswith("newtest: disk/")
    assert small_disk.sentence in told[0]
    assert told[0].endswith("run the same command again to go on")
    assert contents(small_disk.path).items() < whole.items()
    assert case.kept is None or (tmp_path / case.kept).is_file()
    # A process that is ended because another one found no room leaves what it was writing, for the next run.
    assert "two processes" in name or left_over(small_disk.path) == []
    again = newtest(*case.command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert contents(small_disk.path) == whole
    assert left_over(small_disk.path) == []


def test_an_older_subset_and_its_manifest_stay_together(
    material: Path, small_disk: SmallDisk, tmp_path: Path
) -> None:
    furnished(material, tmp_path)
    older = ("filter-pool", "pool", "--min-words", "0", "--out", "disk/s.npy")
    assert newtest(*older, cwd=tmp_path).returncode == 0
    before = contents(small_disk.path)
    setup = small_disk.filled(4 * KIB, 200)  # one page: the manifest finds room, or the ids
    command = ("filter-pool", "pool", "--min-words", "9", "--out", "disk/s.npy")
    assert newtest(*command, cwd=tmp_path, setup=setup).returncode == 1
    small_disk.freed()
    assert contents(small_disk.path) == before


@pytest.fixture
def server() -> Iterator[ImageServer]:
    photos = [made_photo(number) for number in range(5)]
    with serving(ImageServer([*photos, noise(400)])) as running:
        yield running


def test_downloads_that_found_room_are_not_asked_for_again(
    server: ImageServer, small_disk: SmallDisk, tmp_path: Path
) -> None:
    urls = [server.url(f"{number}.jpg") for number in range(6)]
    (tmp_path / "urls").mkdir()
    pq.write_table(
        pa.table({"url": urls, "text": [f"caption {number}" for number in range(6)]}),
        tmp_path / "urls/0.parquet",
    )
    command = ("fetch-pool", "urls", "--allow-private", "--connections", "1")
    assert newtest(*command, "--out", "whole/new", cwd=tmp_path).returncode == 0
    server.asked.clear()
    setup = small_disk.filled(100 * KIB, 100 * KIB)
    full = newtest(*command, "--out", "disk/new", cwd=tmp_path, setup=setup)
    small_disk.freed()
    assert (full.returncode, full.stderr.count("\n")) == (1, 1), full.stderr
    assert full.stderr.startswith("newtest: disk/new/.fetching/00000000.")
    assert small_disk.sentence in full.stderr
    again = newtest(*command, "--out", "disk/new", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert contents(small_disk.path / "new") == contents(tmp_path / "whole" / "new")
    assert left_over(small_disk.path) == []
    assert [server.asked[f"/{number}.jpg"] for number in range(6)] == [1, 1, 1, 1, 1, 2]


@pytest.mark.xdist_group("conse")
def test_shards_that_were_embedded_before_the_disk_was_full_are_kept(
    material: Path, small_disk: SmallDisk, tmp_path: Path
) -> None:
    furnished(material, tmp_path)
    command = ("embed-pool", "pool", "--model", tiny_model(tmp_path), "--layers", "disk/layers", "--json")
    setup = small_disk.filled(8 * KIB, KIB)
    full = newtest(*command, cwd=tmp_path, setup=setup)
    small_disk.freed()
    assert (full.returncode, "Traceback" in full.stderr) == (1, False), full.stderr
    assert small_disk.sentence in full.stderr.splitlines()[-1]
    assert "newtest: disk/layers/embeddings-" in full.stderr
    again = newtest(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["computed"] == (1 if small_disk.mounted else 2)
    assert left_over(small_disk.path) == []


def test_a_join_needs_no_room_for_temporary_files(
    small_disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 64
    (tmp_path / "pool").mkdir()
    pq.write_table(pa.table({"uid": [f"{row:032x}" for row in range(rows)]}), tmp_path / "pool/0.parquet")
    vectors = np.random.default_rng(0).normal(size=(rows, 256)).astype(np.float16)
    np.savez(tmp_path / "pool/0.npz", l14_img=vectors)
    setup = small_disk.filled(8 * KIB, 8 * KIB)
    monkeypatch.setenv("TMPDIR", str(small_disk.path))
    done = newtest("dedup-pool", "pool", cwd=tmp_path, setup=setup)
    small_disk.freed()
    assert done.returncode == 0, done.stderr
    assert left_over(small_disk.path) == [] and not contents(small_disk.path)
