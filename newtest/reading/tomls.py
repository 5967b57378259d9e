"""TOML of strangers, with limits on size and depth."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from newtest.reading.failures import Unreadable, translated

__all__ = ["MOST_TOML", "parse_toml"]

MOST_TOML = 16 << 20
"""Bytes; a file of all classes of ImageNet-21k has 3 MB."""
_MOST_PARTS = 64
# Each part of a dotted key is a table inside another, and Python's reader takes time by the square of their number.
_DOTTED = re.compile(
    r"""(?:^|[\[{,])[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){64}""", re.MULTILINE
)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises Unreadable (a ValueError), or its kin tomllib.TOMLDecodeError."""
    if len(text) > MOST_TOML:
        raise Unreadable(f"more than {MOST_TOML >> 20} MiB of TOML")
    if _DOTTED.search(text):
        raise Unreadable(f"a key of more than {_MOST_PARTS} parts")
    with translated("TOML"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            wrong = error
    raise wrong
