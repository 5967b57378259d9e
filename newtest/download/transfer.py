"""One try of one download: what a server's answer, or its failure to answer, means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urljoin

import aiohttp

from newtest.download.addresses import PrivateAddress
from newtest.download.config import DownloadConfig
from newtest.download.opt_out import opted_out
from newtest.download.retry_after import retry_after
from newtest.download.robots import MOST_BYTES, Robots
from newtest.download.urls import host_is_a_number, is_web, without_credentials

__all__ = ["Throttled", "Transferred", "TryAgain", "robots_text", "transfer"]

_TRANSIENT = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_GONE = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHORT, _SOON = 1 << 16, 0.5


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


@dataclass(frozen=True)
class Throttled(TryAgain):
    """The host asks for fewer requests: nothing is known of this one, and it does not count as a try."""


async def transfer(
    session: aiohttp.ClientSession,
    url: str,
    config: DownloadConfig,
    robots: Robots | None = None,
    patience: float | None = None,
) -> Transferred:
    """Get one URL. Everything that a server or network can do is a value; only defects of ours are raised.

    ``patience``: seconds of silence that are allowed, where these are not ``config.read_timeout``.
    """
    silent = config.read_timeout if patience is None else patience
    timeout = aiohttp.ClientTimeout(total=None, connect=config.connect_timeout, sock_read=silent)
    try:
        async with asyncio.timeout(config.deadline):
            return await _hops(session, url, config, robots, timeout)
    except aiohttp.ServerTimeoutError as error:
        return Transferred(None, "timeout", f"the server was silent for too long ({_text(error)})")
    except TimeoutError:
        return Transferred(None, "deadline", f"not finished after {config.deadline:g} s")
    except aiohttp.ClientSSLError as error:
        return Transferred(None, "tls", f"no secure connection ({_text(error)})")
    except aiohttp.ClientConnectorError as error:
        return _unconnected(error)
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        return TryAgain(None, "broken", f"the connection broke ({_text(error)})")
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        return _bad_url(error)
    except aiohttp.ClientError as error:
        return Transferred(None, "bad-http", f"the server's answer is not HTTP ({_text(error)})")
    except ValueError as error:  # of yarl and idna, about hosts and ports
        return _bad_url(error)


async def robots_text(session: aiohttp.ClientSession, config: DownloadConfig, url: str) -> tuple[int, str]:
    """(status, text) of a robots.txt, redirects followed; a status of 599 where the site does not answer."""
    try:
        async with asyncio.timeout(config.deadline):
            for _ in range(config.max_redirects + 1):
                if not is_web(url):
                    return 404, ""
                async with session.get(url, allow_redirects=False) as response:
                    place = response.headers.get("Location")
                    if response.status not in _REDIRECTS or place is None:
                        data = await response.content.read(MOST_BYTES)
                        while len(data) < MOST_BYTES and (more := await response.content.read(MOST_BYTES)):
                            data += more
                        return response.status, data[:MOST_BYTES].decode("utf-8", "replace")
                    url = urljoin(str(response.url), place.strip())
            return 404, ""
    except (TimeoutError, aiohttp.ClientError, ValueError, OSError):
        return 599, ""


async def _kept_out(robots: Robots, url: str) -> Transferred | None:
    rules = await robots.of(url)
    if not rules.reachable:
        return Transferred(None, "no-robots-txt", "the site does not say what its robots.txt allows")
    if not rules.allow(url):
        return Transferred(None, "robots-txt", "the site's robots.txt keeps this address out", permanent=True)
    return None


async def _hops(
    session: aiohttp.ClientSession,
    url: str,
    config: DownloadConfig,
    robots: Robots | None,
    timeout: aiohttp.ClientTimeout,
) -> Transferred:
    """Follow redirects by hand: each hop must be http or https, and each may opt out."""
    for _ in range(config.max_redirects + 1):
        url = without_credentials(url)
        if not is_web(url):
            return _bad_url("neither http nor https")
        if host_is_a_number(url):
            return _bad_url("its host is a number")
        if robots is not None and (refused := await _kept_out(robots, url)) is not None:
            return refused
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            if response.status != 200:
                await _drain(response)
            if word := opted_out(
                response.headers.getall("X-Robots-Tag", []), config.opt_out, config.user_agent
            ):
                return Transferred(None, "opted-out", f"the server says X-Robots-Tag: {word}", permanent=True)
            place = response.headers.get("Location")
            if response.status not in _REDIRECTS or place is None:
                return _refusal(response, config) or await _body(response, config)
            url = urljoin(str(response.url), place.strip())
    return Transferred(None, "redirects", f"more than {config.max_redirects} redirects")


def _bad_url(why: object) -> Transferred:
    return Transferred(None, "bad-url", f"not a URL that can be fetched ({_text(why)})", permanent=True)


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
    """What the head of an answer already decides; None when the body is required."""
    status = response.status
    if status != 200:
        reason = f"the server answered {status} {_text(response.reason or '')}".rstrip()
        wait = retry_after(response.headers.get("Retry-After")) or 0.0
        if status == 429 or (status == 503 and wait > 0):
            return Throttled(None, f"http-{status}", reason, retry_after=wait)
        if status in _TRANSIENT:
            return TryAgain(None, f"http-{status}", reason, retry_after=wait)
        return Transferred(None, f"http-{status}", reason, permanent=status in _GONE)
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        return Transferred(None, "encoded", "the server compressed the transfer though asked not to")
    if (response.content_length or 0) > config.max_bytes:
        return _too_big(config)
    return None


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what a refusal or redirect says, if it is short and comes soon: its connection can then be used again."""
    if (response.content_length or 0) > _SHORT:
        return
    try:
        async with asyncio.timeout(_SOON):
            await response.content.readexactly(_SHORT + 1)
    except (asyncio.IncompleteReadError, TimeoutError, aiohttp.ClientError):
        return  # it has ended, which is what was hoped for, or the connection will be closed


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


def _text(value: object) -> str:
    """A short printable text without passwords: servers choose these words, and errors quote URLs."""
    return without_credentials("".join(c if c.isprintable() else " " for c in str(value))[:2000])[:200]
