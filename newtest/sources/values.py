"""Single values as strangers send them, made ours or None: never an exception, never another type."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from newtest.download.urls import without_credentials

__all__ = ["number", "storable", "text_or_none", "web_url"]

_MAX_TEXT = 2000


def text_or_none(value: object) -> str | None:
    """A text or a number as text, at most 2,000 characters, without control characters and without
    the passwords of URLs in it; None when empty."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)).strip()[:_MAX_TEXT]
    return without_credentials(text) or None


def storable(value: object) -> object:
    """A value of JSON or of a table as the catalog can keep it: valid Unicode, no NaN or infinity (None instead)."""
    if isinstance(value, str):
        # Half of a surrogate pair is not text, and nobody's password is ours to keep.
        return without_credentials(value.encode(errors="replace").decode())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {str(storable(str(key))): storable(item) for key, item in value.items()}
    return value if value is None or isinstance(value, int) else str(value)


def number(value: object) -> int | None:
    """A positive whole number of at most 9 digits, also when it was sent as text."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 10 else None


def web_url(value: object) -> str | None:
    """An http or https URL with a host, of at most 2,000 characters, without the user name and password it may have."""
    if (
        not isinstance(value, str)
        or len(value) > _MAX_TEXT
        or any(c.isspace() or not c.isprintable() for c in value)
    ):
        return None
    try:
        parts = urlsplit(value)
        return without_credentials(value) if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None
