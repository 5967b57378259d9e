"""Whole files as bytes or text, up to a limit."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Protocol

from newtest.files import open_bytes
from newtest.reading.failures import Unreadable

__all__ = ["MOST_TEXT", "lines_of", "read_at_most", "read_bytes", "read_lines", "read_text", "text_of"]

MOST_TEXT = 1 << 30
"""Bytes of a text that is read as a whole. ImageNetV2's largest JSON has 200 MB."""
_PIECE = 1 << 20


class Readable(Protocol):
    """What gives up to ``size`` bytes, and no bytes at its end."""

    def read(self, size: int, /) -> bytes: ...


def read_at_most(handle: Readable, most: int) -> bytes:
    """What is there, up to one byte beyond ``most``. Memory is taken as bytes come: ``handle.read(most + 1)`` would
    take all of it before the first.
    """
    pieces: list[bytes] = []
    left = most + 1
    while left > 0 and (piece := handle.read(min(left, _PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """A file of at most ``most`` bytes, no pipe or device. Raises OSError, and Unreadable for a larger one and for
    a path that no file can have.
    """
    try:
        with open_bytes(path) as handle:
            data = read_at_most(handle, most)
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
