"""Files of strangers, opened: not there, a Git LFS pointer, compressed, with a byte order mark. One place for all."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from newtest.errors import EvaluationError
from newtest.files import open_bytes
from newtest.reading.texts import read_at_most, text_of

__all__ = ["check", "read_text"]

_POINTER = b"version https://git-lfs.github.com/spec/"
MOST_TEXT = 2 << 30
"""Bytes of text that a file may unpack to."""


def check(path: Path) -> None:
    """Raises EvaluationError for a file that is not there, and for a pointer in the place of the file."""
    try:
        with open_bytes(path) as handle:
            start = handle.read(len(_POINTER))
    except FileNotFoundError:
        raise EvaluationError(f"{path}: no such file") from None
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error.strerror or error})") from error
    if start == _POINTER:
        raise EvaluationError(f"{path}: a Git LFS pointer, not the file itself; fetch it with: git lfs pull")


def read_text(path: Path) -> str:
    """A text file (also gzip) in UTF-8, or UTF-16 with its mark. Raises EvaluationError with the file's name."""
    check(path)
    try:
        if path.suffix.lower() == ".gz":
            with open_bytes(path) as packed, gzip.open(packed) as handle:
                data = read_at_most(handle, MOST_TEXT)
        else:
            with open_bytes(path) as plain:
                data = read_at_most(plain, MOST_TEXT)
        if len(data) > MOST_TEXT:
            raise EvaluationError(f"{path}: more than {MOST_TEXT >> 30} GiB of text")
        return text_of(data)
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: not text in UTF-8 (byte {error.start})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise EvaluationError(f"{path}: cannot be read ({error})") from error
