"""Sets that a pool is compared with: releases in every format, single files, and images inside a pool's tables."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest

from newtest.catalog.releases import MemberRow
from newtest.pool.dedup.target_sets import set_images
from newtest.pool.storage.image_types import image_columns
from newtest.releasing.formats import IDS, WRITERS
from newtest.releasing.members import Member

WNIDS = ("n01", "n02")
FORMS = sorted(set(WRITERS) - {IDS})


def picture(number: int) -> bytes:
    """A JPEG of soft blots, unlike that of any other number."""
    blots = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(blots).resize((160, 120)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos of two classes, released in every format that there is. Stems are the same in both classes."""
    folder = tmp_path_factory.mktemp("released")
    bytes_of = {
        f"{wnid}/{number}": picture(10 * at + number) for at, wnid in enumerate(WNIDS) for number in range(3)
    }
    members = []
    for name, data in bytes_of.items():
        wnid, number = name.split("/")
        sha256 = hashlib.sha256(data).hexdigest()
        nothing = (None,) * 7
        row = MemberRow(name, wnid, 7, 10, "folder", name, *nothing, sha256, "JPEG")
        members.append(Member(row, f"{number}.jpg", WNIDS.index(wnid), sha256))
    for form in FORMS:
        WRITERS[form](members, WNIDS, lambda member: bytes_of[member.row.image_id], folder / form)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_releases_are_sets_in_every_format(form: str, released: Path) -> None:
    found = list(set_images(str(released / form)))
    whole = sorted(data for _, data in set_images(str(released / "imagefolder")))
    assert sorted(data for _, data in found) == whole
    assert len({name for name, _ in found}) == 6
    for path in (released / form).rglob("*"):  # one tar or table is a set too
        if path.suffix in (".tar", ".parquet") and path.name != "metadata.parquet":
            assert [data for _, data in set_images(str(path))] == [data for _, data in found]


def test_a_pool_is_cleaned_of_a_release_whatever_its_format(released: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(picture(number))
    (tmp_path / "photos" / "new.jpg").write_bytes(picture(99))
    assert newtest("import-pool", "photos", "--out", "pool", cwd=tmp_path).returncode == 0
    subsets = set()
    for form in FORMS:
        release = str(released / form)
        done = newtest("decontaminate-pool", "pool", "--against", release, "--method", "hash", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "removed 3 of 4 rows, 0 could not be compared" in done.stdout
        subsets.add((tmp_path / "clean.npy").read_bytes())
        pairs = pq.read_table(tmp_path / "clean.pairs.parquet").to_pylist()
        assert {row["set"] for row in pairs} == {release}
        assert sorted(Path(row["image"]).stem[-1] for row in pairs if row["closeness"] == 0) == [
            "0",
            "1",
            "2",
        ]
    assert len(subsets) == 1


def test_a_pool_may_hold_its_images_in_its_tables(tmp_path: Path) -> None:
    photos = [picture(number) for number in (0, 60, 0)]
    (tmp_path / "plain").mkdir()
    (tmp_path / "struct").mkdir()
    plain = {"url": ["a", "b", "c", "d"], "jpg": [*photos, None]}
    images = [{"bytes": data, "path": f"{number}.jpg"} for number, data in enumerate(photos)]
    struct = {"image": [*images, {"bytes": b"?", "path": None}], "sha256": ["0", "1", "2", "3"]}
    pq.write_table(pa.table(plain), tmp_path / "plain" / "0.parquet")
    pq.write_table(pa.table(struct), tmp_path / "struct" / "0.parquet")
    for name, reason in (("plain", "no image"), ("struct", "not-an-image")):
        done = newtest("dedup-pool", name, "--method", "hash", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "kept 3 rows" in done.stdout
        layer = next((tmp_path / name / "__newtest/layers").rglob("0-*.parquet"))
        assert pq.read_table(layer)["reason"].to_pylist() == [None, None, None, reason]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"jpg": pa.binary()}, "jpg"),
        ({"url": pa.string(), "image": pa.large_binary()}, "image"),
        ({"photo": pa.struct([("bytes", pa.binary()), ("path", pa.string())])}, "photo"),
        ({"image": pa.string(), "uid": pa.binary()}, None),
        ({"image": pa.struct([("bytes", pa.null()), ("path", pa.string())])}, "image"),
        ({"said": pa.struct([("path", pa.string())])}, None),
        ({"jpg": pa.dictionary(pa.int32(), pa.binary())}, "jpg"),
        ({"image": pa.struct([("path", pa.string())])}, "image"),
    ],
)
def test_columns_of_images_are_known_by_type_and_name(
    columns: dict[str, pa.DataType], found: str | None
) -> None:
    assert image_columns(pa.schema(list(columns.items()))) == ([found] if found else [])
