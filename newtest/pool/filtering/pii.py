"""Captions with personal data: e-mail addresses, telephone numbers, street addresses, identity numbers.

The patterns are published ones. E-mail: the address of the WHATWG HTML standard, with a domain that ends in letters.
Telephone: a number of ITU-T E.164 written with its ``+``; one of the North American Numbering Plan in its groups; a
mobile number of Ofcom's plan; or digits behind a word such as "call". Street: a house number, up to four words, and
a suffix of the US Postal Service's Publication 28. Papers: see ``newtest.pool.filtering.identity_numbers``.

All are patterns over text: a name alone is not found, and neither is an address of another form. Every quantifier
has a bound, so that a long caption costs time in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from newtest.pool.filtering.filters import Verdict, verdict
from newtest.pool.filtering.identity_numbers import has_identity_number

__all__ = ["NoPii", "kinds_of"]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~-"
_EMAIL = re.compile(
    rf"(?<![{_LOCAL}])[{_LOCAL}]{{1,64}}@(?:{_LABEL}\.){{1,8}}(?P<top>[A-Za-z]{{2,24}})(?![\w@-])"
)
_FILES = frozenset(
    ["avif", "bmp", "gif", "html", "jpeg", "jpg", "mp4", "pdf", "php", "png", "svg", "tif", "tiff", "webp"]
)
"""Endings of files, such as ``logo@2x.home.png``; none is a top domain."""

_PHONES = (
    re.compile(r"(?<![\w+])\+[1-9](?:[ .()/-]{0,2}\d){7,14}(?!\d)"),
    re.compile(
        r"(?<![\w.+/-])(?:1[-. ])?"
        r"(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<mark>[-. ]))"
        r"[2-9]\d\d(?(mark)(?P=mark)|[-. ])\d{4}(?![\w/-]|\.\d)"
    ),
    re.compile(r"(?<![\w.+/-])07[1-57-9]\d\d ?\d{3} ?\d{3}(?![\w/-]|\.\d)"),
    re.compile(
        r"(?:\b(?:call|fax|mobile|phone|tel|telephone|whatsapp)\b|[☎☏📞📱])"
        r"[ .:@#]{0,4}(?:us |at |on |no\.? ?|number ){0,2}[ :]{0,2}\(?\d(?:[ .()/-]{0,2}\d){6,14}(?!\d)",
        re.IGNORECASE,
    ),
)

_SUFFIXES = (
    "Alley", "Aly", "Avenue", "Ave", "Boulevard", "Blvd", "Circle", "Cir", "Court", "Ct", "Cove",
    "Crescent", "Cres", "Drive", "Dr", "Expressway", "Highway", "Hwy", "Lane", "Ln", "Parkway",
    "Pkwy", "Place", "Pl", "Road", "Rd", "Square", "Sq", "Street", "St", "Terrace", "Ter", "Trail",
    "Trl", "Turnpike", "Way",
)  # fmt: skip
_STREET = re.compile(
    r"(?<![\w.,#$£€/:-])\d{1,6}[A-Za-z]?,? (?:[NSEW]\.?|[NS][EW]|\d{1,3}(?:st|nd|rd|th|ST|ND|RD|TH)|"
    r"(?:Mc|O')?[A-Z][A-Za-z'.]{1,24})(?: (?:\d{1,3}(?:st|nd|rd|th)|[A-Z][A-Za-z'.]{0,24})){0,3} "
    rf"(?:{'|'.join(sorted({*_SUFFIXES, *(each.upper() for each in _SUFFIXES)}, key=len, reverse=True))})\b"
)


@dataclass(frozen=True)
class NoPii:
    """No e-mail address, telephone number, street address, or identity number; rows without a caption stay."""

    columns: tuple[str, ...] = ("text",)
    reasons: tuple[str, ...] = ("e-mail address", "telephone number", "street address", "identity number")
    cost: int = 1

    def keep(self, table: pa.Table) -> Verdict:
        """The rows that stay; one that holds several kinds counts under the first."""
        found = [kinds_of(text or "") for text in table["text"].to_pylist()]
        masks = np.array(found, np.bool_).reshape(len(found), len(self.reasons))
        return verdict(*masks.T)


def kinds_of(text: str) -> tuple[bool, bool, bool, bool]:
    """Whether a caption holds an e-mail address, a telephone number, a street address, an identity number."""
    if "@" not in text and not any(map(str.isdigit, text)):
        return (False, False, False, False)
    email = "@" in text and any(each["top"].lower() not in _FILES for each in _EMAIL.finditer(text))
    phone = any(each.search(text) for each in _PHONES)
    return email, phone, _STREET.search(text) is not None, has_identity_number(text)
