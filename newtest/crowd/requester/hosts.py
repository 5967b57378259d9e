"""Which other hosts the pages of requesters may load from. Our own pages never load anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from newtest.errors import UsageError

__all__ = ["AllowedHosts", "exact_hosts", "host_of"]

_HOST = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?::\d{1,5})?"
)
_IPV6 = re.compile(r"\[[0-9a-f:.]+\](?::\d{1,5})?")
_STANDARD_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class AllowedHosts:
    """Exact host names, with a port where it is not the standard one."""

    images: tuple[str, ...] = ()
    """Hosts of pictures."""
    scripts: tuple[str, ...] = ()
    """Hosts of scripts, style sheets and fonts."""


def exact_hosts(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Host names as they are compared. Raises UsageError for a pattern or an address, naming ``option``."""
    found = []
    for text in given:
        host = text.strip().lower()
        if not (_HOST.fullmatch(host) or _IPV6.fullmatch(host)):
            raise UsageError(
                f"{option}: {text!r} is not an exact host name; give one such as images.example.org, or with a port "
                "example.org:8080"
            )
        found.append(re.sub(r":(?:80|443)$", "", host))
    return tuple(dict.fromkeys(found))


def host_of(address: str) -> str | None:
    """The host in an address (``http``, ``https`` or ``//host/...``), None where it has none."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https", "") or not parts.hostname:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = (
        port is None or port == _STANDARD_PORTS.get(parts.scheme) or (not parts.scheme and port in (80, 443))
    )
    return name if standard else f"{name}:{port}"
