"""The table of kinds: each is read whatever its file is called, and nothing beyond it is ever opened."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from newtest.errors import ImageError
from newtest.hashes import grey
from newtest.images import KINDS, SUFFIXES, check, kind_of, luma, shown, thumbnail
from newtest.images import kinds as table

PICTURE = PIL.Image.fromarray(np.random.default_rng(1).integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
    (80, 60)
)


def encoded(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def made(form: str, **options: object) -> bytes:
    if form == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.register_heif_opener()
    return encoded(PICTURE, form, **options)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_the_table_is_recognised_by_its_bytes_and_read(kind: table.Kind) -> None:
    data = made(kind.name)
    assert kind_of(data[: table.HEAD]) is kind
    info = check(data)
    assert (info.format, info.width, info.height, info.animated) == (kind.name, 80, 60, False)
    assert np.abs(np.asarray(shown(data)).astype(int) - np.asarray(PICTURE)).mean() < 12
    assert luma(data, 16).size == (16, 16) and thumbnail(data, 20)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_pictures_the_first_is_shown_and_that_is_told(form: str) -> None:
    second = PIL.Image.new("RGB", PICTURE.size, "red")
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(PICTURE, form, save_all=True, append_images=[second, second], **options)
    assert check(data).animated
    assert np.abs(np.asarray(shown(data)).astype(int) - np.asarray(PICTURE)).mean() < 12
    assert not check(encoded(PICTURE, form)).animated


OTHERS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n",
    **{
        form: encoded(PICTURE.convert(mode), form)
        for form, mode in (
            ("TGA", "RGB"), ("ICO", "RGB"), ("PCX", "RGB"), ("SGI", "RGB"), ("XBM", "1"),
            ("JPEG2000", "RGB"), ("DDS", "RGB"), ("ICNS", "RGBA"), ("MSP", "1"), ("SPIDER", "F"), ("QOI", "RGB"),
        )
    },
    "PSD": b"8BPS\0\1" + b"\0" * 60, "WMF": b"\xd7\xcd\xc6\x9a" + b"\0" * 60, "FITS": b"SIMPLE  =" + b" " * 80,
}  # fmt: skip


@pytest.mark.parametrize("form", OTHERS)
def test_no_other_plugin_of_pillows_is_ever_asked(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for name, (_, accept) in list(PIL.Image.OPEN.items()):
        if name not in {kind.name for kind in KINDS}:
            spy = lambda *args, _name=name, **options: asked.append(_name)  # noqa: E731
            monkeypatch.setitem(PIL.Image.OPEN, name, (spy, spy if accept else accept))
    for look in (check, shown, grey, lambda data: thumbnail(data, 32)):
        with pytest.raises(ImageError) as caught:
            look(OTHERS[form])
        assert caught.value.kind == "not-an-image"
    assert asked == []


def test_a_text_that_begins_like_an_image_is_none() -> None:
    for text in (
        b"BMW makes cars, they say, and sells them",
        b"P1: the first point of it",
        b"P7\nWIDTH 1",
        b"GIF89",
    ):
        with pytest.raises(ImageError) as caught:
            check(text)
        assert caught.value.kind == "not-an-image", text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_is_always_an_image_error(kind: table.Kind) -> None:
    data, random = made(kind.name), np.random.default_rng(3)
    for _ in range(60):
        broken = bytearray(data)
        for place in random.integers(8, len(data), 6):
            broken[place] = random.integers(256)
        for piece in (bytes(broken), bytes(broken)[: random.integers(1, len(data))]):
            for look in (check, shown, grey):
                try:
                    look(piece)
                except ImageError as error:
                    assert error.kind and str(error)


def test_a_heic_without_its_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made("HEIF")
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r'pip install "newtest\[heic\]"') as caught:
        check(data)
    assert caught.value.kind == "needs-extra"


def test_the_core_is_imported_without_the_extra() -> None:
    code = "import sys, newtest.images; assert 'pillow_heif' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_suffixes_are_lower_case_and_belong_to_one_kind() -> None:
    every = [suffix for kind in KINDS for suffix in kind.suffixes]
    assert len(every) == len(set(every)) == len(SUFFIXES)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in every)


def test_a_lint_rule_forbids_to_open_images_elsewhere(tmp_path: Path) -> None:
    """The rule is in pyproject.toml; here it is shown to bite, and the one door is the only exception."""
    root = Path(__file__).parents[2]
    bad = tmp_path / "newtest" / "elsewhere.py"
    bad.parent.mkdir()
    bad.write_text("import PIL.Image\nfrom PIL import Image\nImage.open('x')\nPIL.Image.open('x')\n")
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--config",
        str(root / "pyproject.toml"),
        "--select",
        "TID251",
    ]
    found = subprocess.run([*command, str(bad)], capture_output=True, text=True)
    assert found.stdout.count("TID251") == 2, found.stdout + found.stderr
    assert subprocess.run([*command, str(root / "newtest")], capture_output=True).returncode == 0
