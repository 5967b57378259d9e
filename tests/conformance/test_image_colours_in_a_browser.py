"""Pixels as ``newtest.images.shown`` gives them against Chromium's, which decodes and manages colour with other code
(Skia, libwebp, dav1d): drawn on a canvas in sRGB over white, and read back.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
from crowd_browser import chromium
from icc_profiles import ADOBE_RGB, DISPLAY_P3, profile

from newtest.images import shown

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

DRAW = """async (address) => {
  const image = new Image(); image.src = address; await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", {colorSpace: "srgb"});
  context.fillStyle = "white"; context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return [canvas.width, canvas.height, Array.from(data)];
}"""
PICTURE = PIL.Image.fromarray(np.random.default_rng(2).integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize(
    (48, 32), PIL.Image.Resampling.BICUBIC
)
ALPHA = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))


def encoded(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return exif


def deep_grey_with_a_clear_value() -> bytes:
    chunk = lambda name, body: (  # noqa: E731
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    )
    values = np.linspace(0, 65535, 48).astype(">u2")
    rows = (b"\0" + values.tobytes()) * 32
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 32, 16, 0, 0, 0, 0))
    data += chunk(b"tRNS", values[20:21].tobytes()) + chunk(b"IDAT", zlib.compress(rows))
    return data + chunk(b"IEND", b"")


with_alpha = PICTURE.copy()
with_alpha.putalpha(PIL.Image.fromarray(ALPHA))
FILES: dict[str, tuple[bytes, str, float]] = {
    "jpeg": (encoded(PICTURE, "JPEG", quality=95, subsampling=0), "image/jpeg", 3),
    "display p3 png": (encoded(PICTURE, "PNG", icc_profile=profile(DISPLAY_P3, 2.2)), "image/png", 3),
    "adobe rgb png": (encoded(PICTURE, "PNG", icc_profile=profile(ADOBE_RGB, 2.2)), "image/png", 3),
    "display p3 jpeg": (
        encoded(PICTURE, "JPEG", quality=95, subsampling=0, icc_profile=profile(DISPLAY_P3, 2.2)), "image/jpeg", 4,
    ),
    "adobe rgb webp": (
        encoded(PICTURE, "WEBP", lossless=True, icc_profile=profile(ADOBE_RGB, 2.2)), "image/webp", 3,
    ),
    "display p3 with alpha": (
        encoded(with_alpha, "PNG", icc_profile=profile(DISPLAY_P3, 2.2)), "image/png", 4,
    ),
    "alpha": (encoded(with_alpha, "PNG"), "image/png", 2),
    "alpha webp": (encoded(with_alpha, "WEBP", lossless=True), "image/webp", 2),
    "gif": (encoded(PICTURE.quantize(32), "GIF"), "image/gif", 1),
    "bmp": (encoded(PICTURE, "BMP"), "image/bmp", 1),
    "avif": (encoded(PICTURE, "AVIF", quality=95, subsampling="4:4:4"), "image/avif", 6),
    "deep grey": (deep_grey_with_a_clear_value(), "image/png", 2),
    **{
        f"orientation {turn}": (encoded(PICTURE, "JPEG", quality=95, exif=turned(turn)), "image/jpeg", 3)
        for turn in range(2, 9)
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


@pytest.mark.parametrize("name", FILES)
def test_what_is_shown_is_what_a_browser_shows(name: str, page: Page) -> None:
    data, media_type, most = FILES[name]
    address = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    width, height, levels = page.evaluate(DRAW, address)
    theirs = np.array(levels).reshape(height, width, 4)[..., :3]
    ours = np.asarray(shown(data)).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= most
