"""One try of one download: what a server's answer, or its failure to answer, means."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
from dataclasses import dataclass, field

import aiohttp

from newtest import __version__
from newtest.download.addresses import PrivateAddress

__all__ = ["DownloadConfig", "Transferred", "TryAgain", "transfer"]

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_GONE = frozenset({404, 410})


@dataclass(frozen=True)
class DownloadConfig:
    """Limits and manners of a run; times in seconds."""

    total: int = 256
    per_host: int = 32
    connect_timeout: float = 10.0
    read_timeout: float = 10.0
    deadline: float = 60.0
    least_bytes_per_second: int = 512
    """Below this average, once ``read_timeout`` seconds have passed, a response is given up."""
    max_bytes: int = 64 * 2**20
    max_redirects: int = 5
    retries: int = 4
    backoff: float = 0.5
    """Before the first retry; doubles each time, times a jitter in [0.5, 1) drawn from ``seed`` and the key."""
    longest_wait: float = 30.0
    """A Retry-After beyond this ends the request for this run."""
    allow_private: bool = False
    opt_out: tuple[str, ...] = ("noai", "noimageai")
    user_agent: str = f"newtest/{__version__}"
    read_ahead: int = 20_000
    """How many requests wait in memory at most; hosts take turns within them."""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.total, self.per_host, self.read_ahead, self.max_bytes) < 1 or self.retries < 0:
            raise ValueError(
                "`total`, `per_host`, `read_ahead` and `max_bytes` must be positive, `retries` not negative"
            )


@dataclass(frozen=True)
class Transferred:
    """Bytes, or a kind and a reason."""

    data: bytes | None = field(repr=False, default=None)
    kind: str | None = None
    reason: str | None = None
    permanent: bool = False


@dataclass(frozen=True)
class TryAgain(Transferred):
    """A failure that may pass. ``retry_after`` is the server's wish in seconds, 0 where it has none."""

    retry_after: float = 0.0
    host_wide: bool = False


async def transfer(session: aiohttp.ClientSession, url: str, config: DownloadConfig) -> Transferred:
    """Get one URL. Everything that a server or network can do is a value; only defects of ours are raised."""
    try:
        async with asyncio.timeout(config.deadline):
            async with session.get(url, max_redirects=config.max_redirects) as response:
                return _refusal(response, config) or await _body(response, config)
    except aiohttp.ServerTimeoutError as error:
        return Transferred(None, "timeout", f"the server was silent for too long ({_text(error)})")
    except TimeoutError:
        return Transferred(None, "deadline", f"not finished after {config.deadline:g} s")
    except aiohttp.TooManyRedirects:
        return Transferred(None, "redirects", f"more than {config.max_redirects} redirects")
    except aiohttp.ClientSSLError as error:
        return Transferred(None, "tls", f"no secure connection ({_text(error)})")
    except aiohttp.ClientConnectorError as error:
        return _unconnected(error)
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        return TryAgain(None, "broken", f"the connection broke ({_text(error)})")
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        return Transferred(None, "bad-url", f"not a URL that can be fetched ({_text(error)})", permanent=True)
    except aiohttp.ClientError as error:
        return Transferred(None, "bad-http", f"the server's answer is not HTTP ({_text(error)})")
    except ValueError as error:  # of yarl and idna, about hosts and ports
        return Transferred(None, "bad-url", f"not a URL that can be fetched ({_text(error)})", permanent=True)


def _unconnected(error: aiohttp.ClientConnectorError) -> Transferred:
    if isinstance(error.os_error, PrivateAddress):
        return Transferred(
            None, "private-address", f"{error.host} {error.os_error}; allow it with `allow_private`"
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Transferred(
            None, "no-such-host", f"the name {error.host} does not resolve ({_text(error.os_error)})"
        )
    return TryAgain(None, "no-connection", f"no connection to {error.host} ({_text(error.os_error)})")


def _refusal(response: aiohttp.ClientResponse, config: DownloadConfig) -> Transferred | None:
    """What the head of an answer already decides; None when the body is wanted."""
    status = response.status
    if status != 200:
        reason = f"the server answered {status} {_text(response.reason or '')}".rstrip()
        if status in _TRANSIENT:
            wait = _retry_after(response.headers.get("Retry-After"))
            return TryAgain(None, f"http-{status}", reason, retry_after=wait, host_wide=status == 429)
        return Transferred(None, f"http-{status}", reason, permanent=status in _GONE)
    if word := _opted_out(response.headers.getall("X-Robots-Tag", []), config):
        return Transferred(None, "opted-out", f"the server says X-Robots-Tag: {word}", permanent=True)
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        return Transferred(None, "encoded", "the server compressed the transfer though asked not to")
    if (response.content_length or 0) > config.max_bytes:
        return _too_big(config)
    return None


async def _body(response: aiohttp.ClientResponse, config: DownloadConfig) -> Transferred:
    clock = asyncio.get_running_loop().time
    started, size = clock(), 0
    chunks: list[bytes] = []
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > config.max_bytes:
            return _too_big(config)
        passed = clock() - started
        if passed > config.read_timeout and size < passed * config.least_bytes_per_second:
            return Transferred(None, "too-slow", f"only {size} bytes in {passed:.0f} s")
    return Transferred(b"".join(chunks))


def _too_big(config: DownloadConfig) -> Transferred:
    return Transferred(None, "too-many-bytes", f"more than the {config.max_bytes} bytes allowed")


def _opted_out(headers: list[str], config: DownloadConfig) -> str | None:
    """The directive that keeps us out. ``agent: a, b`` holds for that agent, up to the end of its header."""
    ours = config.user_agent.split("/")[0].lower()
    for header in headers:
        agent = None
        for part in header.lower().split(","):
            name, colon, rest = part.partition(":")
            if colon and name.strip() not in ("unavailable_after", "max-snippet", "max-image-preview"):
                agent, part = name.strip(), rest
            if agent in (None, ours, "*") and part.strip() in config.opt_out:
                return part.strip()
    return None


def _retry_after(value: str | None) -> float:
    """Seconds, from a number or an HTTP date (RFC 9110, 10.2.3); 0 when absent, past or unreadable."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter of a year with twenty digits
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())


def _text(value: object) -> str:
    """A short printable text: servers choose these words."""
    return "".join(c if c.isprintable() else " " for c in str(value))[:200]
