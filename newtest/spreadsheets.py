"""Spreadsheets: cells of strangers' texts that are not formulas, and tables as spreadsheet programs write them.

The titles, owners and licences of photos are whatever somebody typed. One that begins like a formula gets an apostrophe
before it, as OWASP advises (owasp.org/www-community/attacks/CSV_Injection); numbers never do. So that reading gives
back exactly what was written, a text that begins with apostrophes and then like a formula gets one more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from newtest.files import open_bytes, open_text
from newtest.reading.separated import first_row, read_separated

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TEXTS", "Sheet", "guarded", "read_sheet", "sheet_of", "unguarded"]

DELIMITERS = (",", ";", "\t")
MOST_HEADER = 1 << 20
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

TEXTS = ("title", "license", "owner")
"""The columns that hold what strangers typed. Ids are of letters, digits and ``_ . : -``, addresses begin with http."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that ``guarded`` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


@dataclass(frozen=True)
class Sheet:
    """How a file of separated values was written: as pyarrow and Python name its encoding, and its first row."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    skip: int = 0
    """Lines before the header: 1 for Excel's ``sep=;``."""

    @property
    def text_encoding(self) -> str:
        """The encoding for ``open``, which drops a byte order mark."""
        return "utf-8-sig" if self.encoding == "utf8" else self.encoding


def sheet_of(path: Path) -> Sheet:
    """How a spreadsheet program wrote a table: comma, semicolon or tab; UTF-8, or UTF-16 with or without its mark.

    The separator is the one that the header has most of, outside quotes; a line ``sep=;`` before the header decides.
    Raises UnicodeDecodeError for a header in another encoding, Unreadable for one without an end.
    """
    with open_bytes(path) as raw:
        start = raw.read(4)
    encoding = "utf8"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif len(start) >= 4 and start[1::2] == b"\0\0" and b"\0" not in start[::2]:
        encoding = "utf-16-le"
    elif len(start) >= 4 and start[::2] == b"\0\0" and b"\0" not in start[1::2]:
        encoding = "utf-16-be"
    skip, delimiter = 0, ""
    with open_text(path, "utf-8-sig" if encoding == "utf8" else encoding, newline="") as handle:
        first = handle.readline(MOST_HEADER)
        if found := _SEPARATOR_LINE.fullmatch(first.rstrip("\r\n")):
            skip, delimiter = 1, found[1]
            first = handle.readline(MOST_HEADER)
        handle.seek(0)
        for _ in range(skip):
            handle.readline()
        bare = re.sub(r'"[^"]*"', "", first)
        delimiter = delimiter or max(DELIMITERS, key=lambda mark: (bare.count(mark), -DELIMITERS.index(mark)))
        header = first_row(handle, delimiter)
    return Sheet(encoding, delimiter, tuple(header), skip)


def read_sheet(path: Path) -> pd.DataFrame:
    """A small table of separated values as texts, "" where a cell is empty. Raises OSError and ValueError."""
    sheet = sheet_of(path)
    return read_separated(
        path, dtype=str, keep_default_na=False, sep=sheet.delimiter, encoding=sheet.text_encoding, skiprows=sheet.skip
    )  # fmt: skip
