from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.images import bomb_png, made_photo

from newtest.errors import ImageError
from newtest.images import ImageLimits, check, shown, thumbnail


def encoded(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def kind_of(data: bytes, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        check(data, limits)
    return caught.value.kind


def test_every_shared_photo_is_accepted_with_pillows_own_size(data: Path) -> None:
    for path in sorted((data / "images").iterdir())[:60]:
        with PIL.Image.open(path) as image:
            expected = image.size
        info = check(path.read_bytes())
        assert (info.format, info.width, info.height) == ("JPEG", *expected)


def test_what_is_refused_has_a_kind() -> None:
    photo = made_photo(1)
    noise = encoded(PIL.Image.effect_noise((64, 64), 50), "PNG")
    assert kind_of(b"") == "empty"
    assert kind_of(b"<html>hello</html>") == "not-an-image"
    assert kind_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == "not-an-image"
    assert kind_of(photo[: len(photo) // 2]) == "truncated"
    assert kind_of(noise[: len(noise) // 2]) == "truncated"
    assert kind_of(photo, ImageLimits(max_bytes=100)) == "too-many-bytes"
    assert kind_of(photo, ImageLimits(max_pixels=160 * 120 - 1)) == "too-many-pixels"
    assert check(photo, ImageLimits(max_pixels=160 * 120)).width == 160
    assert kind_of(photo[:40]) in ("not-an-image", "undecodable")


@pytest.mark.parametrize("side", [9_400, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    """Below, between and above the sizes at which Pillow itself warns and refuses."""
    assert kind_of(bomb_png(side)) == "too-many-pixels"


def test_an_image_of_endless_empty_pieces_is_refused_before_it_costs_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Markers, fill bytes, chunks, comments: a million pieces are allowed, here ten thousand."""
    monkeypatch.setattr("newtest.images.opening._Counted._left", 10_000)
    jpeg, picture = made_photo(1), PIL.Image.new("P", (8, 8))
    png, gif = encoded(picture, "PNG"), encoded(picture, "GIF")
    chunk = struct.pack(">I4sI", 0, b"xxXx", zlib.crc32(b"xxXx"))
    start = gif.index(b",")
    for image, place, piece in (
        *((jpeg, 2, piece) for piece in (b"\xff\xe1\x00\x02", b"\xff\xfe\x00\x02", b"\xff", b"\xff\xd0")),
        (png, 33, chunk),
        (gif, start, b"!\xfe\x01a\x00"),
    ):
        assert check(image[:place] + piece * 300 + image[place:]) == check(image)
        with pytest.raises(ImageError, match="pieces"):
            check(image[:place] + piece * 20_000 + image[place:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_in_what_is_shown(orientation: int) -> None:
    corner = PIL.Image.new("RGB", (60, 40), "white")
    corner.paste("red", (0, 0, 20, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encoded(corner, "JPEG", exif=exif, quality=95, subsampling=0)
    expected = {5: (40, 60), 6: (40, 60), 7: (40, 60), 8: (40, 60)}.get(orientation, (60, 40))
    info = check(data)
    image = shown(data)
    assert (info.width, info.height) == image.size == expected
    width, height = expected
    corners = {1: (5, 5), 2: (-5, 5), 3: (-5, -5), 4: (5, -5), 5: (5, 5), 6: (-5, 5), 7: (-5, -5), 8: (5, -5)}
    x, y = corners[orientation]
    red, green, _ = image.getpixel((x % width, y % height))  # type: ignore[misc]
    assert red > 200 and green < 80


def test_a_png_may_tell_its_orientation_behind_its_pixels() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    before = encoded(PIL.Image.new("RGB", (60, 40)), "PNG", exif=exif)
    start = before.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(before[start : start + 4], "big")
    behind = before[:start] + before[end:-12] + before[start:end] + before[-12:]
    for data in (before, behind):
        assert (check(data).width, check(data).height) == shown(data).size == (40, 60)


@pytest.mark.parametrize(
    "image",
    [
        PIL.Image.new("RGBA", (30, 20), (0, 0, 0, 0)),
        PIL.Image.new("LA", (30, 20), (0, 0)),
        PIL.Image.new("I;16", (30, 20), 65535),
        PIL.Image.new("1", (30, 20), 1),
    ],
    ids=lambda image: image.mode,
)
def test_any_mode_is_shown_as_rgb_over_white(image: PIL.Image.Image) -> None:
    result = shown(encoded(image, "PNG"))
    assert result.mode == "RGB"
    assert min(result.getpixel((3, 3))) >= 254  # type: ignore[arg-type,type-var]


def test_a_palette_with_transparency_a_cmyk_and_other_formats_are_shown() -> None:
    rgb = PIL.Image.linear_gradient("L").convert("RGB")
    assert shown(encoded(rgb.quantize(8), "PNG", transparency=0)).mode == "RGB"
    assert shown(encoded(rgb.convert("CMYK"), "JPEG")).mode == "RGB"
    for form in ("GIF", "WEBP", "BMP", "PNG"):
        assert check(encoded(rgb, form)).format == form
        assert shown(encoded(rgb, form)).size == (256, 256)


def test_a_thumbnail_fits_and_never_grows(data: Path) -> None:
    big = (data / "images" / "n01443537_goldfish.JPEG").read_bytes()
    with PIL.Image.open(io.BytesIO(thumbnail(big, 100))) as small:
        assert max(small.size) == 100
    with PIL.Image.open(io.BytesIO(thumbnail(made_photo(1), 320))) as same:
        assert same.size == (160, 120)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_does_not_lose_the_picture() -> None:
    data = encoded(
        PIL.Image.new("RGB", (20, 20)), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01"
    )
    assert check(data).width == 20
    assert shown(data).size == (20, 20)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=80, deadline=None)
@given(
    original=st.sampled_from([made_photo(3), encoded(PIL.Image.linear_gradient("L"), "PNG")]),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20
    ),
)
def test_bytes_changed_anywhere_never_raise_anything_else(
    original: bytes, changes: list[tuple[float, int]]
) -> None:
    broken = bytearray(original)
    for place, value in changes:
        broken[int(place * len(broken))] = value
    try:
        info, small = check(bytes(broken)), thumbnail(bytes(broken), 64)
    except ImageError as error:
        assert error.kind
    else:
        assert info.width > 0 and small
