"""Flickr's REST protocol on loopback: flickr.photos.search as JSON, signed with OAuth 1, with its limits and errors.

At most 500 a page; the first ``cap`` results of a query (4,000 in real life), beyond which the last page comes again;
``hourly`` calls, then 429; ``hides`` results that the total does not count; the signature is checked; error codes 1 to
200 arrive with status 200 as ``{"stat": "fail"}``.
"""

from __future__ import annotations

import base64
import datetime
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web
from oauthlib.oauth1.rfc5849 import signature
from servers.faults import FaultyApi

__all__ = ["FlickrServer", "Photo", "made_photos"]

DAY = 86_400


@dataclass(frozen=True)
class Photo:
    """A photo on Flickr; ``uploaded`` in seconds since 1970, ``taken`` as ``YYYY-MM-DD HH:MM:SS``, ``urls`` by size."""

    number: int
    uploaded: int
    taken: str
    title: str = "a photo"
    license: int = 4
    urls: Sequence[str] = ("o", "z")
    more: Mapping[str, object] = field(default_factory=dict)


def made_photos(numbers: Sequence[int], *, begin: str = "2012-07-11", every: int = 3600) -> list[Photo]:
    """Photos posted one after another; each was taken three days before it was posted."""
    start = int(datetime.datetime.fromisoformat(begin).replace(tzinfo=datetime.UTC).timestamp())
    return [
        Photo(number, start + place * every, _clock(start + place * every - 3 * DAY), license=number % 8)
        for place, number in enumerate(numbers)
    ]


class FlickrServer(FaultyApi):
    """``photos`` by search text; ``asked`` holds (text, min_upload, max_upload, min_taken, max_taken, page).

    Further faults: ``key`` (error 100), ``unavailable`` (error 105), ``unknown`` (error 3), ``strange`` (photos that
    lack an id, a URL, or are not objects).
    """

    key = "0123456789abcdef"
    secret = "s"

    def __init__(
        self,
        photos: Mapping[str, Sequence[Photo]],
        *,
        cap: int = 4000,
        hourly: int = 3600,
        latency: float = 0.0,
        hides: int = 0,
    ) -> None:
        super().__init__(latency)
        self.photos, self.cap, self.hourly, self.hides = photos, cap, hourly, hides

    @property
    def url(self) -> str:
        return f"{self.base}/services/rest/"

    async def fault(self, name: str) -> web.StreamResponse | None:
        codes = {
            "key": (100, "Invalid API Key (Key has invalid format)"),
            "unavailable": (105, "Service currently unavailable"),
        }
        if name in codes:
            return _fail(*codes[name])
        if name == "unknown":
            return _fail(3, "Parameterless searches have been disabled")
        if name == "strange":
            photos = [
                {"title": "no id"},
                7,
                {"id": "../../etc"},
                {"id": "77", "owner": "a", "title": "no url"},
            ]
            return web.json_response({"stat": "ok", "photos": {"page": 1, "total": 4, "photo": photos}})
        return await super().fault(name)

    async def reply(self, request: web.Request) -> web.StreamResponse:
        signed = re.search(r'oauth_consumer_key="([^"]*)"', request.headers.get("Authorization", ""))
        if request.path != "/services/rest/" or request.method != "POST":
            raise web.HTTPNotFound
        if signed is None or signed[1] != self.key:
            return _fail(100, "Invalid API Key (Key not found)")
        if self.requests > self.hourly:
            return web.Response(status=429, headers={"Retry-After": "3600"})
        form = {key: str(value) for key, value in (await request.post()).items()}
        if not self._is_signed(request, form):
            # As Flickr answers: github.com/sybrenstuvel/flickrapi/issues/147
            return web.Response(
                status=401, text="oauth_problem=signature_invalid&debug_sbs=POST&https%3A%2F%2Fapi"
            )
        if form.get("method") != "flickr.photos.search" or form.get("format") != "json":
            return _fail(112, "Method not found")
        return web.json_response({"stat": "ok", "photos": self._search(form)})

    def _is_signed(self, request: web.Request, form: Mapping[str, str]) -> bool:
        """Whether the secret that made the signature (RFC 5849) is ours."""
        given = dict(re.findall(r'(oauth_\w+)="([^"]*)"', request.headers["Authorization"]))
        signature_ = unquote(given.pop("oauth_signature"))
        parameters = [*form.items(), *((key, unquote(value)) for key, value in given.items())]
        base = signature.signature_base_string("POST", self.url, signature.normalize_parameters(parameters))
        key = f"{self.secret}&".encode()
        return signature_ == base64.b64encode(hmac.digest(key, base.encode(), "sha1")).decode()

    def _search(self, form: Mapping[str, str]) -> dict[str, object]:
        window = [form.get(f"{end}_{what}_date") for what in ("upload", "taken") for end in ("min", "max")]
        per_page, page = min(500, int(form.get("per_page", 100))), int(form.get("page", 1))
        self.asked.append((form["text"], *window, page))
        text, *excluded = form["text"].split(" -")
        found = [
            photo
            for photo in self.photos.get(text, ())
            if _inside(photo, window)
            and ("license" not in form or str(photo.license) in form["license"].split(","))
            and not any(word in photo.title.split() for word in excluded)
        ]
        found.sort(key=lambda photo: (photo.uploaded, photo.number))
        served = found[: self.cap]
        last_page = max(1, -(-len(served) // per_page))
        shown = served[(min(page, last_page) - 1) * per_page :][:per_page]
        return {
            "page": page,
            "pages": -(-len(found) // per_page),
            "perpage": per_page,
            "total": str(max(0, len(found) - self.hides)),
            "photo": [self._entry(photo, form.get("extras", "").split(",")) for photo in shown],
        }

    def _entry(self, photo: Photo, extras: Sequence[str]) -> dict[str, object]:
        entry: dict[str, object] = {
            "id": str(photo.number),
            "owner": "12345@N01",
            "title": photo.title,
            "secret": "x",
        }
        known = {
            "license": str(photo.license),
            "date_upload": str(photo.uploaded),
            "date_taken": photo.taken,
            "owner_name": "Ann",
        }
        names = {"date_upload": "dateupload", "date_taken": "datetaken", "owner_name": "ownername"}
        for extra in extras:
            if extra in known:
                entry[names.get(extra, extra)] = known[extra]
            if extra.startswith("url_") and extra[4:] in photo.urls:
                entry |= {
                    extra: f"{self.base}/photo/{photo.number}.jpg",
                    f"width_{extra[4:]}": 640,
                    f"height_{extra[4:]}": "480",
                }
        return entry | dict(photo.more)


def _inside(photo: Photo, window: Sequence[str | None]) -> bool:
    min_upload, max_upload, min_taken, max_taken = window
    return (
        (min_upload is None or photo.uploaded >= int(min_upload))
        and (max_upload is None or photo.uploaded <= int(max_upload))
        and (min_taken is None or photo.taken >= min_taken)
        and (max_taken is None or photo.taken <= max_taken)
    )


def _clock(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _fail(code: int, message: str) -> web.Response:
    return web.json_response({"stat": "fail", "code": code, "message": message})
