"""Odd folders and tars: what ``import-pool`` stores is an image for every other command, and the rest is told."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
from pool_commands import newtest
from servers.images import made_photo

from newtest.images import kind_of
from newtest.pool.dedup.hashing import framed_hashes
from newtest.pool.importing import ImportReport, import_folder, import_tars, read_folder
from newtest.pool.storage.pool import open_pool


def imported(source: Path, out: Path) -> ImportReport:
    folder = read_folder(source)
    done = list(import_folder(folder, out))
    return ImportReport(done, folder.left_out(), folder.captions.unmatched, folder.captions.rows)


def rows_of(pool: Path) -> dict[str, dict[str, object]]:
    return {row["source"]: row for row in pq.read_table(next(pool.glob("*.parquet"))).to_pylist()}


def tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as out:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            out.addfile(about, io.BytesIO(data))


def test_images_whose_names_say_something_else_stay_images(tmp_path: Path) -> None:
    names = ["a.dat", "b.json", "c.txt", "d.2024", "e", "f.png", "g.JPG", "h.tar.jpg"]
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        (tmp_path / "in" / name).write_bytes(made_photo(number))
    report = imported(tmp_path / "in", tmp_path / "pool")
    assert report.as_json()["rows"] == len(names)
    assert report.everything_left_out == []
    assert len(framed_hashes(open_pool(tmp_path / "pool"))[1]) == len(names)
    with tarfile.open(tmp_path / "pool" / "00000000.tar") as archive:
        assert {name.partition(".")[2] for name in archive.getnames()} == {"jpg", "png", "json"}


def test_a_caption_that_begins_like_a_netpbm_file_is_a_caption(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(made_photo(1))
    (tmp_path / "in" / "a.txt").write_text("P5 sedan, 4 doors")
    report = imported(tmp_path / "in", tmp_path / "pool")
    assert report.everything_left_out == []
    assert rows_of(tmp_path / "pool")["a.jpg"]["text"] == "P5 sedan, 4 doors"
    assert kind_of(b"P5 sedan") is None
    for head in (b"P6\n3 2\n255\n", b"P1 # made by hand\n2 2\n", b"P5\n4 # four\n4\n255\n"):
        found = kind_of(head)
        assert found is not None and found.name == "PPM"


def test_very_long_captions_upper_case_names_and_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.jpg").write_bytes(made_photo(1))
    long = "x" * 300_000
    (tmp_path / "in" / "sub" / "Captions.CSV").write_text(f"file,text\na.jpg,{long}\n")
    (tmp_path / "in" / "captions.csv").write_text("")
    report = imported(tmp_path / "in", tmp_path / "pool")
    assert report.everything_left_out == [("captions.csv", "a table without rows")]
    assert rows_of(tmp_path / "pool")["sub/a.jpg"]["text"] == long


def test_what_two_sources_say_differently_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(made_photo(1))
    (tmp_path / "in" / "metadata.csv").write_text("file_name,text,license,year\na.jpg,one,by,2020\n")
    (tmp_path / "in" / "a.json").write_text(
        json.dumps({"caption": "two", "license": "cc0", "year": 2020, "nsfw": None})
    )
    report = imported(tmp_path / "in", tmp_path / "pool")
    assert report.differing == [("a.jpg", "license")]
    assert "1 values differ between sources, the first is kept: 1 license" in report.says()
    row = rows_of(tmp_path / "pool")["a.jpg"]
    assert (row["license"], row["year"], row["texts"]) == ("by", 2020, ["one", "two"])
    assert report.as_json()["differing"] == [{"file": "a.jpg", "column": "license"}]


def test_json_that_is_no_object_is_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(made_photo(1))
    (tmp_path / "in" / "a.json").write_text('[{"box": [1, 2]}]')
    imported(tmp_path / "in", tmp_path / "pool")
    assert rows_of(tmp_path / "pool")["a.jpg"]["json"] == [{"box": [1, 2]}]
    (tmp_path / "tars").mkdir()
    tar(tmp_path / "tars" / "0.tar", {"a.jpg": made_photo(1), "a.json": b"[1, 2]"})
    list(import_tars(tmp_path / "tars"))
    assert rows_of(tmp_path / "tars")["0.tar"]["json"] == [1, 2]


def test_a_picture_of_a_tar_is_known_by_its_bytes_where_no_name_tells_it(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", {
        "a.img": made_photo(1), "a.txt": b"P1 1 1 1", "b.cls": b"5", "c.jpg": made_photo(2), "c.mask": made_photo(3),
    })  # fmt: skip
    (done,) = import_tars(tmp_path)
    assert done.left_out == (("b", "no image"),)
    assert len(framed_hashes(open_pool(tmp_path))[1]) == 2


def test_what_lies_beside_tars_is_counted_and_tars_in_folders_are_found(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    tar(tmp_path / "in" / "deep" / "0.tar", {"a.jpg": made_photo(1)})
    done = newtest("import-pool", "in", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["rows"] == 1
    tar(tmp_path / "in" / "1.tar", {"a.jpg": made_photo(2)})
    (tmp_path / "in" / "loose.jpg").write_bytes(made_photo(3))
    (tmp_path / "in" / "2.TAR").write_bytes(b"")
    told = json.loads(newtest("import-pool", "in", "--json", cwd=tmp_path).stdout)
    assert (told["rows"], told["names"]) == (
        1,
        {"loose.jpg": "a loose image beside tars", "2.TAR": "no tar: .TAR"},
    )
