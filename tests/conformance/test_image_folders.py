"""Class folders against torchvision's own ImageFolder (torchvision 0.28, datasets/folder.py): the same classes, the
same images of each, in the same order, so that predictions made with it are scored by position too.

Where newtest differs on purpose: hidden folders are not classes, a folder is not read twice by two links, and kinds
that torchvision has no suffix for (GIF, AVIF, HEIC, .jfif, no suffix) are images.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.images import made_photo

from newtest.clip.torch_runtime import library
from newtest.evaluation.scoring.sets import read_set
from newtest.sets import read_class_folders

NAMES = (
    "n02/b.jpg", "n02/B.JPEG", "n02/a.png", "n02/a/z.jpg", "n02/a b/y.jpg", "n02/a-b/x.webp", "n02/10.jpg", "n02/9.jpg",
    "n01/x.tif", "n01/deep/deeper/w.ppm", "n01/deep/v.bmp", "n10/c.pgm", "n9/d.tiff", "N03/e.jpg",
    "class with space/f.jpg", "n02/Zz/q.jpg", "n02/zz/q.jpg",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made_photo(number))
    (tmp_path / "set" / "n02" / "notes.txt").write_text("words")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "g.jpg").write_bytes(made_photo(99))
    (tmp_path / "set" / "n05").symlink_to(elsewhere)
    return tmp_path / "set"


def test_classes_images_and_order_are_torchvisions(folder: Path) -> None:
    theirs = library("torchvision", "torchvision", "clip").datasets.ImageFolder(str(folder))
    ours = read_class_folders(folder)
    assert list(ours.classes) == theirs.classes
    assert [(str(image.path), ours.classes.index(image.cls)) for image in ours.images] == theirs.samples
    assert (
        ours.census.says()
        == "18 files, 18 images, 1 left out: 1 .txt".replace("18 files", "19 files").replace(
            "18 images", "18 images"
        )
        + "; 7 images in folders inside class folders"
    )


def test_a_set_to_score_is_in_torchvisions_order_with_its_labels(folder: Path) -> None:
    theirs = library("torchvision", "torchvision", "clip").datasets.ImageFolder(str(folder))
    evaluated = read_set(folder)
    assert evaluated.images["path"].tolist() == [path for path, _ in theirs.samples]
    assert evaluated.labels.tolist() == theirs.targets and list(evaluated.classes) == theirs.classes
