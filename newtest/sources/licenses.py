"""Licence names, one spelling for all sources: Openverse's codes, and Flickr's licences that have none.

``by``, ``by-sa``, ``by-nd``, ``by-nc``, ``by-nc-sa``, ``by-nc-nd`` (a version may follow: ``by-sa-2.0``), ``cc0``,
``pdm`` (public domain mark), ``no-known-copyright``, ``us-government``, ``all-rights-reserved``.
Flickr's numbers are those of flickr.photos.licenses.getInfo; 11 to 16 came with Creative Commons 4.0 on 18 June 2025
(blog.flickr.net/en/2025/06/18/creative-commons-4-0-has-arrived-on-flickr). A number added since is kept as
``unknown-flickr-license-N``: no source with a wanted licence asks for it, and no release takes it for a licence.
"""

from __future__ import annotations

from collections.abc import Sequence

from newtest.errors import UsageError

__all__ = ["FLICKR", "NAMES", "checked_licenses", "flickr_license", "flickr_numbers", "is_licensed"]

NAMES = (
    "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd",
    "cc0", "pdm", "no-known-copyright", "us-government", "all-rights-reserved",
)  # fmt: skip

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
    """The names in lower case, sorted, each once. Raises UsageError that lists the known ones."""
    lower = sorted({name.strip().lower() for name in names})
    for name in lower:
        if name not in NAMES:
            raise UsageError(f"`license` {name!r} is not known; known are {', '.join(NAMES)}")
    return tuple(lower)


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
    """Whether a licence is one of the allowed, whatever its version."""
    base, _, version = license_.lower().rpartition("-")
    return (base if base and version.replace(".", "").isdigit() else license_.lower()) in allowed
