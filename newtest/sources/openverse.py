"""``openverse``: openly licensed images from api.openverse.org, without a key or with client credentials.

What its API allows (github.com/WordPress/openverse, ``api/conf/settings`` and ``api/api/serializers``): an anonymous
client gets pages of 20, 20 calls per minute and 200 per day; one with credentials pages of 50, 100 calls per minute
and 10,000 per day. Paging has a bounded depth, which ``page_count`` states. Licences are filtered by code, words
excluded by ``-word``. It cannot filter by date. A search text beyond 200 characters it would cut in silence: that is
an error.

Credentials are exchanged for a token (OAuth 2, ``POST auth_tokens/token/``) that holds for ``expires_in`` seconds. A
new one is asked for shortly before, and when the service no longer takes the old one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.download.retry_after import retry_after
from newtest.errors import SourceError, SourceUnavailable
from newtest.reading.jsons import parse_json
from newtest.records import Class, Image, Query, image_id_of
from newtest.sources.allowance import Allowance
from newtest.sources.budget import Limits
from newtest.sources.patience import Busy, Patience, patiently
from newtest.sources.protocol import Page, SearchPlan, unfiltered
from newtest.sources.values import number, text_or_none, web_url

__all__ = ["API_URL", "Openverse", "OpenverseConfig"]

API_URL = "https://api.openverse.org/v1/"
CODES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "cc0", "pdm")

_EXTRA = (
    "provider",
    "source",
    "creator_url",
    "license_url",
    "attribution",
    "category",
    "filetype",
    "foreign_landing_url",
)
_MAX_REPLY = 16 * 2**20
_LONGEST_QUERY = 200
_ANONYMOUS, _REGISTERED = ((200, 86400.0), (20, 60.0)), ((10_000, 86400.0), (100, 60.0))
_RENEW_BEFORE = 60.0
"""Seconds before its end at which a token is not used any more."""


@dataclass(frozen=True)
class OpenverseConfig:
    """``limits``: pairs of calls and seconds; ``timeout`` in seconds for a whole answer. Both ``client_id`` and
    ``client_secret`` or neither; ``page_size`` and ``limits`` are those of the one or the other by themselves."""

    url: str = API_URL
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    page_size: int | None = None
    limits: tuple[tuple[int, float], ...] | None = None
    timeout: float = 30.0
    patience: Patience = field(default_factory=Patience)


class Openverse:
    """Images on Openverse."""

    name = "openverse"

    def __init__(self, config: OpenverseConfig, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        registered = config.client_id is not None
        self._rates = (
            config.limits if config.limits is not None else _REGISTERED if registered else _ANONYMOUS
        )
        self._page_size = config.page_size or (50 if registered else 20)
        who = f"openverse {config.url}" + (f" {config.client_id}" if registered else "")
        self._allowances = [Allowance(who, limit, seconds) for limit, seconds in self._rates]
        self._token: tuple[str, float] | None = None

    @property
    def limits(self) -> Limits:
        """What an anonymous client, or one with credentials, may ask."""
        return Limits(self._page_size, self._rates)

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """All queries; dates are not filtered, and licences that Openverse has no code for are named."""
        if not queries:
            return SearchPlan(())
        notes = unfiltered("Openverse", queries[0], knows=("license",))
        unknown = [name for name in queries[0].licenses if name not in CODES]
        if unknown:
            notes += (f"Openverse has no images licensed {', '.join(unknown)}",)
        if queries[0].licenses and len(unknown) == len(queries[0].licenses):
            return SearchPlan((), notes)
        return SearchPlan(tuple(queries), notes)

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """Pages by relevance; the cursor is the number of the next page. Raises SourceError for too long a text.

        Where a later run has pages of another size, the page that holds the next result is asked for once more.
        """
        page = self._page_of(after)
        while True:
            reply = self._ask(query, page)
            entries = reply["results"]
            images = [_image(entry) for entry in entries]
            kept = tuple(image for image in images if image is not None)
            more = bool(entries) and page < (number(reply.get("page_count")) or 0)
            yield Page(kept, f"{page + 1}/{self._page_size}" if more else None, len(images) - len(kept))
            if not more:
                return
            page += 1

    def _page_of(self, cursor: str | None) -> int:
        """The page that a cursor names, in pages of this run's size; earlier cursors were numbers of pages of 20."""
        number_, _, size = (cursor or "1").partition("/")
        before = (int(number_) - 1) * int(size or 20)
        return before // self._page_size + 1

    def _ask(self, query: Query, page: int) -> dict[str, Any]:
        words = [query.text, *(f"-{word}" for term in query.exclude for word in term.split())]
        text = " ".join(words)
        if len(text) > _LONGEST_QUERY:
            raise SourceError(
                f"the search text has {len(text)} characters with its excluded words, and Openverse reads the first "
                f"{_LONGEST_QUERY} alone: exclude fewer words, or search for a shorter term of your own"
            )
        parameters = {"q": text, "page": str(page), "page_size": str(self._page_size)}
        if licenses := [name for name in query.licenses if name in CODES]:
            parameters["license"] = ",".join(licenses)

        def once() -> dict[str, Any]:
            for renewed in (False, True):
                for allowance in self._allowances:
                    allowance.take(self._say)
                call = _Call("GET", "images/", parameters, self._bearer(renew=renewed))
                status, wait, body = asyncio.run(_answer(self._config, call))
                if status != 401 or self._config.client_id is None:
                    break  # else the token has lost its force before its time, and a new one may have it
            return _checked(status, wait, body, page, registered=self._config.client_id is not None)

        return patiently(once, self._config.patience, "Openverse", self._say)

    def _bearer(self, *, renew: bool) -> str | None:
        """The token to send, asked for where there is none that still holds; None for an anonymous client."""
        config = self._config
        if config.client_id is None:
            return None
        if renew or self._token is None or time.monotonic() > self._token[1]:
            form = {
                "grant_type": "client_credentials",
                "client_id": config.client_id,
                "client_secret": config.client_secret or "",
            }
            status, wait, body = asyncio.run(_answer(config, _Call("POST", "auth_tokens/token/", form)))
            self._token = _token(status, wait, body)
        return self._token[0]


@dataclass(frozen=True)
class _Call:
    """One call: a query string for GET, a form for POST."""

    method: str
    path: str
    values: Mapping[str, str] = field(repr=False)
    token: str | None = field(default=None, repr=False)


async def _answer(config: OpenverseConfig, call: _Call) -> tuple[int, float | None, bytes]:
    """Status, Retry-After in seconds and body of one call. Raises Busy when there is no whole answer in time."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=config.timeout)
    headers = {"User-Agent": "newtest (https://pypi.org/project/newtest)", "Accept": "application/json"}
    if call.token is not None:
        headers["Authorization"] = f"Bearer {call.token}"
    url = f"{config.url.rstrip('/')}/{call.path}"
    given = {"params" if call.method == "GET" else "data": dict(call.values)}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(call.method, url, allow_redirects=False, **given) as response,  # type: ignore[arg-type]
        ):
            body = b""
            async for piece in response.content.iter_chunked(65536):
                body += piece
                if len(body) > _MAX_REPLY:
                    raise SourceError(
                        f"Openverse's answer is longer than {_MAX_REPLY // 2**20} MiB; it was not read"
                    )
            return response.status, retry_after(response.headers.get("Retry-After")), body
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Busy(f"{config.url} cannot be reached or is silent ({type(error).__name__})") from error


def _token(status: int, wait: float | None, body: bytes) -> tuple[str, float]:
    """The token of an answer and when, in monotonic seconds, it is not to be used any more. Raises as ``_checked``."""
    if status == 429 or status >= 500:
        raise Busy(f"HTTP status {status} for the token", wait)
    try:
        reply = parse_json(body)
    except ValueError:
        reply = None
    token = reply.get("access_token") if isinstance(reply, dict) else None
    if status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
        why = (
            reply.get("error_description") or reply.get("error") or reply.get("detail")
            if isinstance(reply, dict)
            else None
        )
        raise SourceUnavailable(
            f"Openverse refused the client credentials (status {status}, {text_or_none(why) or 'no reason given'}); "
            "check OPENVERSE_CLIENT_ID and OPENVERSE_CLIENT_SECRET, or remove both to collect anonymously"
        )
    holds = number(reply.get("expires_in")) or 3600
    return token, time.monotonic() + max(holds - _RENEW_BEFORE, holds / 2)


def _checked(status: int, wait: float | None, body: bytes, page: int, *, registered: bool) -> dict[str, Any]:
    """The reply as a mapping with a list of results. Raises Busy and SourceError by status."""
    if status == 429 or status >= 500:
        raise Busy(f"HTTP status {status}", wait)
    if registered and status == 401:
        raise SourceUnavailable(
            "Openverse does not take the token that it gave for these client credentials; check OPENVERSE_CLIENT_ID "
            "and OPENVERSE_CLIENT_SECRET"
        )
    if status in (400, 401, 404) and page > 1:  # deeper than this client may page: the end
        return {"results": [], "page_count": 0}
    try:
        reply = parse_json(body)
    except ValueError as error:
        raise SourceError(
            f"Openverse answered something that is not JSON (status {status}: {error})"
        ) from error
    detail = text_or_none(reply.get("detail")) if isinstance(reply, dict) else None
    if status != 200:
        raise SourceError(f"Openverse refused the search: status {status}, {detail or 'no reason given'}")
    if not isinstance(reply, dict) or not isinstance(reply.get("results"), list):
        raise SourceError("Openverse answered JSON that is not a list of results; is its address right?")
    return reply


def _image(entry: object) -> Image | None:
    """A result as an image; None when it has no id."""
    source_id = text_or_none(entry.get("id")) if isinstance(entry, dict) else None
    if source_id is None or not isinstance(entry, dict):
        return None
    code, version = text_or_none(entry.get("license")), text_or_none(entry.get("license_version"))
    extra = {key: value for key in _EXTRA if (value := text_or_none(entry.get(key)))}
    url, width, height = web_url(entry.get("url")), number(entry.get("width")), number(entry.get("height"))
    return Image(
        image_id=image_id_of("openverse", source_id),
        source="openverse",
        source_id=source_id,
        url=url,
        page_url=web_url(entry.get("foreign_landing_url")),
        title=text_or_none(entry.get("title")),
        license=f"{code}-{version}" if code and version else code,
        owner=text_or_none(entry.get("creator")),
        width=width,
        height=height,
        sizes={"url": (url, width, height)} if url else {},
        extra=extra,
    )
