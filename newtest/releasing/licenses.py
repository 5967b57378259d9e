"""What licences let a release do. Their spellings are read in ``newtest.licenses``; versions do not matter here.

Unmodified redistribution with attribution is allowed by all Creative Commons licences and by the public domain
marks (creativecommons.org/licenses); non-commercial ones pass their limit on. All else needs the owner's consent.
"""

from __future__ import annotations

from newtest.licenses import parse_license

__all__ = ["allows_redistribution", "license_url"]


def allows_redistribution(license_: str | None) -> bool | None:
    """Whether the bytes may be passed on as they are; None when the licence is not known to us."""
    if license_ is None or not license_.strip():
        return None
    found = parse_license(license_)
    if found is not None:
        return found.name != "all-rights-reserved"
    # "some rights reserved" is not a refusal
    return False if "all rights reserved" in " ".join(license_.lower().replace("-", " ").split()) else None


def license_url(license_: str | None) -> str | None:
    """Where a Creative Commons licence can be read; None for the others, and where nobody said which version it is.

    CC0 and the public domain mark have the one version 1.0.
    """
    found = parse_license(license_)
    if found is None:
        return None
    if found.name in ("cc0", "pdm"):
        return f"https://creativecommons.org/publicdomain/{'zero' if found.name == 'cc0' else 'mark'}/1.0/"
    if not found.name.startswith("by") or found.version is None:
        return None
    return f"https://creativecommons.org/licenses/{found.name}/{found.version}/"
