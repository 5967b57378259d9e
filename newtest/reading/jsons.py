r"""JSON of strangers: not too deep, its numbers within 64 bits, its texts valid Unicode.

Python's own reader recurses until its stack is full, hands on halves of surrogate pairs (``"\ud800"``), which no file
or database can hold, and whole numbers of any length, which they cannot hold either.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any

from newtest.reading.failures import Unreadable, translated
from newtest.reading.texts import MOST_TEXT, read_bytes

__all__ = ["MOST_DEPTH", "parse_json", "read_json"]

MOST_DEPTH = 100
"""Lists and objects inside each other. Files of the field have fewer than ten."""

# A string without an end reaches to the end of the text: each character is looked at once, whatever the text is.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_LONG = re.compile(r"[0-9]{19}")


def parse_json(data: str | bytes) -> Any:
    """The value of a JSON text (bytes: UTF-8, or UTF-16 and UTF-32 as RFC 4627 tells them apart).

    Half of a surrogate pair becomes U+FFFD. Raises Unreadable (a ValueError).
    """
    text = data if isinstance(data, str) else _decoded(data)
    if _depth(text) > MOST_DEPTH:
        raise Unreadable(f"lists or objects nested too deep, more than {MOST_DEPTH}")
    if _HALF.search(text):
        text = _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
    whole = _whole if _LONG.search(text) else None
    try:
        return json.loads(text, parse_int=whole)
    except (json.JSONDecodeError, Unreadable):
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error) or type(error).__name__) from error


def read_json(path: Path, most: int = MOST_TEXT) -> Any:
    """The value in a file; a byte order mark is dropped. Raises OSError and Unreadable or another ValueError."""
    return parse_json(read_bytes(path, most))


def _decoded(data: bytes) -> str:
    with translated("text"):
        text = bytes(data).decode(json.detect_encoding(data))
    return text.removeprefix("\ufeff")


def _depth(text: str) -> int:
    """How deep its brackets go, those inside strings left out; looked for only where there are so many at all."""
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return 0
    bare = _STRING.sub("", text).encode("ascii", "replace").translate(None, _NO_BRACKETS)
    return max(accumulate(map(_BRACKETS.__getitem__, bare)), default=0)


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) <= 20 else None
    if value is None or not -(1 << 63) <= value < 1 << 64:
        raise Unreadable(f"a whole number of {len(digits.lstrip('-'))} digits; write long ids as texts")
    return value
