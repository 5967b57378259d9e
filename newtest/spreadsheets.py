"""Texts of strangers in CSV files that people open in a spreadsheet, where a cell that begins like a formula is one.

The titles, owners and licences of photos are whatever somebody typed. One that begins like a formula gets an apostrophe
before it, as OWASP advises (owasp.org/www-community/attacks/CSV_Injection); numbers never do. So that reading gives
back exactly what was written, a text that begins with apostrophes and then like a formula gets one more.
"""

from __future__ import annotations

import re

__all__ = ["TEXTS", "guarded", "unguarded"]

TEXTS = ("title", "license", "owner")
"""The columns that hold what strangers typed. Ids are of letters, digits and ``_ . : -``, addresses begin with http."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that ``guarded`` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
