"""URLs as strangers write them: which may be asked for, and what of them may be kept or shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["host_of", "is_web", "without_credentials"]

_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*:)?(//)[^/?#\\\s\"'<>]*@", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """A text with the user names and passwords taken out of the URLs in it (``//user:password@host`` -> ``//host``)."""
    return _USERINFO.sub(lambda found: f"{found[1] or ''}{found[2]}", text) if "@" in text else text


def is_web(url: str) -> bool:
    """Whether a URL is http or https; anything else (``ws:``, ``tcp:``, ``file:``, no scheme) is never asked for."""
    return url.partition("://")[0].strip().lower() in ("http", "https")


def host_of(url: str) -> str:
    """Who is asked, and whose pace it is: ``host``, or ``host:port`` where a port is named. Empty for no URL."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.hostname and parts.port else parts.hostname or ""
    except ValueError:
        return ""
