"""Licences as sources number and filter them; their one spelling is in ``newtest.licenses``.

Flickr's numbers are those of flickr.photos.licenses.getInfo; 11 to 16 came with Creative Commons 4.0 on 18 June 2025
(blog.flickr.net/en/2025/06/18/creative-commons-4-0-has-arrived-on-flickr). A number added since is kept as
``unknown-flickr-license-N``: no source asks for it, and no release takes it for a licence.
"""

from __future__ import annotations

from collections.abc import Sequence

from newtest.errors import UsageError
from newtest.licenses import NAMES, parse_license

__all__ = ["FLICKR", "NAMES", "checked_licenses", "flickr_license", "flickr_numbers", "is_licensed"]

FLICKR = {
    0: "all-rights-reserved",
    1: "by-nc-sa-2.0",
    2: "by-nc-2.0",
    3: "by-nc-nd-2.0",
    4: "by-2.0",
    5: "by-sa-2.0",
    6: "by-nd-2.0",
    7: "no-known-copyright",
    8: "us-government",
    9: "cc0-1.0",
    10: "pdm-1.0",
    11: "by-4.0",
    12: "by-sa-4.0",
    13: "by-nd-4.0",
    14: "by-nc-4.0",
    15: "by-nc-sa-4.0",
    16: "by-nc-nd-4.0",
}


def checked_licenses(names: Sequence[str]) -> tuple[str, ...]:
    """The names in their one spelling without versions, sorted, each once. Raises UsageError that lists them."""
    checked = set()
    for name in names:
        found = parse_license(name)
        if found is None:
            raise UsageError(f"`license` {name!r} is not known; known are {', '.join(NAMES)}")
        if found.version and found.name.startswith("by"):
            raise UsageError(
                f"`license` {name!r}: a filter takes no version, for it asks for all of them; write {found.name}"
            )
        checked.add(found.name)
    return tuple(sorted(checked))


def flickr_license(number: object) -> str | None:
    """The name of a Flickr licence number as Flickr sends it (text or number); None when it is neither."""
    try:
        value = int(str(number))
    except ValueError:
        return None
    return FLICKR.get(value, f"unknown-flickr-license-{value}")


def flickr_numbers(names: Sequence[str]) -> str:
    """The numbers of these licences, as the ``license`` parameter of flickr.photos.search takes them."""
    return ",".join(str(number) for number, name in FLICKR.items() if is_licensed(name, names))


def is_licensed(license_: str, allowed: Sequence[str]) -> bool:
    """Whether a licence, however it is written, is one of the allowed, whatever its version."""
    found = parse_license(license_)
    return found is not None and found.name in allowed
