"""URLs as strangers write them: which may be asked for, and what of them may be kept or shown."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["host_is_a_number", "host_of", "is_web", "without_credentials"]

_BEGINNING = re.compile(r"[^/?#]*://[^/?#]*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
_QUAD = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*:)?(//)[^/?#\\\s\"'<>]*@", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """A text with the user names and passwords taken out of the URLs in it (``//user:password@host`` -> ``//host``)."""
    return _USERINFO.sub(lambda found: f"{found[1] or ''}{found[2]}", text) if "@" in text else text


def is_web(url: str) -> bool:
    """Whether a URL is http or https; anything else (``ws:``, ``tcp:``, ``file:``, no scheme) is never asked for."""
    return url.partition("://")[0].strip().lower() in ("http", "https")


def host_is_a_number(url: str) -> bool:
    """Whether the host is a number that is not four decimal numbers: ``2130706433`` or ``127.1``.

    The WHATWG's URL standard reads such a host as an IPv4 address, Python's libraries read it in several ways
    (aiohttp 3.12 connects, 3.14.1 refuses). No photo is published under one, so none is asked for.
    """
    return _host(_beginning(url))[1]


def host_of(url: str) -> str:
    """Who is asked, and whose pace it is: ``host``, or ``host:port`` where a port is named. Empty for no URL."""
    return _host(_beginning(url))[0]


def _beginning(url: str) -> str:
    """Scheme and host, which thousands of URLs have in common."""
    found = _BEGINNING.match(url)
    return found[0] if found else url


@lru_cache(maxsize=1 << 14)
def _host(beginning: str) -> tuple[str, bool]:
    try:
        parts = urlsplit(beginning)
        name = parts.hostname
        port = parts.port if name else None
    except ValueError:
        return "", False
    host = f"{name}:{port}" if port else name or ""
    plain = host.partition(":")[0].rstrip(".")
    return host, bool(_NUMBER.fullmatch(plain.rpartition(".")[2])) and not _QUAD.fullmatch(plain)
