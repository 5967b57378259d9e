"""Bytes at the peak, measured in a process of its own: nothing decodes beyond its budget."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from newtest.errors import ImageError
from newtest.images import ImageLimits, check, memory, shown, thumbnail

MIB = 2**20
LOOK = """
import sys
from newtest.errors import ImageError
from newtest.images import ImageLimits, check, shown, luma, thumbnail
import newtest.images, PIL.Image, io
for kind in {form!r}, "PNG":  # whatever is loaded once is loaded before
    small = io.BytesIO(); PIL.Image.new("RGB", (16, 16)).save(small, kind); shown(small.getvalue())
data = open(sys.argv[1], "rb").read()
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024
open("/proc/self/clear_refs", "w").write("5")
before, said = peak(), "fine"
for look in (check, shown, lambda data: thumbnail(data, 320), lambda data: luma(data, 128)):
    try:
        look(data)
    except ImageError as error:
        said = error.kind
print(peak() - before, said)
"""


def measured(data: bytes, tmp_path: Path, form: str = "PNG") -> tuple[int, str]:
    """(MiB at the peak, what was said) of every way to look at these bytes."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", LOOK.format(form=form), str(path)], capture_output=True, text=True, check=True
    )
    peak, said = run.stdout.split()
    return int(peak), said


def png(width: int, height: int, colour: int, channels: int) -> bytes:
    """A picture of zeros in PNG: 1 MB of file for gigabytes of pixels."""
    chunk = lambda name, body: (  # noqa: E731
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    )
    squeeze = zlib.compressobj(1)
    rows = b"\0" * (1 + width * channels) * 64
    body = b"".join(squeeze.compress(rows) for _ in range(height // 64)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", width, height // 64 * 64, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def webp_bomb() -> bytes:
    """34 bytes that announce 16384 x 16384 pixels: an extended header and an empty chunk of pixels."""
    side = (16384 - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + side + side
    return b"RIFF" + struct.pack("<I", len(body) + 4) + body + b"ANIM"


def lossless_bomb() -> bytes:
    bits = (16383) | (16383 << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", bits) + b"\0" * 5
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "data",
    [webp_bomb(), lossless_bomb(), png(10_000, 10_048, 2, 3)],
    ids=["webp of 34 bytes", "lossless webp", "png of 100 megapixels"],
)
def test_a_bomb_is_a_reason_and_costs_next_to_nothing(data: bytes, tmp_path: Path) -> None:
    peak, said = measured(data, tmp_path)
    assert said in ("too-many-pixels", "too-much-memory") and peak < 16


@pytest.mark.parametrize(
    ("width", "height", "colour", "channels", "expected"),
    [
        (5_000, 6_400, 6, 4, "fine"),  # 32 megapixels with transparency: 244 MiB
        (8_000, 8_000, 6, 4, "too-much-memory"),
        (8_900, 8_960, 4, 2, "too-much-memory"),
    ],
)
def test_a_png_stays_within_the_budget_or_is_refused_by_its_header(
    width: int, height: int, colour: int, channels: int, expected: str, tmp_path: Path
) -> None:
    peak, said = measured(png(width, height, colour, channels), tmp_path)
    assert said == expected
    assert peak < (280 if expected == "fine" else 16)


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "TIFF", "GIF", "JPEG", "HEIF"])
def test_every_kind_at_a_budget_of_its_own_size_stays_within_it(form: str, tmp_path: Path) -> None:
    """What is reckoned from the header is no less than what is measured, and not several times as much."""
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    noise = np.random.default_rng(1).integers(0, 255, (30, 40, 4), dtype=np.uint8)
    picture = PIL.Image.fromarray(noise).resize((2000, 1500))
    options: dict[str, dict[str, object]] = {
        "WEBP": {"method": 0}, "AVIF": {"speed": 10, "subsampling": "4:4:4"},
            "TIFF": {"compression": "tiff_lzw", "tiffinfo": {274: 6}},
        "JPEG": {"progressive": True, "subsampling": 0}, "HEIF": {"quality": 20},
    }  # fmt: skip
    buffer = io.BytesIO()
    mode = {"JPEG": "RGB", "GIF": "L"}.get(form, "RGBA")
    picture.convert(mode).save(buffer, form, **options.get(form, {}))
    from newtest.images.opening import open_image

    needed = open_image(buffer.getvalue(), ImageLimits()).needed // MIB
    peak, said = measured(buffer.getvalue(), tmp_path, form if form != "HEIF" else "PNG")
    assert said == "fine" and peak <= needed + 12
    with pytest.raises(ImageError) as caught:
        check(buffer.getvalue(), ImageLimits(max_memory=4 * MIB))
    assert caught.value.kind == "too-much-memory" or form == "JPEG"


def test_a_jpeg_too_large_for_its_budget_is_decoded_at_a_part_of_its_sides() -> None:
    """check() and shown() must agree, so the photo of a large sensor is not a failure; its size is told as it is."""
    buffer = io.BytesIO()
    PIL.Image.linear_gradient("L").convert("RGB").resize((801, 601)).save(buffer, "JPEG")
    data, limits = buffer.getvalue(), ImageLimits(max_memory=801 * 601 * 4 - 1)
    info, image = check(data, limits), shown(data, limits=limits)
    assert (info.width, info.height) == (801, 601) and image.size == (401, 301)
    assert shown(data).size == (801, 601) and max(thumbnail_size(data, limits)) == 320


def thumbnail_size(data: bytes, limits: ImageLimits) -> tuple[int, int]:
    return shown(data, within=320, limits=limits).size


def test_no_more_pictures_are_decoded_at_once_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_shared", lambda: 100)
    inside, most, failed = [], [0], []

    def work() -> None:
        for _ in range(20):
            with memory.room(40):
                inside.append(1)
                most[0] = max(most[0], len(inside))
                inside.pop()
        try:
            with memory.room(1000):  # alone, when the others are done with theirs
                failed.extend(inside)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most[0] <= 2 and failed == [] and memory._taken == 0
    assert memory.parallel(8) == 1
    assert thumbnail(png(640, 640, 6, 4), 32)
