"""The kinds of images that newtest reads: one table for all commands. What is not in it is never opened.

A kind is told by the first bytes of a file, whatever the file is called. Each is opened by the one decoder that belongs
to it, so no other of Pillow's plugins (EPS, which starts Ghostscript, is one) is ever asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec

__all__ = ["HEAD", "KINDS", "SUFFIXES", "Kind", "kind_named", "kind_of", "missing_extra", "suffix_of"]

HEAD = 64
"""So many bytes of a file tell its kind."""


@dataclass(frozen=True)
class Kind:
    """``name`` is Pillow's; of ``suffixes`` the first is the one that newtest writes."""

    name: str
    suffixes: tuple[str, ...]
    media_type: str
    extra: str | None = None
    """The extra of newtest that brings its decoder, where Pillow has none."""


KINDS = (
    Kind("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"), "image/jpeg"),
    Kind("PNG", (".png", ".apng"), "image/png"),
    Kind("WEBP", (".webp",), "image/webp"),
    Kind("GIF", (".gif",), "image/gif"),
    Kind("BMP", (".bmp", ".dib"), "image/bmp"),
    Kind("TIFF", (".tif", ".tiff"), "image/tiff"),
    Kind("PPM", (".ppm", ".pgm", ".pbm", ".pnm"), "image/x-portable-anymap"),
    Kind("AVIF", (".avif", ".avifs"), "image/avif"),
    Kind("HEIF", (".heic", ".heif", ".hif"), "image/heic", "heic"),
)

SUFFIXES = frozenset(suffix for kind in KINDS for suffix in kind.suffixes)
"""Lower case, with their dot. A file with one of them is meant to be an image; others may be one by their bytes."""

_BY_NAME = {"MPO": KINDS[0], **{kind.name: kind for kind in KINDS}}  # MPO: several JPEGs in one file
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_NETPBM = re.compile(rb"P[1-6]\s+(?:#|\d+\s+(?:#|\d+\s))")
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def kind_of(head: bytes) -> Kind | None:
    """The kind that the first ``HEAD`` bytes of a file announce; None for all others."""
    name = next((name for start, name in _STARTS if head.startswith(start)), None)
    if name is None and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WEBP"
    if name is None and head[:2] == b"BM" and len(head) >= 18 and head[14] in (12, 40, 52, 56, 64, 108, 124):
        name = "BMP"  # two letters alone begin many texts: the size of the second header tells
    if name is None and _NETPBM.match(head):
        name = "PPM"  # a caption may begin with "P1 " too: two numbers or a comment must follow
    if name is None and head[4:8] == b"ftyp":
        name = _of_brands(head)
    return _BY_NAME[name] if name else None


def _of_brands(head: bytes) -> str | None:
    """ISO 14496-12: a box of four letters, the major brand, a version, and the brands that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF:
        return "AVIF"
    return "HEIF" if brands & _HEIC or b"mif1" in brands else None


def kind_named(name: str) -> Kind | None:
    """The kind by Pillow's name of it, as catalogs and results keep it."""
    return _BY_NAME.get(name)


def suffix_of(name: str) -> str:
    """The suffix that a file of this kind gets; ``.bin`` for any other kind."""
    kind = _BY_NAME.get(name)
    return kind.suffixes[0] if kind else ".bin"


def missing_extra(kind: Kind) -> str | None:
    """The extra that must be installed before this kind can be read; None where it can be."""
    return kind.extra if kind.extra and find_spec("pillow_heif") is None else None
