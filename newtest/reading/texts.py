"""Whole files as bytes or text, up to a limit."""

from __future__ import annotations

from pathlib import Path

from newtest.reading.failures import Unreadable

__all__ = ["MOST_TEXT", "read_bytes", "read_text"]

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
    """A file in UTF-8, without its byte order mark. Raises OSError, UnicodeDecodeError and Unreadable."""
    return read_bytes(path, most).decode("utf-8-sig")
