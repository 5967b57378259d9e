"""``flickr``: flickr.photos.search, sliced by date past the 4,000-result limit. The one file that imports flickrapi.

The parameters are Flickr's own (``min_upload_date``, ``max_upload_date``, ``min_taken_date``, ``max_taken_date``);
results are sorted by the day they were posted, as ImageNetV2's were. flickrapi's ``walk()`` is broken, and its
errors hide the Retry-After header: pages are asked for by hand, over its signed session.
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.download.retry_after import retry_after
from newtest.errors import MissingExtra, SourceError, SourceUnavailable
from newtest.reading.jsons import parse_json
from newtest.records import Class, Image, Query, image_id_of
from newtest.sources.allowance import Allowance
from newtest.sources.budget import Limits
from newtest.sources.dates import moment
from newtest.sources.licenses import flickr_license, flickr_numbers
from newtest.sources.patience import Busy, Patience, patiently
from newtest.sources.protocol import Page, SearchPlan
from newtest.sources.slices import Slices, seconds_of
from newtest.sources.values import number, text_or_none, web_url

__all__ = ["REST_URL", "Flickr", "FlickrConfig"]

REST_URL = "https://api.flickr.com/services/rest/"
SIZES = ("o", "6k", "5k", "4k", "3k", "k", "h", "l", "b", "c", "z", "m", "w", "n", "s", "t")
"""Size suffixes from large to small: the original, then longer sides of 6144, 5120, 4096, 3072, 2048, 1600, 1024 (l and
b are the same), 800, 640, 500, 400, 320, 240 and 100 pixels. Where numbers of pixels are known, they decide."""

_ALL_SIZES = (*SIZES, "q", "sq")  # these are squares cut out of the photo
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
_BAD_SIGNATURE = frozenset({96, 97})
_GRANULARITY = {"4": ("month", 7), "6": ("year", 4), "8": ("circa", 4)}
"""flickr.com/services/api/misc.dates.html: how much of a day taken is known, as characters of its ISO form."""
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

    @property
    def limits(self) -> Limits:
        """So many calls per hour and key."""
        return Limits(self._config.page_size, ((self._config.hourly, 3600.0),))

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """All queries; Flickr filters by dates, licences and words."""
        return SearchPlan(tuple(queries))

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """Pages of at most 500; the cursor is the windows of time still to be asked."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        slices = Slices.parse(after) if after else Slices.of(query, self._config.page_size, today)
        before: set[object] = set()
        while True:
            photos = self._ask(_parameters(query, slices))
            entries = photos["photo"]
            images = [_image(entry) for entry in entries]
            ids: set[object] = {str(entry.get("id")) for entry in entries if isinstance(entry, dict)}
            following = slices.after(
                number(photos.get("total")) or 0, self._config.cap, len(entries), repeats=ids <= before
            )
            before = ids if following and following.windows == slices.windows else set()
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
        if code in _BAD_SIGNATURE:
            raise SourceUnavailable(f"Flickr did not accept the signature ({message}); {_BAD_HALF}")
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
    url, width, height = _largest(sizes)
    taken_on, granularity = _taken(entry)
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
        taken_on=taken_on,
        uploaded_on=moment(entry.get("dateupload")),
        width=width,
        height=height,
        sizes=sizes,
        extra={
            **({"owner_id": owner} if owner else {}),
            **({"taken_granularity": granularity} if granularity else {}),
        },
    )


def _largest(
    sizes: Mapping[str, tuple[str, int | None, int | None]],
) -> tuple[str | None, int | None, int | None]:
    """The size with the most pixels; one whose pixels are not said stands where its name stands."""
    whole = [sizes[size] for size in SIZES if size in sizes]
    if not whole:
        return None, None, None
    first = whole[0]
    if None in first[1:]:
        return first
    return max(whole, key=lambda size: (size[1] or 0) * (size[2] or 0))


def _taken(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The day a photo was taken, as exactly as its owner knows it, and ``month``, ``year`` or ``circa`` where that is
    less than a day. Nothing where Flickr says that it is unknown: the date in its place is that of the upload."""
    if str(entry.get("datetakenunknown", "0")) == "1":
        return None, None
    taken = moment(entry.get("datetaken"))
    name, length = _GRANULARITY.get(str(entry.get("datetakengranularity", "0")), (None, None))
    return (taken[:length] if taken else None), (name if taken else None)


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
        if response.status_code == 401:
            raise SourceUnavailable(_unauthorized(body))
        if response.status_code != 200:
            raise SourceError(
                f"Flickr answered HTTP status {response.status_code}; is {config.url} its address?"
            )
        return _parsed(body)

    return call


_BAD_HALF = (
    "the key is known but the secret is wrong: check FLICKR_API_SECRET (or secret under [flickr]), which "
    "belongs to the key in FLICKR_API_KEY"
)


def _unauthorized(body: bytes) -> str:
    """What a 401 says: Flickr names the problem in a form of its own (``oauth_problem=signature_invalid&...``)."""
    found = re.search(rb"oauth_problem=([a-z_]+)", body[:2000])
    problem = found[1].decode() if found else "no reason given"
    if problem == "signature_invalid":
        return f"Flickr did not accept the signature; {_BAD_HALF}"
    if problem.startswith("consumer_key"):
        return f"Flickr refused the key ({problem}); check FLICKR_API_KEY and FLICKR_API_SECRET"
    if problem in ("timestamp_refused", "nonce_used"):
        return f"Flickr refused the time of the call ({problem}); check this machine's clock"
    return (
        f"Flickr refused the key or the secret (HTTP status 401, {problem}); "
        "check FLICKR_API_KEY and FLICKR_API_SECRET"
    )


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
        return parse_json(body)
    except ValueError as error:
        raise SourceError(f"Flickr answered something that is not JSON ({error})") from error
