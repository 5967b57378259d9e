"""Corrupted sets: the same bytes, resume, counts, strangers' pictures and names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from newtest.corruption import KINDS, CorruptConfig, corrupt_set, corrupted
from newtest.corruption.making import cut_out
from newtest.corruption.naming import file_names, folder_name
from newtest.engines import LocalEngine
from newtest.errors import EvaluationError, UsageError
from newtest.evaluation import read_set

FEW = CorruptConfig(kinds=("contrast", "gaussian_noise"), severities=(1, 5), size=32)


def photos(folder: Path, count: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for at in range(count):
        place = folder / f"c{at % 2}" / f"p{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(place)
    return folder


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.jpg"))
    }


def test_every_kind_keeps_the_size_and_repeats_itself() -> None:
    rng = np.random.default_rng(1)
    image = PIL.Image.fromarray(rng.integers(0, 256, (48, 65, 3), dtype=np.uint8))
    for kind in KINDS:
        one, again = (corrupted(image, kind, 2, seed=3, name="a") for _ in range(2))
        assert one.size == image.size and one.tobytes() == again.tobytes(), kind
        assert one.tobytes() != image.tobytes(), kind
    assert corrupted(image, "fog", 2, name="a").tobytes() != corrupted(image, "fog", 2, name="b").tobytes()
    with pytest.raises(
        UsageError, match=r"unknown; known are gaussian_noise.*or a family: noise, blur, weather, digital"
    ):
        corrupted(image, "rain", 1)
    with pytest.raises(UsageError, match="known are 1 to 5"):
        corrupted(image, "fog", 6)
    with pytest.raises(UsageError, match="at least 32"):
        corrupted(image.resize((31, 40)), "fog", 1)


def test_severities_grow() -> None:
    rows, columns = np.mgrid[:64, :64]
    clean = np.stack([rows * 3 % 256, columns * 4 % 256, (rows + columns) * 2 % 256], axis=-1).astype(
        np.uint8
    )
    image = PIL.Image.fromarray(clean)
    for kind in (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "brightness",
        "contrast",
        "jpeg_compression",
    ):
        away = [
            float(np.abs(np.asarray(corrupted(image, kind, severity)).astype(int) - clean).mean())
            for severity in (1, 2, 3, 4, 5)
        ]
        assert away == sorted(away) and away[0] > 0, (kind, away)


def test_a_set_resumes_and_gives_the_same_bytes(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "val"), tmp_path / "out"
    first = corrupt_set(str(source), out, FEW, engine=LocalEngine(), workers=1)
    assert (first.images, first.written, first.kept, first.left_out) == (4, 16, 0, {})
    assert [folder.name for folder in first.folders][:2] == ["val.contrast.1", "val.contrast.5"]
    before = bytes_of(out)
    assert len(before) == 16 and "val.gaussian_noise.5/c1/p3.jpg" in before
    # killed in the middle: some files are there, the last line of the list is torn
    sources = out / "sources.jsonl"
    lines = sources.read_text().splitlines()
    sources.write_text("\n".join(lines[:2]) + "\n" + lines[2][:10])
    (out / "val.contrast.1" / "c0" / "p0.jpg").unlink()
    second = corrupt_set(str(source), out, FEW, workers=1)
    assert second.written + second.kept == 16 and second.kept > 0
    assert bytes_of(out) == before
    other = tmp_path / "other"
    corrupt_set(str(source), other, FEW, workers=2)
    assert bytes_of(other) == before
    # a picture that changed is made again
    PIL.Image.new("RGB", (60, 60), "red").save(source / "c0" / "p0.png")
    third = corrupt_set(str(source), out, FEW, workers=1)
    assert (third.written, third.kept) == (4, 12)
    # more severities may follow; other settings may not
    more = CorruptConfig(kinds=("contrast",), severities=(2,), size=32)
    assert corrupt_set(str(source), out, more, workers=1).written == 4
    with pytest.raises(UsageError, match="made with another seed"):
        corrupt_set(str(source), out, CorruptConfig(size=32, seed=1))
    (out / "corrupt.json").write_text('{"settings": 5}')
    with pytest.raises(UsageError, match="not readable"):
        corrupt_set(str(source), out, FEW)


def test_the_sets_are_sets_and_the_ids_stay(tmp_path: Path) -> None:
    source = photos(tmp_path / "val")
    corrupt_set(str(source), tmp_path / "out", FEW, workers=1)
    found = read_set(tmp_path / "out" / "val.contrast.5")
    assert found.name == "val.contrast.5" and len(found) == 4 and found.classes == ("c0", "c1")
    assert sorted(found.images["image_id"]) == ["p0.jpg", "p1.jpg", "p2.jpg", "p3.jpg"]
    about = json.loads((tmp_path / "out" / "corrupt.json").read_text())
    assert about["settings"]["seed"] == 0 and about["made_with"]["numpy"] == np.__version__


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    source = photos(tmp_path / "val")
    (source / "c0" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    found = corrupt_set(str(source), tmp_path / "out", FEW, workers=1)
    assert found.images == 5 and list(found.left_out) == ["broken.jpg"] and found.written == 16
    assert found.to_json()["images_per_set"] == 4
    table = tmp_path / "labels.csv"
    table.write_text("image_id,class\na,x\nb,y\n")
    with pytest.raises(EvaluationError, match="no picture of this set is at hand"):
        corrupt_set(str(table), tmp_path / "none", FEW)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    source = photos(tmp_path / "val")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="did not make"):
        corrupt_set(str(source), theirs, FEW)
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]


def test_names_never_leave_the_folder() -> None:
    for name in ("..", ".", "a/b", "../../x", "\0", "a\nb", "", "名前", "con ", "x" * 300, ".hidden"):
        made = folder_name(name)
        assert (
            made not in ("", ".", "..") and "/" not in made and "\0" not in made and len(made.encode()) <= 200
        )
    assert folder_name("n01443537") == "n01443537" and folder_name("a/b") != folder_name("a%2Fb")
    assert file_names([("c", "a.png"), ("c", "a.JPEG"), ("d", "a.png")], "jpg") == [
        "a.png.jpg",
        "a.JPEG.jpg",
        "a.jpg",
    ]


def test_the_middle_is_cut_as_torchvision_cuts_it() -> None:
    """Resize 256, centre crop 224: ImageNet-C's frame."""
    from newtest.clip.torch_runtime import library

    transforms = library("torchvision.transforms", "torchvision", "clip")

    rng = np.random.default_rng(0)
    for size in ((500, 375), (375, 500), (300, 301), (224, 224)):
        image = PIL.Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
        theirs = transforms.CenterCrop(224)(transforms.Resize(256)(image))
        assert np.array_equal(np.asarray(cut_out(image, 224)), np.asarray(theirs)), size
