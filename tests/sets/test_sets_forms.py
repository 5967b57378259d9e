"""One set in every form in which it may lie: the same images in the same classes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers.images import made_photo
from test_sets_walking import put

from newtest.errors import UsageError
from newtest.evaluation.scoring.sets import read_set
from newtest.sets import ImageSet, read_image_set

MEMBERS = {"a.jpg": "n01", "b.png": "n01", "0" * 39 + "f": "n02"}
FILES = {"a.jpg": "a.jpg", "b.png": "b.png", "0" * 39 + "f": "0" * 39 + "f.jpeg"}


def folder(path: Path) -> Path:
    for number, (image_id, cls) in enumerate(MEMBERS.items()):
        put(path / cls / FILES[image_id], made_photo(number))
    return path


def dataset_json(path: Path) -> Path:
    path.mkdir()
    (path / "set.json").write_text(json.dumps({"image_filenames": [list(pair) for pair in MEMBERS.items()]}))
    return path / "set.json"


def table(path: Path, suffix: str, names: tuple[str, str] = ("image_id", "wnid")) -> Path:
    path.mkdir()
    frame = pd.DataFrame(MEMBERS.items(), columns=list(names))
    frame["path"] = [f"../files/{cls}/{FILES[image_id]}" for image_id, cls in MEMBERS.items()]
    folder(path.parent / "files")
    made = path / f"set{suffix}"
    if suffix == ".parquet":  # with pictures in it, which nobody needs for ids
        images = pa.array([{"bytes": b"x" * 100, "path": None}] * len(frame))
        pq.write_table(pa.Table.from_pandas(frame).append_column("image", images), made)
    elif suffix == ".json":
        frame.to_json(made, orient="records")
    elif suffix == ".jsonl":
        frame.to_json(made, orient="records", lines=True)
    else:
        frame.to_csv(made, index=False, sep="\t" if suffix == ".tsv" else ",")
    return made


FORMS = {
    "folder": folder,
    "dataset json": dataset_json,
    "csv": lambda path: table(path, ".csv"),
    "other names": lambda path: table(path, ".csv", ("filename", "label")),
    "tsv": lambda path: table(path, ".tsv"),
    "parquet": lambda path: table(path, ".parquet"),
    "json rows": lambda path: table(path, ".json"),
    "json lines": lambda path: table(path, ".jsonl"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(form: str, tmp_path: Path) -> None:
    found = read_image_set(FORMS[form](tmp_path / "set"))
    assert {image.image_id: image.cls for image in found.images} == MEMBERS
    assert found.classes == ("n01", "n02") and found.census.images == 3
    files = {image.image_id: image.path for image in found.images}
    if form != "dataset json":
        for number, image_id in enumerate(MEMBERS):
            path = files[image_id]
            assert path is not None and path.read_bytes() == made_photo(number)


def released(tmp_path: Path) -> ImageSet:
    """A release that newtest wrote, by its manifest alone."""
    put(tmp_path / "images/n01/a.jpg")
    (tmp_path / "SHA256SUMS").write_text("")
    pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "wnid": ["n01", "n02", "n02"],
            "file": ["images/n01/a.jpg", "shards/00000.tar#n02/b.jpg", "../../etc/passwd"],
        }
    ).to_csv(tmp_path / "manifest.csv", index=False)
    return read_image_set(tmp_path)


def test_a_release_is_read_by_its_manifest_and_not_as_class_folders(tmp_path: Path) -> None:
    found = released(tmp_path)
    assert found.kind == "release" and found.classes == ("n01", "n02")
    assert [image.path for image in found.images] == [tmp_path / "images/n01/a.jpg", None, None]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("deep.json", "[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("torn.json", '{"image_filenames": [["a"]]}', "list of pairs"),
        ("half.json", '{"image_filenames": [', "not JSON"),
        ("number.json", "3", "neither a list of rows"),
        ("lines.jsonl", "[1]\n", "line 1: not a row"),
        ("lines.jsonl", "{\n", "not JSON lines"),
        ("set.csv", "image_id,colour\na,b\n", "'wnid' .* is missing; it has image_id, colour"),
        ("set.csv", "image_id,wnid\n,n01\n", "row 1: an image without an id"),
        ("set.parquet", "PAR1 nonsense", "not a CSV, Parquet or JSON table"),
        ("set.csv", "", "not a CSV, Parquet or JSON table"),
    ],
)
def test_what_is_no_set_is_one_sentence_with_the_files_name(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_image_set(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no such file or folder"):
        read_image_set(tmp_path / "absent")


@pytest.mark.parametrize("place", ["shards/00000.tar#n01/a.jpg", "parquet/test-00000-of-00001.parquet"])
def test_images_inside_archives_are_no_files_that_a_model_could_be_shown(place: str, tmp_path: Path) -> None:
    """A path into a tar would be an image that cannot be read, and count as wrong."""
    frame = pd.DataFrame({"image_id": ["a", "b"], "wnid": ["n01", "n02"], "file": [place, place]})
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    assert "path" not in read_set(tmp_path).images.columns
    frame.loc[1, "file"] = "images/n02/b.jpg"
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    assert read_set(tmp_path).images["path"].tolist() == ["", str(tmp_path / "images/n02/b.jpg")]
