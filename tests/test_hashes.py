"""Perceptual hashes on real photos: orientations are exact, framings find crops, unrelated photos stay far."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from newtest import hashes as perceptual
from newtest.errors import ImageError
from newtest.hashes.bars import content
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
    cuts = [place for place, framing in enumerate(perceptual.FRAMINGS) if place and not framing.bars]
    assert words.shape == (len(photos), len(perceptual.FRAMINGS), perceptual.WORDS)
    assert not (words[..., 2] >> np.uint64(16)).any()
    assert (
        hamming(words[:, :1], words[:, cuts]) > 0
    ).mean() > 0.99  # a framing that shows next to nothing repeats it


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
            assert nearest(own, other) <= perceptual.RADIUS - 2, (photo.name, kind)
        away = perceptual.hash_of(stranger)
        assert away is not None
        assert nearest(own, away) > perceptual.RADIUS + 6


def lettered(image: Image.Image) -> Image.Image:
    """A bar with text above the photo and one below, each of another grey: a screenshot, a credit."""
    width, height = image.size
    page = Image.new("RGB", (width, height + height // 3), (250, 250, 250))
    page.paste((40, 40, 40), (0, 0, width, height // 12))
    page.paste(image, (0, height // 6))
    draw = ImageDraw.Draw(page)
    draw.text((8, 2), "12:41", fill="white", font_size=height / 20)
    draw.text((8, height * 0.1), "somebody has seen this", fill="black", font_size=height / 20)
    draw.text((8, height * 1.2), "and 1,024 people like it very much", fill="black", font_size=height / 18)
    return page


def cut(image: Image.Image, draw: random.Random, share: float) -> Image.Image:
    """``share`` of the width and of the height gone, at a random place."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


KINDS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "cut by 5 % somewhere": lambda image, draw: cut(image, draw, 0.05),
    "uploaded again": lambda image, draw: ImageEnhance.Brightness(
        cut(image.resize((image.width // 2, image.height // 2)), draw, 0.05)
    ).enhance(1.15),
    "rotated by 3 degrees": lambda image, draw: image.rotate(draw.choice((-3, 3))),
    "cut by 20 % on one side": lambda image, draw: image.crop(
        (image.width // 5, 0, image.width, image.height)
    ),
    "letterbox": lambda image, draw: ImageOps.pad(image, (image.width, image.height * 5 // 4), color="black"),
    "pillars": lambda image, draw: ImageOps.pad(image, (image.width * 5 // 4, image.height), color="white"),
    "wide border": lambda image, draw: ImageOps.expand(image, image.width // 8, (90, 90, 90)),
    "screenshot": lambda image, draw: lettered(image),
}


@pytest.mark.parametrize("kind", KINDS)
def test_copies_that_people_make_are_within_the_radius(photos: list[Path], kind: str) -> None:
    near = []
    for photo in photos:
        copy = KINDS[kind](Image.open(photo).convert("RGB"), random.Random(f"{kind} {photo.name}"))
        own, other = perceptual.hash_of(photo), perceptual.hash_of(saved(copy, quality=75))
        assert own is not None and other is not None
        near.append(nearest(own, other) <= perceptual.RADIUS)
    assert sum(near) >= 0.95 * len(near)


def test_pages_of_one_layout_with_different_photos_are_strangers(photos: list[Path]) -> None:
    pages = [perceptual.hash_of(saved(lettered(Image.open(photo).convert("RGB")))) for photo in photos]
    for a, b in combinations(pages, 2):
        assert a is not None and b is not None
        assert nearest(a, b) > perceptual.RADIUS


def test_a_sky_is_no_bar_and_a_picture_is_never_bars_alone() -> None:
    noise = np.random.default_rng(3).normal(128, 40, (128, 128)).astype(np.float32)
    land = np.clip((np.arange(128) - 40) / 40, 0, 1)[:, None]
    sky = np.linspace(230, 128, 128, dtype=np.float32)[:, None] * (1 - land) + noise * land
    assert content(sky.astype(np.float32)) == (0, 0, 128, 128)
    framed = np.zeros((128, 128), np.float32)
    framed[30:90, 20:100] = noise[30:90, 20:100] + 60
    assert content(framed) == (30, 20, 90, 100)
    framed[:] = 0
    framed[60:64, 60:64] = 255
    assert content(framed) == (0, 0, 128, 128)


def test_bars_go_alike_in_every_orientation(photos: list[Path]) -> None:
    page = perceptual.grey(saved(lettered(Image.open(photos[3]).convert("RGB"))))
    top, left, bottom, right = content(page)
    assert (top, bottom) != (0, 128)
    assert content(np.ascontiguousarray(page.T)) == (left, top, right, bottom)
    assert content(np.ascontiguousarray(page[::-1])) == (128 - bottom, left, 128 - top, right)


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


def test_a_framing_that_shows_next_to_nothing_repeats_the_whole() -> None:
    rows, columns = np.mgrid[:128, :128].astype(np.float32)
    picture = 100 + rows / 2 + columns / 4
    picture[100:, :20] = 250
    words = perceptual.hashes(picture[None])[0]
    without = perceptual.FRAMINGS.index(perceptual.Framing(left=0.2))
    assert (words[without] == words[0]).all()
