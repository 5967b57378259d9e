from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from commands import here
from servers.images import made_photo

from newtest.catalog.files import Removal, file_of, take_down
from newtest.catalog.references import references
from newtest.errors import UsageError
from newtest.reference import Member, add_reference, members_of_folder, members_of_table, with_files_from
from newtest.study import Study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        place = tmp_path / "val" / ("apple" if number < 3 else "pear") / f"ILSVRC2012_val_{number:08}.JPEG"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(made_photo(number))
    (tmp_path / "val" / "notes.txt").write_text("not an image")
    return tmp_path / "val"


def test_a_folder_is_registered_with_its_bytes_and_published_names(tmp_path: Path, folder: Path) -> None:
    command = [
        "reference",
        "add",
        "val",
        "--images",
        str(folder),
        "--json",
        "--study",
        str(tmp_path / "s"),
    ]
    first = here(*command)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["fetched"] == 6
    again = here(*command)
    assert json.loads(again.stdout) | {"fetched": 6} == json.loads(first.stdout)
    with Study(tmp_path / "s") as study:
        (row,) = references(study.catalog)
        assert (row.images, row.classes, row.with_bytes) == (6, 2, 6)
        file = file_of(study.catalog, "ILSVRC2012_val_00000004.JPEG")
        assert file is not None and file.sha256 is not None
        assert study.image_path(file.sha256).read_bytes() == made_photo(4)


def test_names_that_occur_in_several_classes_are_told_apart(tmp_path: Path) -> None:
    for wnid in ("a", "b"):
        (tmp_path / wnid).mkdir()
        (tmp_path / wnid / "0.png").write_bytes(made_photo(1))
    assert [member.image_id for member in members_of_folder(tmp_path)] == ["a_0.png", "b_0.png"]


def test_a_table_keeps_what_else_it_says(tmp_path: Path, folder: Path) -> None:
    name = "ILSVRC2012_val_00000001.JPEG"
    frame = pd.DataFrame(
        {"image_id": [name, "x.JPEG"], "wnid": ["apple", "pear"], "search_key": ["red", None]}
    )
    frame["path"] = [f"val/apple/{name}", None]
    frame.to_parquet(tmp_path / "t.parquet")
    with Study(tmp_path / "s", create=True) as study:
        added = add_reference(study, "t", members_of_table(tmp_path / "t.parquet"), "t.parquet")
        assert added.images == 2
        rows = dict(study.catalog.execute("SELECT image_id, url FROM images").fetchall())
        assert rows == {name: (folder / "apple" / name).as_uri(), "x.JPEG": None}
        extra = study.catalog.execute("SELECT extra FROM images WHERE image_id = ?", (name,)).fetchone()[0]
        assert json.loads(extra) == {"search_key": "red"}


def test_imagenetv2s_own_file_is_read_and_bytes_found_by_name(tmp_path: Path, data: Path) -> None:
    members = members_of_table(data / "imagenetv2" / "datasets" / "imagenet-validation-original.json")
    assert len(members) == 50_000 and len({member.wnid for member in members}) == 1000
    (tmp_path / members[7].image_id).write_bytes(made_photo(7))
    (tmp_path / members[8].wnid).mkdir()
    (tmp_path / members[8].wnid / members[8].image_id).write_bytes(made_photo(8))
    found, _ = with_files_from(members[:20], tmp_path)
    assert [place for place, member in enumerate(found) if member.url] == [7, 8]


def test_what_cannot_be_a_reference_is_said(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        members_of_folder(tmp_path / "absent")
    (tmp_path / "bad.csv").write_text("image_id,colour\na,b\n")
    with pytest.raises(
        UsageError, match=r"'wnid' \(or class, label, target\) is missing; it has image_id, colour"
    ):
        members_of_table(tmp_path / "bad.csv")
    (tmp_path / "path.csv").write_text("image_id,wnid\n../../etc/passwd,n01443537\n")
    with pytest.raises(UsageError, match="row 1"):
        members_of_table(tmp_path / "path.csv")
    (tmp_path / "torn.json").write_text('{"image_filenames": [["a"]]}')
    with pytest.raises(UsageError, match=r"torn\.json: .*image_filenames must be a list of pairs"):
        members_of_table(tmp_path / "torn.json")
    with Study(tmp_path / "s", create=True) as study:
        with pytest.raises(UsageError, match="twice"):
            add_reference(study, "r", [Member("a", "apple"), Member("a", "apple")], "here")
        add_reference(study, "r", [Member("a", "apple")], "here")
        with pytest.raises(UsageError, match="another reference 'r'"):
            add_reference(study, "r", [Member("b", "apple")], "here")
        study.catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('p', 'flickr', '1')")
        with pytest.raises(UsageError, match="images of the pool"):
            add_reference(study, "q", [Member("p", "apple")], "here")


def test_a_second_reference_may_share_images_and_bring_their_bytes(tmp_path: Path, folder: Path) -> None:
    names = [Member(member.image_id, member.wnid) for member in members_of_folder(folder)]
    with Study(tmp_path / "s", create=True) as study:
        add_reference(study, "names", names, "names")
        add_reference(study, "bytes", members_of_folder(folder), "folder")
        assert [row.images for row in references(study.catalog)] == [6, 6]
        assert study.catalog.execute("SELECT count(*) FROM images WHERE url IS NOT NULL").fetchone()[0] == 6


def test_the_same_set_again_may_bring_the_bytes(tmp_path: Path, folder: Path) -> None:
    names = [Member(member.image_id, member.wnid) for member in members_of_folder(folder)]
    with Study(tmp_path / "s", create=True) as study:
        add_reference(study, "val", names, "names")
        take_down(study.catalog, [names[0].image_id], [], Removal("asked", "me", "2026-01-01"))
        add_reference(study, "val", members_of_folder(folder), "folder")
        there = "SELECT image_id FROM images WHERE url IS NOT NULL ORDER BY image_id"
        assert [row[0] for row in study.catalog.execute(there)] == [name.image_id for name in names[1:]]


def test_one_name_never_stands_for_two_images(tmp_path: Path, folder: Path) -> None:
    """Two folders may both hold 0.png: votes about the one must not count for the other."""
    for place, seed in (("a", 1), ("copy", 1), ("b", 2)):
        (tmp_path / place / "apple").mkdir(parents=True)
        (tmp_path / place / "apple" / "0.png").write_bytes(made_photo(seed))
    with Study(tmp_path / "s", create=True) as study:
        add_reference(study, "a", members_of_folder(tmp_path / "a"), "a")
        add_reference(study, "copy", members_of_folder(tmp_path / "copy"), "copy")
        with pytest.raises(UsageError, match=r"0\.png is the name of two images, at file://.*give them ids"):
            add_reference(study, "b", members_of_folder(tmp_path / "b"), "b")
        assert [row.name for row in references(study.catalog)] == ["a", "copy"]
        twice = [
            Member("x", wnid, (tmp_path / place / "apple/0.png").as_uri()) for wnid, place in ("ca", "db")
        ]
        with pytest.raises(UsageError, match="x is the name of two images"):
            add_reference(study, "c", twice, "table")


def test_a_file_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "val" / "apple").mkdir(parents=True)
    (tmp_path / "val" / "apple" / os.fsdecode(b"\xff.png")).write_bytes(made_photo(1))
    with pytest.raises(UsageError, match=r"1 file, 0 images, 1 left out: 1 a name that is not UTF-8"):
        members_of_folder(tmp_path / "val")
