"""``openverse``: openly licensed images from api.openverse.org, without a key.

What its API allows an anonymous client: pages of 20, a bounded depth of paging that ``page_count`` states, 20 calls
a minute and 200 a day; licence filters by code; words excluded by ``-word``. It cannot filter by date.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.download.retry_after import retry_after
from newtest.errors import SourceError
from newtest.records import Class, Image, Query, image_id_of
from newtest.sources.allowance import Allowance
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


@dataclass(frozen=True)
class OpenverseConfig:
    """``limits``: pairs of calls and seconds; ``timeout`` in seconds for a whole answer."""

    url: str = API_URL
    page_size: int = 20
    limits: tuple[tuple[int, float], ...] = ((200, 86400.0), (20, 60.0))
    timeout: float = 30.0
    patience: Patience = field(default_factory=Patience)


class Openverse:
    """Images on Openverse."""

    name = "openverse"

    def __init__(self, config: OpenverseConfig, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._allowances = [
            Allowance(f"openverse {config.url}", limit, seconds) for limit, seconds in config.limits
        ]

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """All queries; dates are not filtered, and licences that Openverse has no code for are said."""
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
        """Pages of 20 by relevance; the cursor is the number of the next page."""
        page = int(after or 1)
        while True:
            reply = self._ask(query, page)
            entries = reply["results"]
            images = [_image(entry) for entry in entries]
            kept = tuple(image for image in images if image is not None)
            more = bool(entries) and page < (number(reply.get("page_count")) or 0)
            yield Page(kept, str(page + 1) if more else None, len(images) - len(kept))
            if not more:
                return
            page += 1

    def _ask(self, query: Query, page: int) -> dict[str, Any]:
        words = [query.text, *(f"-{word}" for term in query.exclude for word in term.split())]
        parameters = {"q": " ".join(words), "page": str(page), "page_size": str(self._config.page_size)}
        if licenses := [name for name in query.licenses if name in CODES]:
            parameters["license"] = ",".join(licenses)

        def once() -> dict[str, Any]:
            for allowance in self._allowances:
                allowance.take(self._say)
            status, wait, body = asyncio.run(_get(self._config, parameters))
            return _checked(status, wait, body, page)

        return patiently(once, self._config.patience, "Openverse", self._say)


async def _get(config: OpenverseConfig, parameters: Mapping[str, str]) -> tuple[int, float | None, bytes]:
    """Status, Retry-After in seconds and body of one call. Raises Busy when there is no whole answer in time."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=config.timeout)
    headers = {"User-Agent": "newtest (https://pypi.org/project/newtest)", "Accept": "application/json"}
    url = config.url.rstrip("/") + "/images/"
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(url, params=parameters, allow_redirects=False) as response,
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


def _checked(status: int, wait: float | None, body: bytes, page: int) -> dict[str, Any]:
    """The reply as a mapping with a list of results. Raises Busy and SourceError by status."""
    if status == 429 or status >= 500:
        raise Busy(f"HTTP status {status}", wait)
    if status in (400, 401, 404) and page > 1:  # deeper than an anonymous client may page: the end
        return {"results": [], "page_count": 0}
    try:
        reply = json.loads(body)
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
