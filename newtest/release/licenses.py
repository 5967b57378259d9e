"""What licences let a release do. Names as in ``newtest.sources.licenses``; versions do not matter here.

Unmodified redistribution with attribution is allowed by all Creative Commons licences and by the public domain
marks (creativecommons.org/licenses); non-commercial ones pass their limit on. All else needs the owner's consent.
"""

from __future__ import annotations

import re

__all__ = ["allows_redistribution", "license_url"]

_FREE = re.compile(
    r"(?:cc[- ])?(by(?:-nc)?(?:-nd|-sa)?|cc0|pdm|publicdomain|no-known-copyright|us-government)(?:-([\d.]+))?"
)


def allows_redistribution(license_: str | None) -> bool | None:
    """Whether the bytes may be passed on as they are; None when the licence is not known to us."""
    if license_ is None or not license_.strip():
        return None
    if _FREE.fullmatch(license_.strip().lower()):
        return True
    return False if "reserved" in license_.lower() else None


def license_url(license_: str | None) -> str | None:
    """Where a Creative Commons licence can be read; None for the others."""
    match = _FREE.fullmatch((license_ or "").strip().lower())
    if match is None:
        return None
    name, version = match[1], match[2]
    if name == "cc0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    if name in ("pdm", "publicdomain"):
        return "https://creativecommons.org/publicdomain/mark/1.0/"
    if not name.startswith("by"):
        return None
    return f"https://creativecommons.org/licenses/{name}/{version or '4.0'}/"
