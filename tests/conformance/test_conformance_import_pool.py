"""``import-pool`` beside the libraries that read the same tars and folders: ``webdataset`` and ``datasets``.

Each tar is read by both: newtest gives the same samples, or an error that says why it gives none.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from newtest.errors import PoolError
from newtest.pool.importing import ImportReport, import_folder, import_tars, read_folder

webdataset = pytest.importorskip("webdataset")
# The library leaves the file open that it read to its end.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
Members = Sequence[tuple[str, bytes | str]]


def picture(seed: int, kind: str = "JPEG") -> bytes:
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((64, 48)).save(out, kind)
    return out.getvalue()


A, B, C = (picture(seed) for seed in range(3))


def tar(
    path: Path,
    members: Members,
    mode: str = "w",
    links: Sequence[tuple[str, str, bytes]] = (),
    pax: bool = True,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as out:  # type: ignore[call-overload]
        for name, data in members:
            data = data if isinstance(data, bytes) else data.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            out.addfile(info)
    return path


def ours(folder: Path) -> list[dict[str, Any]]:
    for _ in import_tars(folder):
        pass
    rows = []
    for table in sorted(folder.rglob("*.parquet")):
        rows += pq.read_table(table).to_pylist()
    return [{"key": row["key"], "text": row["text"], "sha256": row["sha256"]} for row in rows]


def theirs(path: Path) -> list[dict[str, Any]]:
    """The samples of the library ``webdataset``."""
    import hashlib

    rows = []
    for sample in webdataset.WebDataset(
        str(path), shardshuffle=False, empty_check=False, handler=webdataset.reraise_exception
    ):
        image = next((sample[suffix] for suffix in ("jpg", "jpeg", "png", "webp") if suffix in sample), None)
        text = sample.get("txt")
        rows.append(
            {
                "key": sample["__key__"].removeprefix("./"),
                "text": None if text is None else text.decode(),
                "sha256": None if image is None else hashlib.sha256(image).hexdigest(),
            }
        )
    return rows


LONG = "d" * 90 + "/" + "n" * 120
SAME: dict[str, tuple[str, Members, str]] = {
    "plain": ("0.tar", [("a.jpg", A), ("a.txt", "A"), ("b.jpg", B), ("b.txt", "B")], "w"),
    "folders": ("0.tar", [("x/a.jpg", A), ("x/a.txt", "A"), ("y/a.jpg", B), ("y/a.txt", "B")], "w"),
    "current folder": ("0.tar", [("./a.jpg", A), ("./a.txt", "A")], "w"),
    "folder with a dot": ("0.tar", [("v1.0/a.jpg", A), ("v1.0/a.txt", "A"), ("v1.0/b.jpg", B)], "w"),
    "upper case": ("0.tar", [("a.JPG", A), ("a.TXT", "A")], "w"),
    "of a Mac": (
        "0.tar",
        [("._a.jpg", "resource fork"), ("a.jpg", A), ("._a.txt", "fork"), ("a.txt", "A")],
        "w",
    ),
    "no suffix": ("0.tar", [("README", "read me"), ("a.jpg", A), ("a.txt", "A")], "w"),
    "long names": ("0.tar", [(f"{LONG}.jpg", A), (f"{LONG}.txt", "A")], "w"),
    "not ASCII": (
        "0.tar",
        [("Zürich.jpg", A), ("Zürich.txt", "Zürich"), ("日.jpg", B), ("日.txt", "日")],
        "w",
    ),
    "gzip": ("0.tar.gz", [("a.jpg", A), ("a.txt", "A"), ("b.jpg", B)], "w:gz"),
    "tgz": ("0.tgz", [("a.jpg", A), ("a.txt", "A")], "w:gz"),
    "bzip2": ("0.tar.bz2", [("a.jpg", A), ("a.txt", "A")], "w:bz2"),
    "gzip in disguise": ("0.tar", [("a.jpg", A), ("a.txt", "A")], "w:gz"),
    "no caption": ("0.tar", [("a.jpg", A), ("b.jpg", B), ("b.txt", "B")], "w"),
    "no image": ("0.tar", [("a.txt", "A"), ("b.jpg", B)], "w"),
}


@pytest.mark.parametrize("pax", [True, False])
@pytest.mark.parametrize("case", SAME)
def test_the_same_samples_as_webdataset(case: str, pax: bool, tmp_path: Path) -> None:
    name, members, mode = SAME[case]
    path = tar(tmp_path / "pool" / name, members, mode, pax=pax)
    assert ours(tmp_path / "pool") == theirs(path)


def test_links_are_no_samples_and_are_counted(tmp_path: Path) -> None:
    links = [("c.jpg", "a.jpg", tarfile.SYMTYPE), ("d.jpg", "a.jpg", tarfile.LNKTYPE)]
    path = tar(tmp_path / "0.tar", [("a.jpg", A), ("a.txt", "A")], links=links)
    (done,) = import_tars(tmp_path)
    assert done.left_out == (("c.jpg", "a link"), ("d.jpg", "a link"))
    assert done.rows == len(theirs(path)) == 1


APART = [("a.jpg", A), ("b.jpg", B), ("a.txt", "A"), ("b.txt", "B")]
REPEATED = [("a.jpg", A), ("a.txt", "A"), ("a.jpg", B), ("a.txt", "B")]
DOTS = [
    (f"photo.{k}.{suffix}", data)
    for k, image in enumerate((A, B, C))
    for suffix, data in (("jpg", image), ("txt", "c"))
]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (APART, r"members of sample 'a' do not stand side by side \(again at 'a.txt'\)"),
        (REPEATED, r"the member 'a.jpg' stands there twice"),
        (DOTS, r"key of a member ends at the first dot .*3 photos \(photo.0.jpg, photo.1.jpg, photo.2.jpg\) are one"),
        ([("a.jpg", A), ("a.txt", "caf\u00e9".encode("latin-1"))], r"a.txt: not UTF-8 \(byte 0xe9 at 3\)"),
        ([("a.jpg", A), ("a.json", "{")], r"a.json: not JSON"),
    ],
    ids=["apart", "repeated", "dots", "encoding", "json"],
)  # fmt: skip
def test_where_the_libraries_lose_or_part_something_there_is_an_error(
    members: Members, said: str, tmp_path: Path
) -> None:
    tar(tmp_path / "0.tar", members)
    with pytest.raises(PoolError, match=said):
        list(import_tars(tmp_path))
    assert not list(tmp_path.glob("*.parquet"))


def test_several_captions_of_a_sample_are_all_kept(tmp_path: Path) -> None:
    said = json.dumps({"caption": "three", "uid": "A" * 32, "score": 0.5, "texts": ["one", "four"]})
    tar(tmp_path / "0.tar", [("a.jpg", A), ("a.txt", "one"), ("a.2.txt", "two"), ("a.json", said)])
    list(import_tars(tmp_path))
    (row,) = pq.read_table(tmp_path / "0.parquet").to_pylist()
    assert (row["text"], row["texts"]) == ("one", ["one", "two", "three", "four"])
    assert (row["uid"], row["score"]) == ("a" * 32, 0.5)


def report_of(source: Path, out: Path, **options: Any) -> ImportReport:
    folder = read_folder(source, **options)
    done = list(import_folder(folder, out))
    return ImportReport(done, folder.left_out(), folder.captions.unmatched, folder.captions.rows)


def put(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def rows_of(pool: Path) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in pq.read_table(pool / "00000000.parquet").to_pylist()}


def test_several_rows_of_one_image_are_all_kept(tmp_path: Path) -> None:
    table = "file,text\n0.jpg,one\n0.jpg,two\n0.jpg,three\n0.jpg,one\n1.jpg,alone\n"
    put(tmp_path / "in", {"0.jpg": A, "1.jpg": B, "2.jpg": C, "captions.csv": table})
    report = report_of(tmp_path / "in", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [rows[name]["texts"] for name in ("0.jpg", "1.jpg", "2.jpg")] == [
        ["one", "two", "three"],
        ["alone"],
        None,
    ]
    assert (report.as_json()["without_caption"], report.as_json()["captions_repeated"]) == (1, 1)
    with tarfile.open(tmp_path / "out" / "00000000.tar") as archive:
        inside = archive.extractfile("000000000.json")
        assert inside is not None and json.load(inside)["texts"] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "said",
    [
        "./a.jpg",
        "sub/../a.jpg",
        "a.jpg",
        ".//a.jpg",
        "sub\\b.jpg",
        "sub/./b.jpg",
        "Zu\u0308rich.jpg",
        "A.jpg",
    ],
)
def test_captions_meet_files_by_the_rules_that_the_docs_state(said: str, tmp_path: Path) -> None:
    put(tmp_path / "in", {"a.jpg": A, "sub/b.jpg": B, "Z\u00fcrich.jpg": C})
    (tmp_path / "in" / "captions.tsv").write_text(f"file\ttext\n{said}\tfound\n", encoding="utf-8")
    report = report_of(tmp_path / "in", tmp_path / "out")
    found = [row["source"] for row in rows_of(tmp_path / "out").values() if row["text"] == "found"]
    if said in ("sub/../a.jpg", "A.jpg"):
        assert (found, report.unmatched) == ([], [("captions.tsv", said)]) or report.unmatched == (
            ("captions.tsv", said),
        )
    else:
        assert len(found) == 1 and not report.unmatched


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_metadata_of_image_folders_is_what_datasets_reads(suffix: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    source = put(tmp_path / "in", {"train/a.jpg": A, "train/b.jpg": B})
    rows = [
        {"file_name": "a.jpg", "text": "from metadata", "license": "by", "score": 0.5},
        {"file_name": "b.jpg", "text": "another", "license": "cc0", "score": 1.5},
    ]
    path = source / "train" / f"metadata.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == "csv":
        path.write_text("file_name,text,license,score\na.jpg,from metadata,by,0.5\nb.jpg,another,cc0,1.5\n")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(source), split="train", cache_dir=str(tmp_path / "cache")
    )
    report = report_of(source, tmp_path / "out")
    mine = (
        pq.read_table(tmp_path / "out" / "00000000.parquet").select(["text", "license", "score"]).to_pylist()
    )
    assert mine == loaded.select_columns(["text", "license", "score"]).to_list()
    assert (report.caption_rows, report.unmatched, report.left_out) == (2, (), [])


def test_every_file_is_in_the_pool_or_is_counted(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "a.jpg": A, "a.txt": "A", "b.jfif": B, "c": C, "d.png": picture(3, "PNG"),
        "bad.jpg": b"\xff\xd8\xff no", "gone.txt": "nobody's", "notes.md": "x", "Thumbs.db": "x", "._a.jpg": "fork",
        "__MACOSX/a.jpg": A, ".ipynb_checkpoints/a.jpg": A,
    }  # fmt: skip
    put(tmp_path / "in", files)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "e.jpg").write_bytes(A)
    (tmp_path / "in" / "more").symlink_to("../elsewhere")
    (tmp_path / "in" / "loop").symlink_to(".")
    report = report_of(tmp_path / "in", tmp_path / "out").as_json()
    assert set(rows_of(tmp_path / "out")) == {"a.jpg", "b.jfif", "c", "d.png", "more/e.jpg"}
    gone = {
        "bad.jpg",
        "gone.txt",
        "notes.md",
        "Thumbs.db",
        "._a.jpg",
        "__MACOSX",
        ".ipynb_checkpoints",
        "loop",
    }
    assert set(report["names"]) == gone
    assert report["left_out"] == sum(report["reasons"].values()) == len(gone)
    assert report["rows"] == 5


def test_text_in_another_encoding_is_converted_on_demand_alone(tmp_path: Path) -> None:
    put(tmp_path / "in", {"a.jpg": A, "captions.csv": "file,text\na.jpg,caf\u00e9\n".encode("latin-1")})
    with pytest.raises(PoolError, match=r"captions\.csv: not UTF-8"):
        read_folder(tmp_path / "in")
    assert rows_of_text(tmp_path, encoding="latin-1") == "caf\u00e9"
    (tmp_path / "in" / "captions.csv").write_bytes("file;text\na.jpg;caf\u00e9\n".encode("utf-16"))
    assert rows_of_text(tmp_path) == "caf\u00e9"


def rows_of_text(folder: Path, **options: Any) -> Any:
    report_of(folder / "in", folder / "out", **options)
    return rows_of(folder / "out")["a.jpg"]["text"]
