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
from newtest.sets import ImageSet, image_at, read_image_set

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


def test_images_inside_a_releases_archives_are_shown_to_models(tmp_path: Path) -> None:
    """Tars and Parquet tables as ``newtest release`` writes them: each image by its address."""
    import io
    import tarfile

    (tmp_path / "shards").mkdir()
    (tmp_path / "parquet").mkdir()
    with tarfile.open(tmp_path / "shards/00000.tar", "w") as tar:
        for number, name in enumerate(("n01/a.jpg", "n01/a.json", "n02/b.jpg")):
            info = tarfile.TarInfo(name)
            info.size = len(made_photo(number))
            tar.addfile(info, io.BytesIO(made_photo(number)))
    table = pa.table(
        {
            "image": [{"bytes": made_photo(number), "path": None} for number in (7, 8, 9)],
            "wnid": ["n01", "n02", "n02"],
            "image_id": ["c", "c", "d"],
        }
    )
    pq.write_table(table, tmp_path / "parquet/test-00000.parquet", row_group_size=2)
    put(tmp_path / "images/n01/e#1.tar#x.jpg", made_photo(5))
    rows = [
        ("a", "n01", "shards/00000.tar#n01/a.jpg", 0),
        ("b", "n02", "shards/00000.tar#n02/b.jpg", 2),
        ("c", "n01", "parquet/test-00000.parquet", 7),
        ("c", "n02", "parquet/test-00000.parquet", 8),
        ("d", "n02", "parquet/test-00000.parquet", 9),
        ("e", "n01", "images/n01/e#1.tar#x.jpg", 5),
    ]
    pd.DataFrame([row[:3] for row in rows], columns=["image_id", "wnid", "file"]).to_csv(
        tmp_path / "manifest.csv", index=False
    )
    paths = read_set(tmp_path).images["path"]
    assert [image_at(path) for path in paths] == [made_photo(number) for *_, number in rows]
    for gone in ("shards/00000.tar#n09/x.jpg", "parquet/test-00000.parquet#n09/x", "shards/1.tar#a", "x.jpg"):
        with pytest.raises(OSError):
            image_at(str(tmp_path / gone))
    (tmp_path / "shards/bad.tar").write_bytes(b"no tar" * 200)
    (tmp_path / "parquet/bad.parquet").write_bytes(b"no table")
    for bad in ("shards/bad.tar#a", "parquet/bad.parquet#a"):
        with pytest.raises(OSError, match="cannot be read"):
            image_at(str(tmp_path / bad))
