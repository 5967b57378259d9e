"""Folders as they lie on people's disks: nothing vanishes, nothing foreign comes in, no link is followed for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from servers.images import made_photo

from newtest.evaluation.scoring.sets import read_set
from newtest.images import kinds
from newtest.sets import ids_of, is_foreign_path, read_class_folders, walk


def put(path: Path, data: bytes | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made_photo(1) if data is None else data)


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg", ".git/a.jpg", "System Volume Information/a.jpg",
        "n01/._a.jpg", "n01/.DS_Store", "n01/Thumbs.db", "n01/thumbs.DB", "n01/desktop.ini", "n01/.hidden/a.jpg",
        "n01/@eaDir/a.jpg/SYNO.jpg", "n01/__pycache__/a.jpg", "lost+found/a.jpg", "$RECYCLE.BIN/a.jpg",
    ],
)  # fmt: skip
def test_foreign_names_are_never_classes_or_images_and_are_counted(name: str, tmp_path: Path) -> None:
    put(tmp_path / "n01/a.jpg")
    put(tmp_path / name)
    found = read_class_folders(tmp_path)
    assert [image.file for image in found.images] == ["n01/a.jpg"] and found.classes == ("n01",)
    (entry,) = (*found.census.left_out, *found.census.folders)
    assert name.startswith(entry.name) and entry.reason == "hidden or made by the system"
    assert found.census.files == found.census.images + len(found.census.left_out)
    assert is_foreign_path(name) and not is_foreign_path("n01/a.b.jpg") and not is_foreign_path("../x.jpg")


def test_every_file_is_an_image_or_counted_with_its_reason(tmp_path: Path) -> None:
    photo = made_photo(1)
    for name in ("n01/a.jpg", "n01/B.JFIF", "n01/sub/deep/c.jpeg", "n01/noname", "n01/wrong.dat"):
        put(tmp_path / name, photo)
    put(
        tmp_path / "n01/empty.jpg", b""
    )  # is meant to be one: where it is opened, it is a failure with a reason
    put(tmp_path / "n01/notes.txt", b"words")
    put(tmp_path / "n01/README", b"words")
    put(tmp_path / "loose.jpg", photo)
    (tmp_path / "n02").mkdir()
    (tmp_path / "n01/broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "n01/pipe.jpg")
    found = read_class_folders(tmp_path)
    assert [image.file for image in found.images] == [
        "n01/B.JFIF", "n01/a.jpg", "n01/empty.jpg", "n01/noname", "n01/wrong.dat", "n01/sub/deep/c.jpeg",
    ]  # fmt: skip
    assert {entry.name: entry.reason for entry in found.census.left_out} == {
        "n01/notes.txt": ".txt",
        "n01/README": "without a suffix, and no image",
        "loose.jpg": "in no class folder",
        "n01/broken.jpg": "a link to nothing",
        "n01/pipe.jpg": "no regular file",
    }
    assert found.classes == ("n01", "n02") and found.census.nested == 1
    assert found.census.says().startswith("11 files, 6 images, 5 left out: 1 .txt, 1 a link to nothing")
    assert found.census.as_json()["files"] == 11


def test_heic_without_its_decoder_is_left_out_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        put(tmp_path / "n01" / name)
    put(tmp_path / "n01/e.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    put(tmp_path / "n01/f", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    said = read_class_folders(tmp_path).census.says()
    assert said == '6 files, 4 images, 2 left out: 2 .heic (pip install "newtest[heic]")'


def test_links_to_folders_are_followed_each_folder_once(tmp_path: Path) -> None:
    root, other = tmp_path / "set", tmp_path / "elsewhere"
    put(root / "n01/a.jpg")
    put(other / "b.jpg")
    put(other / "inner/c.jpg")
    (root / "n02").symlink_to(other)  # a class that lies elsewhere
    (root / "n01/up").symlink_to("..")  # a loop
    (other / "back").symlink_to(root)  # a loop by way of another folder
    (root / "a-n01").symlink_to("n01")  # sorts before what it leads to
    (root / "n03").symlink_to(tmp_path / "gone")
    found = read_class_folders(root)
    assert [image.file for image in found.images] == ["n01/a.jpg", "n02/b.jpg", "n02/inner/c.jpg"]
    assert found.classes == ("n01", "n02")
    assert {entry.name for entry in found.census.folders} == {"a-n01", "n01/up", "n02/back"}
    assert [entry.name for entry in found.census.left_out] == ["n03"]


def test_a_folder_full_of_links_to_each_other_ends(tmp_path: Path) -> None:
    """Two links in each of twenty folders would be a million ways down."""
    for level in range(20):
        (tmp_path / f"{level:02}").mkdir()
        for way in ("a", "b"):
            (tmp_path / f"{level:02}" / way).symlink_to(f"../{level + 1:02}")
    put(tmp_path / "20/x.jpg")
    walked = walk(tmp_path)
    assert walked.images == ("20/x.jpg",) and len(walked.census.folders) == 40


def test_ids_are_published_names_and_never_stand_for_two_files() -> None:
    published = "0123456789abcdef0123456789abcdef01234567"
    files = ["n01/val_1.JPEG", f"n02/{published}.jpeg", "n01/0.png", "n02/0.png", "n02/sub/0.png", "n03/a"]
    ids = ["val_1.JPEG", published, "n01_0.png", "n02_0.png", "n02_sub_0.png", "a"]
    assert ids_of(files) == ids


def test_names_that_are_no_text_do_not_break_what_is_said(tmp_path: Path) -> None:
    put(tmp_path / "n01/a.jpg")
    put(tmp_path / os.fsdecode(b"n01/\xff\x1b[31m.txt"), b"x")
    census = read_class_folders(tmp_path).census
    assert census.says().encode() and list(census.as_json()["names"]) == ["n01/\\udcff\\x1b[31m.txt"]


def test_a_name_that_is_no_text_is_left_out_and_counted(tmp_path: Path) -> None:
    put(tmp_path / "n01/a.jpg")
    put(tmp_path / os.fsdecode(b"n01/bad\xff.jpg"))
    put(tmp_path / os.fsdecode(b"n\xff/a.jpg"))
    found = read_class_folders(tmp_path)
    assert [image.file for image in found.images] == ["n01/a.jpg"] and found.classes == ("n01",)
    assert found.census.reasons() == {"a name that is not UTF-8": 2}
    assert [str(path) for path in read_set(tmp_path).images["path"]] == [str(tmp_path / "n01/a.jpg")]
