"""``flickr``: flickr.photos.search, sliced by date past the 4,000-result limit. The one file that imports flickrapi.

The parameters are Flickr's own (``min_upload_date``, ``max_upload_date``, ``min_taken_date``, ``max_taken_date``);
results are sorted by the day they were posted, as ImageNetV2's were. flickrapi's ``walk()`` is broken, and its
errors hide the Retry-After header: pages are asked for by hand, over its signed session.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.download.retry_after import retry_after
from newtest.errors import MissingExtra, SourceError, SourceUnavailable
from newtest.records import Class, Image, Query, image_id_of
from newtest.sources.allowance import Allowance
from newtest.sources.licenses import flickr_license, flickr_numbers
from newtest.sources.patience import Busy, Patience, patiently
from newtest.sources.protocol import Page, SearchPlan
from newtest.sources.slices import Slices, seconds_of
from newtest.sources.values import moment, number, text_or_none, web_url

__all__ = ["REST_URL", "Flickr", "FlickrConfig"]

REST_URL = "https://api.flickr.com/services/rest/"
SIZES = ("o", "k", "h", "l", "b", "c", "z", "n", "w", "m")
"""Size suffixes by preference: the original, then 2048, 1600, 1024 (l and b are the same), 800, 640, ... pixels."""

_ALL_SIZES = (*SIZES, "6k", "5k", "4k", "3k", "q", "t", "s", "sq")
_EXTRAS = ",".join(
    (
        "license",
        "owner_name",
        "date_taken",
        "date_upload",
        "original_format",
        *(f"url_{size}" for size in _ALL_SIZES),
    )
)
_INVALID_KEY, _BUSY_CODES = 100, frozenset({0, 10, 105, 106, 201})
_MAX_REPLY = 16 * 2**20


@dataclass(frozen=True)
class FlickrConfig:
    """Key and secret, and what Flickr promises: ``cap`` results a query, ``hourly`` calls; ``timeout`` in seconds."""

    key: str
    secret: str = field(repr=False)
    url: str = REST_URL
    page_size: int = 250
    cap: int = 4000
    hourly: int = 3600
    timeout: float = 30.0
    patience: Patience = field(default_factory=Patience)


class Flickr:
    """Photos on Flickr. Raises MissingExtra without flickrapi."""

    name = "flickr"

    def __init__(self, config: FlickrConfig, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._client = _client(config)
        self._allowance = Allowance(f"flickr {config.url} {config.key}", config.hourly, 3600.0)

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """All queries; Flickr filters by dates, licences and words."""
        return SearchPlan(tuple(queries))

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """Pages of at most 500; the cursor is the windows of time still to be asked."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        slices = Slices.parse(after) if after else Slices.of(query, self._config.page_size, today)
        while True:
            photos = self._ask(_parameters(query, slices))
            entries = photos["photo"]
            images = [_image(entry) for entry in entries]
            following = slices.after(number(photos.get("total")) or 0, self._config.cap)
            kept = tuple(image for image in images if image is not None)
            yield Page(kept, following.text() if following else None, len(images) - len(kept))
            if following is None:
                return
            slices = following

    def _ask(self, parameters: dict[str, object]) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            self._allowance.take(self._say)
            return _checked(self._client(parameters))

        return patiently(once, self._config.patience, "Flickr", self._say)


def _parameters(query: Query, slices: Slices) -> dict[str, object]:
    words = [query.text, *(f"-{word}" for term in query.exclude for word in term.split())]
    dates = {
        "min_taken_date": query.taken_after and f"{query.taken_after} 00:00:00",
        "max_taken_date": query.taken_before and f"{query.taken_before} 23:59:59",
        "min_upload_date": query.uploaded_after and seconds_of(query.uploaded_after, end=False),
        "max_upload_date": query.uploaded_before and seconds_of(query.uploaded_before, end=True),
    }
    lo, hi = slices.windows[0]
    if slices.axis == "taken":  # Flickr keeps the camera's own clock, which has no time zone
        dates |= {"min_taken_date": _clock(lo), "max_taken_date": _clock(hi)}
    else:
        dates |= {"min_upload_date": lo, "max_upload_date": hi}
    return {
        "method": "flickr.photos.search",
        "format": "json",
        "nojsoncallback": 1,
        "text": " ".join(words),
        "sort": "date-posted-asc",
        "media": "photos",
        "content_type": 1,
        "safe_search": 1,
        "extras": _EXTRAS,
        "per_page": slices.size,
        "page": slices.page,
        **({"license": flickr_numbers(query.licenses)} if query.licenses else {}),
        **{key: value for key, value in dates.items() if value is not None},
    }


def _clock(seconds: int) -> str:
    moment_ = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment_.strftime("%Y-%m-%d %H:%M:%S")


def _checked(reply: object) -> dict[str, Any]:
    """The ``photos`` of a reply. Raises Busy, SourceUnavailable, SourceError by Flickr's error codes."""
    if isinstance(reply, dict) and reply.get("stat") == "fail":
        code, message = (
            number(reply.get("code")) or 0,
            text_or_none(reply.get("message")) or "no reason given",
        )
        if code == _INVALID_KEY:
            raise SourceUnavailable(
                f"Flickr refused the key ({message}); check FLICKR_API_KEY and FLICKR_API_SECRET, "
                "or collect without a key: `source` openverse"
            )
        if code in _BUSY_CODES:
            raise Busy(f"error {code}, {message}")
        raise SourceError(f"Flickr refused the search: error {code}, {message}")
    photos = reply.get("photos") if isinstance(reply, dict) else None
    if not isinstance(photos, dict) or not isinstance(photos.get("photo"), list):
        raise SourceError("Flickr answered JSON that is not a list of photos; is its address right?")
    return photos


def _image(entry: object) -> Image | None:
    """A photo of a reply as an image; None when it has no id."""
    source_id = text_or_none(entry.get("id")) if isinstance(entry, dict) else None
    if source_id is None or not source_id.isascii() or not source_id.isdigit() or not isinstance(entry, dict):
        return None
    sizes = {}
    for size in _ALL_SIZES:
        if url := web_url(entry.get(f"url_{size}")):
            sizes[size] = (url, number(entry.get(f"width_{size}")), number(entry.get(f"height_{size}")))
    url, width, height = next((sizes[size] for size in SIZES if size in sizes), (None, None, None))
    owner = text_or_none(entry.get("owner"))
    return Image(
        image_id=image_id_of("flickr", source_id),
        source="flickr",
        source_id=source_id,
        url=url,
        page_url=web_url(f"https://www.flickr.com/photos/{owner}/{source_id}") if owner else None,
        title=text_or_none(entry.get("title")),
        license=flickr_license(entry.get("license")),
        owner=text_or_none(entry.get("ownername")) or owner,
        taken_on=moment(entry.get("datetaken")),
        uploaded_on=moment(entry.get("dateupload")),
        width=width,
        height=height,
        sizes=sizes,
        extra={"owner_id": owner} if owner else {},
    )


def _client(config: FlickrConfig) -> Callable[[Mapping[str, object]], object]:
    """A function that makes one signed call and gives the parsed JSON. Raises Busy and SourceError when called."""
    try:
        import flickrapi
        import requests
    except ImportError as error:
        raise MissingExtra("flickrapi", "flickr") from error

    class Client(flickrapi.FlickrAPI):  # type: ignore[misc]
        REST_URL = config.url

    client = Client(config.key, config.secret, format="parsed-json", store_token=False)

    def call(parameters: Mapping[str, object]) -> object:
        oauth = client.flickr_oauth
        deadline = time.monotonic() + config.timeout
        try:
            with oauth.session.post(
                client.REST_URL,
                data=dict(parameters),
                auth=oauth.oauth,
                timeout=config.timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                body = _body(response.iter_content(65536), deadline, config.timeout)
        except requests.exceptions.RequestException as error:
            raise Busy(f"{config.url} cannot be reached or is silent ({type(error).__name__})") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise Busy(
                f"HTTP status {response.status_code}", retry_after(response.headers.get("Retry-After"))
            )
        if response.status_code != 200:
            raise SourceError(
                f"Flickr answered HTTP status {response.status_code}; is {config.url} its address?"
            )
        return _parsed(body)

    return call


def _body(pieces: Iterator[bytes], deadline: float, timeout: float) -> bytes:
    body = b""
    for piece in pieces:
        body += piece
        if len(body) > _MAX_REPLY:
            raise SourceError(f"Flickr's answer is longer than {_MAX_REPLY // 2**20} MiB; it was not read")
        if time.monotonic() > deadline:
            raise Busy(f"the answer was not complete after {timeout:.0f} s")
    return body


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise SourceError(f"Flickr answered something that is not JSON ({error})") from error
