"""Text of strangers: UTF-8, or converted on demand, or an error that names the file; never a replaced character."""

from __future__ import annotations

import codecs

from newtest.errors import PoolError, UsageError

__all__ = ["checked_encoding", "decoded"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def checked_encoding(name: str | None) -> str | None:
    """The encoding, None for none; raises UsageError for a name that Python does not know."""
    try:
        return None if name is None else codecs.lookup(name).name
    except LookupError:
        raise UsageError(
            f"`encoding` {name!r} is not one that Python knows, such as latin-1 or cp1252"
        ) from None


def decoded(data: bytes, where: str, encoding: str | None = None) -> str:
    """The text of a file: by its byte order mark, else as UTF-8, else in ``encoding``. Raises PoolError."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _as(data, name, where)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            return _as(data, encoding, where)
        raise PoolError(
            f"{where}: not UTF-8 (byte 0x{data[error.start]:02x} at {error.start:,}); save it as UTF-8, or give the "
            "encoding that it has as `encoding` (latin-1, cp1252, shift_jis, ...)"
        ) from None


def _as(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise PoolError(
            f"{where}: not {encoding} ({error}); give the encoding that it has as `encoding`"
        ) from error
