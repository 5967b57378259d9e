"""Damaged and hostile pictures in a set: a reason for each, from every command that looks at pixels."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from servers.images import bomb_png, made_photo
from test_sets_walking import put

from newtest.clip.encoder import Look
from newtest.evaluation.scoring.set_vectors import set_vectors
from newtest.evaluation.scoring.sets import read_set
from newtest.evaluation.scoring.unreadable_images import unreadable
from newtest.pool.dedup.target_sets import set_images
from newtest.releasing.copies import check_copies
from newtest.releasing.evidence import Evidence
from newtest.releasing.sets import read_folder


def damaged_avif() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), "green").save(buffer, "AVIF")
    data = bytearray(buffer.getvalue())
    data[-20:] = b"\xff" * 20
    return bytes(data)


def webp_of_gigabytes() -> bytes:
    side = (16384 - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + side + side
    return b"RIFF" + struct.pack("<I", len(body) + 4) + body + b"ANIM"


HOSTILE = {
    "avif.avif": damaged_avif(), "bomb.png": bomb_png(10_000), "webp.webp": webp_of_gigabytes(), "empty.jpg": b"",
    "eps.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n", "half.jpg": made_photo(1)[:900], "html.jpg": b"<html></html>",
}  # fmt: skip


class Blind:
    """Stands for an encoder: what it says is beside the point."""

    name, dimension, preprocessing = "blind", 2, "none"

    def prepare(self, image: PIL.Image.Image) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def images(self, pixels: np.ndarray) -> np.ndarray:
        return np.tile(np.float32([1, 0]), (len(pixels), 1))

    def look(self, pixels: np.ndarray) -> Look:
        return Look(self.images(pixels))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in HOSTILE.items():
        put(tmp_path / "set" / "n01" / name, data)
    put(tmp_path / "set" / "n01" / "good.jpg", made_photo(5))
    return tmp_path / "set"


def test_each_is_a_row_with_a_reason_for_scoring(folder: Path, tmp_path: Path) -> None:
    evaluated = read_set(folder)
    found = set_vectors(evaluated, Blind(), tmp_path / "cache")  # type: ignore[arg-type]
    names = evaluated.images["image_id"].to_numpy()
    assert names[found.readable].tolist() == ["good.jpg"]
    said = unreadable(evaluated, names[~found.readable].tolist(), "blind").message
    assert said.startswith(
        "7 images could not be read and count as wrong (1 empty, 2 not-an-image, 2 too-many-pixels"
    )
    assert "1 truncated" in said and "1 undecodable" in said


def test_each_is_named_by_check_with_its_reason(folder: Path) -> None:
    (finding,) = [one for one in check_copies(read_folder(folder), Evidence()) if one.check == "bytes"]
    assert finding.severity == "error" and finding.message == "images that cannot be decoded: 7"
    assert {item.partition(" (")[0] for item in finding.items} == set(HOSTILE)
    assert all(item.endswith(")") and len(item) > len("x ()") + 8 for item in finding.items)


def test_each_is_counted_where_a_pool_is_compared_with_the_set(folder: Path) -> None:
    from newtest.hashes import hash_of
    from newtest.images import ImageError

    reasons = {}
    for name, data in set_images(str(folder)):
        try:
            hash_of(data or b"")
        except ImageError as error:
            reasons[Path(name).name] = error.kind
    assert reasons.keys() == HOSTILE.keys()
