"""Licences in one spelling, however a source, a table or a person writes them.

Names: ``by``, ``by-sa``, ``by-nd``, ``by-nc``, ``by-nc-sa``, ``by-nc-nd``, ``cc0``, ``pdm`` (public domain mark),
``no-known-copyright``, ``us-government``, ``all-rights-reserved``. A version follows where one was given
(``by-sa-2.0``); where none was given there is none, for nobody said which one it is.

Read are these names, Creative Commons' addresses (creativecommons.org/licenses/by-sa/2.0/, .../publicdomain/zero/1.0/),
short names (``CC BY-SA 4.0``, ``cc-by``, ``CC0``), full names ("Attribution-ShareAlike 4.0 International", "Creative
Commons Attribution 2.0 Generic", Flickr's "Attribution License"), and the other names that Flickr and Wikimedia
Commons use. A sentence with more in it is not read: it may take back what its first words give.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["NAMES", "License", "normal_license", "parse_license"]

NAMES = (
    "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd",
    "cc0", "pdm", "no-known-copyright", "us-government", "all-rights-reserved",
)  # fmt: skip

_ADDRESS = re.compile(r"(?:https?:)?(?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/(.*)")
_TWICE = re.compile(r"([^()]+)\(([^()]+)\)")
_TAIL = re.compile(r"-(?:deed|legalcode|legal-code)(?:[.-][a-z-]+)?$|-(?:licen[cs]e|licen[cs]ed)$")
_LONG = (
    ("attribution", "by"),
    ("share-alike", "sa"),
    ("sharealike", "sa"),
    ("non-commercial", "nc"),
    ("noncommercial", "nc"),
    ("no-derivatives", "nd"),
    ("no-derivs", "nd"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("noderivativeworks", "nd"),
)
_BY = re.compile(
    r"(by(?:-(?:nc|sa|nd))*)(?:-v?(\d(?:\.\d)?)(?:-(?:[a-z]{2}|scotland|igo))?)?"
    r"(?:-(?:generic|international|int|unported))?"
)
_OTHERS = {
    "cc0": r"(?:cc-?0|(?:cc|creative-commons)-zero|zero|public-domain-dedication)(?:-v?(1\.0))?(?:-universal)?"
    r"|(?:cc-?0-1\.0-universal-)?public-domain-dedication(?:-\(?cc0\)?)?|cc0-1\.0-universal-public-domain-dedication",
    "pdm": r"(?:cc-)?(?:pdm|mark|public-domain-mark|publicdomain|public-domain|pd)(?:-v?(1\.0))?(?:-universal)?",
    "no-known-copyright": r"no-known-copyright(?:-restrictions)?",
    "us-government": r"(?:united-states|us|u\.s\.|usa)-government(?:-works?)?",
    "all-rights-reserved": r"all-rights-reserved",
}


@dataclass(frozen=True)
class License:
    """A licence's ``name`` (one of NAMES) and its ``version`` where it was given."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name}-{self.version}" if self.version else self.name


def parse_license(text: str | None) -> License | None:
    """The licence that a text names; None for no text and for an unknown one."""
    if twice := _TWICE.fullmatch((text or "").strip()):  # "Attribution 4.0 International (CC BY 4.0)"
        full, code = parse_license(twice[1]), parse_license(twice[2])
        if full and code and full.name == code.name and len({full.version, code.version} - {None}) < 2:
            return full if full.version else code
    words = _joined(text or "")
    address = _ADDRESS.fullmatch((text or "").strip().lower())
    if address:
        words = _joined(address[2].split("?")[0].split("#")[0])
    words = _TAIL.sub("", words)
    for name, pattern in _OTHERS.items():
        if found := re.fullmatch(pattern, words):
            return License(name, next((group for group in found.groups() if group), None))
    words = re.sub(r"^(?:the-)?(?:creative-commons|cc)-(?:licen[cs]e-)?", "", words)
    for long, short in _LONG:
        words = re.sub(rf"(?<![a-z]){long}(?![a-z])", short, words)
    found = _BY.fullmatch(_TAIL.sub("", words).replace("-licence", "").replace("-license", ""))
    if found is None:
        return None
    name_, version = _in_order(found[1]), found[2]
    return License(name_, f"{version}.0" if version and "." not in version else version) if name_ else None


def normal_license(text: str | None) -> str | None:
    """A licence in its one spelling; an unknown text stays as it is, None for an empty one."""
    if text is None or not text.strip():
        return None
    found = parse_license(text)
    return str(found) if found else text.strip()


def _in_order(parts: str) -> str | None:
    """``by-sa-nc`` -> ``by-nc-sa``; None for a licence that does not exist (share alike without derivatives)."""
    given = parts.split("-")
    name = "-".join(part for part in ("by", "nc", "nd", "sa") if part in given)
    return name if name in NAMES and len(given) == len(set(given)) else None


def _joined(text: str) -> str:
    """Lower case, with one ``-`` for what separates words."""
    text = text.strip().lower().replace("(", "-").replace(")", "-").replace('"', "")
    text = re.sub(r"[\s_/,:;\u2010-\u2015\u2212-]+", "-", text)
    return text.strip("-.")
