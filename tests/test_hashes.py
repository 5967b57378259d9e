"""Perceptual hashes on real photos: orientations are exact, framings find crops, unrelated photos stay far."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from newtest import hashes as perceptual
from newtest.errors import ImageError
from newtest.neighbors import hamming


def saved(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", **{"quality": 95, **options})
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos(data: Path) -> list[Path]:
    return sorted((data / "images").glob("*.JPEG"))[:40]


def nearest(a: np.ndarray, b: np.ndarray) -> int:
    """Whole of one against any framing of the other, both ways round."""
    return int(min(hamming(a[:1], b).min(), hamming(a, b[:1]).min()))


@pytest.mark.parametrize("orientation", perceptual.ORIENTATIONS)
def test_hash_of_a_turned_picture_is_the_turned_hash(
    photos: list[Path], orientation: tuple[bool, bool, bool]
) -> None:
    transpose, across, down = orientation
    picture = np.stack([perceptual.grey(photo) for photo in photos[:8]])
    turned = picture[:, :, ::-1] if across else picture
    turned = turned[:, ::-1] if down else turned
    turned = np.swapaxes(turned, 1, 2) if transpose else turned
    expected = perceptual.hashes(np.ascontiguousarray(turned))[:, 0]
    found = perceptual.oriented(perceptual.hashes(picture)[:, 0], orientation)
    assert hamming(expected, found).max() <= 1  # a coefficient within rounding of zero may change its sign


def test_spare_bits_are_zero_and_framings_differ(photos: list[Path]) -> None:
    words = perceptual.hashes(np.stack([perceptual.grey(photo) for photo in photos]))
    assert words.shape == (len(photos), len(perceptual.FRAMINGS), perceptual.WORDS)
    assert not (words[..., 2] >> np.uint64(16)).any()
    assert (hamming(words[:, :1], words[:, 1:]) > 0).all()


def test_copies_are_near_and_strangers_far(photos: list[Path]) -> None:
    for photo, stranger in pairwise(photos):
        image = Image.open(photo).convert("RGB")
        width, height = image.size
        own = perceptual.hash_of(photo)
        assert own is not None
        copies = {
            "resized": image.resize((int(width * 0.7), int(height * 0.7))),
            "cropped": image.crop((width // 20, height // 20, width - width // 20, height - height // 20)),
            "bordered": ImageOps.expand(image, min(width, height) // 20, "black"),
            "grey": image.convert("L"),
        }
        for kind, copy in copies.items():
            other = perceptual.hash_of(saved(copy))
            assert other is not None
            assert nearest(own, other) <= 26, (photo.name, kind)
        away = perceptual.hash_of(stranger)
        assert away is not None
        assert nearest(own, away) > 30


def test_exif_orientation_is_applied(photos: list[Path]) -> None:
    image = Image.open(photos[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side, to be shown turned
    lying = saved(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
    upright, turned = perceptual.hash_of(photos[0]), perceptual.hash_of(lying)
    assert upright is not None and turned is not None
    assert hamming(upright[0], turned[0]) <= 8


def test_flat_pictures_have_no_hash() -> None:
    assert perceptual.hash_of(saved(Image.new("RGB", (300, 200), "navy"))) is None


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_bytes_that_are_no_picture_are_an_image_error(photos: list[Path], cut: int) -> None:
    with pytest.raises(ImageError, match=r"cannot be (decoded|read)|is empty"):
        perceptual.hash_of(photos[0].read_bytes()[:cut])
