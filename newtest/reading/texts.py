"""Whole files as bytes or text, up to a limit."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from newtest.reading.failures import Unreadable

__all__ = ["MOST_TEXT", "lines_of", "read_bytes", "read_lines", "read_text", "text_of"]

MOST_TEXT = 1 << 30
"""Bytes of a text that is read as a whole. ImageNetV2's largest JSON has 200 MB."""


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """A file of at most ``most`` bytes, also one without a size (a pipe, a device). Raises OSError, and Unreadable for
    a larger one and for a path that no file can have.
    """
    try:
        with open(path, "rb") as handle:
            data = handle.read(most + 1)
    except ValueError as error:  # NUL, or half of a surrogate pair, in the path
        raise Unreadable(f"no file can have this name: {error}") from error
    if len(data) > most:
        raise Unreadable(f"more than {most >> 20:,} MiB, which is more than is read of such a file at once")
    return data


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """A file in UTF-8, or in UTF-16 with its mark, without the mark. Raises OSError, UnicodeDecodeError, Unreadable."""
    return text_of(read_bytes(path, most))


def text_of(data: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark, without the mark. Raises UnicodeDecodeError."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file. Raises as ``read_text`` does."""
    return lines_of(read_text(path))


def lines_of(text: str) -> list[str]:
    r"""Lines that end in ``\n``, ``\r\n`` or ``\r``, and in nothing else: a caption or a name may hold U+2028, U+0085
    and others, at which ``str.splitlines`` parts too.
    """
    lines = re.split(r"\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]
