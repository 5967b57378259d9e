"""What licences let a release do. Names as in ``newtest.sources.licenses``; versions do not matter here.

Unmodified redistribution with attribution is allowed by all Creative Commons licences and by the public domain
marks (creativecommons.org/licenses); non-commercial ones pass their limit on. All else needs the owner's consent.
"""

from __future__ import annotations

import re

__all__ = ["allows_redistribution", "license_url"]

_FREE = re.compile(
    r"(?:cc-)?(by(?:-nc)?(?:-nd|-sa)?|cc0|zero|pdm|mark|publicdomain|no-known-copyright|us-government)"
    r"(?:-([\d.]+))?(?:-[a-z]{2,3})?"
)
_ADDRESS = re.compile(r"https?://creativecommons\.org/(?:licenses|publicdomain)/")


def allows_redistribution(license_: str | None) -> bool | None:
    """Whether the bytes may be passed on as they are; None when the licence is not known to us."""
    if license_ is None or not license_.strip():
        return None
    if _free(license_):
        return True
    return (
        False if "all-rights-reserved" in _joined(license_) else None
    )  # "some rights reserved" is no refusal


def license_url(license_: str | None) -> str | None:
    """Where a Creative Commons licence can be read; None for the others."""
    match = _free(license_ or "")
    if match is None:
        return None
    name, version = match[1], match[2]
    if name in ("cc0", "zero"):
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if name in ("pdm", "mark", "publicdomain"):
        return "https://creativecommons.org/publicdomain/mark/1.0/"
    if not name.startswith("by"):
        return None
    return f"https://creativecommons.org/licenses/{name}/{version or '4.0'}/"


def _free(license_: str) -> re.Match[str] | None:
    """``by-sa-2.0``, ``CC BY-SA 2.0`` and the licence's address are the same."""
    return _FREE.fullmatch(_joined(_ADDRESS.sub("", license_.strip().lower())))


def _joined(license_: str) -> str:
    return re.sub(r"[ _/-]+", "-", license_.lower()).strip("-")
