"""Images that were downloaded before are taken from their tars, through the same door, and nobody is asked for them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, left_over, newtest
from servers.images import ImageServer, made_photo, serving

from newtest.download import Download
from newtest.pool.fetch_below import Below
from newtest.pool.fetched_images import Treatment
from newtest.pool.fetching.shards import Shards
from newtest.pool.fetching.taking import OPEN, take
from newtest.pool.journal import Journal, part_of
from newtest.pool.storage.location import JOURNALS
from newtest.pool.url_tables import url_tables

ROWS = 12


class Counting(ImageServer):
    """A server that remembers which paths were asked for."""

    def __init__(self) -> None:
        super().__init__([made_photo(number) for number in range(4)])


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(Counting()) as running:
        yield running


def uid(row: int) -> str:
    return hashlib.md5(str(row).encode()).hexdigest()


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def table_of(server: ImageServer, folder: Path) -> None:
    urls = [server.url(f"{row}.jpg") for row in range(ROWS)]
    table = {
        "uid": [uid(row) for row in range(ROWS)],
        "url": urls,
        "text": [f"caption {row}" for row in range(ROWS)],
    }
    folder.mkdir()
    pq.write_table(pa.table(table), folder / "0.parquet")


def tars_of(folder: Path, images: dict[int, bytes]) -> None:
    """As img2dataset writes them, in another order; and what must be left out."""
    folder.mkdir()
    with tarfile.open(folder / "00000.tar", "w") as archive:
        for row, data in sorted(images.items(), reverse=True):
            add(archive, f"{row:09d}.jpg", data)
            add(archive, f"{row:09d}.json", json.dumps({"uid": uid(row), "key": f"{row:09d}"}).encode())
        add(archive, "x.jpg", images[0])
        add(archive, "x.json", json.dumps({"uid": uid(99)}).encode())
        add(archive, "y.jpg", images[0])
        add(archive, "z.json", json.dumps({"uid": uid(3)}).encode())


FETCH = ("fetch-pool", "urls", "--allow-private", "--shard-rows", "5", "--json")


def test_what_is_there_is_not_asked_for_and_the_pool_is_the_same(server: ImageServer, tmp_path: Path) -> None:
    table_of(server, tmp_path / "urls")
    plain = newtest(*FETCH, "--out", "plain", cwd=tmp_path)
    assert json.loads(plain.stdout)["success"] == ROWS, plain.stderr
    images = {}
    for path in sorted((tmp_path / "plain").glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith((".jpg", ".jpeg")):
                    shard, row = int(member.name[:8]), int(member.name[8:13])
                    images[5 * shard + row] = archive.extractfile(member).read()  # type: ignore[union-attr]
    tars_of(tmp_path / "had", {row: images[row] for row in (0, 1, 2, 6, 11)})
    before = sum(server.asked.values())
    done = newtest(*FETCH, "--out", "out", "--have", "had", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["taken"] == {
        "images": 5,
        "samples_without_a_row": 1,
        "left_out": {"no uid in its .json": 1, "no image": 1},
        "damaged": [],
    }
    assert "taken from tars: 5 images; 1 samples are not asked for; 1 no " in done.stderr
    assert (told["success"], told["asked"]) == (ROWS, ROWS - 5)
    assert sum(server.asked.values()) - before == ROWS - 5
    assert contents(tmp_path / "out") == {
        name: data.replace(b"plain", b"out") if name.endswith(".json") else data
        for name, data in contents(tmp_path / "plain").items()
    }
    assert left_over(tmp_path / "out") == []
    again = json.loads(newtest(*FETCH, "--out", "out", "--have", "had", cwd=tmp_path).stdout)
    assert again["asked"] == 0 and again["taken"]["images"] == 0


def test_a_broken_picture_is_downloaded_instead_and_a_cut_tar_is_told(
    server: ImageServer, tmp_path: Path
) -> None:
    table_of(server, tmp_path / "urls")
    tars_of(tmp_path / "had", {0: b"no picture", 1: made_photo(1)})
    whole = (tmp_path / "had" / "00000.tar").read_bytes()
    (tmp_path / "had" / "00001.tar").write_bytes(whole[:700])
    (tmp_path / "had" / "00002.tar").write_bytes(whole)  # row 1 once more
    done = newtest(*FETCH, "--out", "out", "--have", "had", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["taken"]["images"] == 1 and told["taken"]["left_out"]["not-an-image"] == 2
    (damaged,) = told["taken"]["damaged"]
    assert "00001.tar is not a whole tar" in damaged and damaged in done.stderr
    assert (told["success"], told["left_out"], told["asked"]) == (ROWS, 0, ROWS - 1)
    none = newtest(*FETCH, "--out", "none", "--have", "urls", cwd=tmp_path)
    assert none.returncode != 0 and "there are no tars here to take images from" in none.stderr


def test_what_is_there_holds_over_a_failure_that_a_killed_run_wrote_down(
    server: ImageServer, tmp_path: Path
) -> None:
    table_of(server, tmp_path / "urls")
    tars_of(tmp_path / "had", {0: made_photo(0)})
    assert newtest(*FETCH, "--out", "out", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "out").glob("00000000.*"):
        path.unlink()
    journal = part_of(tmp_path / "out" / JOURNALS, "00000000", "0001-0000")
    with Journal(journal) as failed:
        failed.add(uid(0), server.url("0.jpg"), Download("0", None, "timeout", "too slow"))
    told = json.loads(newtest(*FETCH, "--out", "out", "--have", "had", cwd=tmp_path).stdout)
    assert (told["taken"]["images"], told["asked"], told["success"]) == (1, 4, ROWS)


def test_taken_again_after_a_kill_nothing_is_written_twice(server: ImageServer, tmp_path: Path) -> None:
    table_of(server, tmp_path / "urls")
    tars_of(tmp_path / "had", {row: made_photo(row % 4) for row in range(ROWS)})
    tables = url_tables(str(tmp_path / "urls"))
    (tmp_path / "journals").mkdir()
    shards = Shards(str(tmp_path / "out"), tmp_path / "journals", Treatment(False, None), Below())

    def once(images: int) -> dict[str, bytes]:
        batches = ((f"{number:08d}", batch) for number, batch in enumerate(tables.batches(5)))
        assert take(shards, batches, [str(tmp_path / "had")], 1 << 20, "0001").images == images
        return {path.name: path.read_bytes() for path in (tmp_path / "journals").iterdir()}

    first = once(ROWS)
    assert len(first) == 3 < OPEN
    (tmp_path / "journals" / sorted(first)[1]).write_bytes(
        first[sorted(first)[1]][:-100]
    )  # killed while it wrote
    again = once(1)
    assert {name: len(data) for name, data in again.items()} == {
        name: len(data) for name, data in first.items()
    }
