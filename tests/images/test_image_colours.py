"""What is shown of deep, turned and coloured pictures, against formulas written out here."""

from __future__ import annotations

import io
import struct

import numpy as np
import PIL.Image
import pytest
from icc_profiles import ADOBE_RGB, DISPLAY_P3, SRGB, profile, srgb_of

from newtest.errors import ImageError
from newtest.images import check, encode_jpeg, luma, shown

COLOURS = np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def encoded(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def tiff(
    values: np.ndarray, *, bits: int, photometric: int = 1, sample_format: int = 1, turn: int = 1
) -> bytes:
    """A grey TIFF 6.0 in one strip, little-endian, by its specification."""
    height, width = values.shape[:2]
    data = values.tobytes()
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
        (274, 3, turn), (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    directory = struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0\0\0\0"


@pytest.mark.parametrize("space", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_a_profile_is_applied_and_the_bytes_stay(space: tuple[tuple[float, float], ...], form: str) -> None:
    told = profile(space, 2.2)
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(PIL.Image.fromarray(COLOURS), form, icc_profile=told, **options)
    image = shown(data)
    expected = srgb_of(COLOURS, space, 563 / 256)
    assert np.abs(np.asarray(image) - expected).max() < 2.5
    assert np.abs(np.asarray(image).astype(int) - COLOURS).max() > 20  # and that is a visible difference
    assert "icc_profile" not in image.info and told not in encode_jpeg(image)
    clear = encoded(
        PIL.Image.fromarray(np.dstack([COLOURS, np.full((16, 16), 255, np.uint8)])), "PNG", icc_profile=told
    )
    assert np.array_equal(
        np.asarray(shown(clear)),
        np.asarray(shown(encoded(PIL.Image.fromarray(COLOURS), "PNG", icc_profile=told))),
    )


def test_a_profile_that_is_srgbs_own_or_nonsense_changes_nothing() -> None:
    image = PIL.Image.fromarray(COLOURS)
    srgb = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    cut = profile(DISPLAY_P3, 2.2)[:200]
    grey = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("LAB")).tobytes()
    for told in (srgb, cut, grey, b"nonsense", b"\0" * 500):
        assert np.array_equal(np.asarray(shown(encoded(image, "PNG", icc_profile=told))), COLOURS)
    assert np.array_equal(np.asarray(shown(encoded(image, "PNG"))), COLOURS)


def test_grey_of_sixteen_bits_is_scaled_by_one_rule_in_every_kind() -> None:
    """0 is black, 65535 white, linear between, rounded: v * 255 / 65535."""
    values = np.linspace(0, 65535, 64 * 3).astype(np.uint16).reshape(3, 64)
    expected = np.round(values / 257.0).astype(np.uint8)
    deep = PIL.Image.fromarray(values)
    assert deep.mode == "I;16"
    swapped = b"P5 64 3 65535\n" + values.astype(">u2").tobytes()
    files = {
        "png": encoded(deep, "PNG"), "tiff": encoded(deep, "TIFF"), "ppm": swapped,
        "own tiff": tiff(values, bits=16), "inverted": tiff(65535 - values, bits=16, photometric=0),
        "lzw": encoded(deep, "TIFF", compression="tiff_lzw"),
    }  # fmt: skip
    for name, data in files.items():
        assert check(data).width == 64, name
        levels = np.asarray(shown(data))
        assert np.array_equal(levels[..., 0], expected) and np.array_equal(levels[..., 2], expected), name


def test_one_transparent_value_of_sixteen_bit_grey_is_white_and_the_others_stay() -> None:
    values = np.array([[0, 1000, 30000, 65535]], np.uint16).repeat(4, axis=0)
    plain = encoded(PIL.Image.fromarray(values), "PNG")
    place = plain.index(b"IDAT") - 4
    import zlib

    body = b"tRNS" + struct.pack(">H", 30000)
    data = plain[:place] + struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body)) + plain[place:]
    assert np.asarray(shown(data))[0, :, 0].tolist() == [0, 4, 255, 255]
    assert np.asarray(shown(plain))[0, :, 0].tolist() == [0, 4, 117, 255]


def test_a_transparent_colour_of_sixteen_bits_is_white() -> None:
    """A PNG of 16 bits a channel: Pillow keeps the upper eight, the transparent colour must be cut like it."""
    import zlib

    chunk = lambda name, body: (  # noqa: E731
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    )
    row = struct.pack(">6H", 40000, 20000, 10000, 65535, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">3H", 40000, 20000, 10000)) + chunk(
        b"IDAT", zlib.compress(b"\0" + row)
    )
    assert np.asarray(shown(data + chunk(b"IEND", b""))).tolist() == [[[255, 255, 255], [255, 0, 0]]]


@pytest.mark.parametrize(
    "data",
    [
        tiff(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8), bits=32, sample_format=3),
        tiff(np.arange(64, dtype=np.uint32).reshape(8, 8), bits=32),
        tiff(np.arange(64, dtype=np.int16).reshape(8, 8), bits=16, sample_format=2),
        tiff(np.arange(64, dtype=np.int8).reshape(8, 8), bits=8, sample_format=2),
    ],
    ids=["fractions", "32 bits", "signed", "8 bits, signed"],
)
def test_values_of_which_none_is_white_by_rule_are_refused_by_check_and_shown_alike(data: bytes) -> None:
    for look in (check, shown):
        with pytest.raises(ImageError, match="nothing says which is white") as caught:
            look(data)
        assert caught.value.kind == "unsupported-depth"


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "jpeg"])
def test_a_tiff_is_turned_once(turn: int, compression: str | None) -> None:
    """TIFF 6.0, Orientation: what is stored as the first row and column, for each value."""
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :20] = (255, 0, 0)
    upright[:20, 40:] = (0, 0, 255)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[turn]  # fmt: skip
    data = encoded(
        PIL.Image.fromarray(np.ascontiguousarray(stored)),
        "TIFF",
        tiffinfo={274: turn},
        compression=compression,
    )
    info, image = check(data), np.asarray(shown(data)).astype(int)
    assert (info.width, info.height) == (60, 40) and image.shape == (40, 60, 3)
    assert np.abs(image - upright).max() < (100 if compression == "jpeg" else 1)
    assert (
        np.abs(
            np.asarray(luma(data, 32)).astype(int)
            - np.asarray(luma(encoded(PIL.Image.fromarray(upright), "PNG"), 32))
        ).max()
        < 12
    )


def test_cmyk_and_grey_jpegs_and_cmyk_tiffs_are_shown_as_rgb() -> None:
    flat = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for data in (encoded(flat, "JPEG", quality=95), encoded(flat, "TIFF")):
        assert np.abs(np.asarray(shown(data)).astype(int) - (255, 0, 0)).max() <= 3
    assert shown(encoded(PIL.Image.new("L", (16, 16), 77), "JPEG")).getpixel((3, 3)) == (77, 77, 77)


def test_nothing_of_a_strangers_metadata_is_passed_on() -> None:
    image = PIL.Image.fromarray(COLOURS)
    exif = PIL.Image.Exif()
    exif[270] = "SECRET-PLACE"
    data = encoded(image, "JPEG", exif=exif, comment=b"SECRET-COMMENT", icc_profile=profile(SRGB, 2.2))
    assert b"SECRET-PLACE" in data and b"SECRET-COMMENT" in data
    assert b"SECRET" not in encode_jpeg(shown(data)) and shown(data).info == {}
