"""``recorded:PATH``: search results as ImageNetV2 recorded them in 2018, one JSON file or a folder of them.

The first format has ``id_ours``, ``id_search_engine``, ``url``, ``wnid``, ``search_key``, dates and perhaps sizes (as
numbers, texts or null); later ones add ``url_type``, ``min_*_date``, ``max_images``, ``batch`` and ``source_filename``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from newtest.errors import SourceError
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.texts import read_bytes
from newtest.records import Class, Image, Query, image_id_of
from newtest.sources.dates import moment, unclear
from newtest.sources.protocol import Page, SearchPlan, only, pages_of, sifted, unfiltered
from newtest.sources.values import number, storable, text_or_none, web_url

__all__ = ["Recorded"]

_ENGINE = re.compile(r"[a-z0-9_-]{1,32}")
_TAKEN_OVER = frozenset({"id_search_engine", "url", "width", "height", "wnid", "search_key", "search_engine"})


class Recorded:
    """Recorded results: the searches of a class are those that were recorded for it. Raises SourceError."""

    def __init__(self, path: Path) -> None:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise SourceError(f"{path}: there is no .json file in this folder")
        digest = hashlib.sha256()
        self._found: dict[tuple[str, str], dict[str, Image]] = {}
        self._unread = self._unclear = 0
        for file in files:
            data = _bytes_of(file)
            digest.update(data)
            for entry in _entries(data, file):
                self._add(entry)
        self.name = f"recorded:{path.name}@{digest.hexdigest()[:12]}"

    def _add(self, entry: object) -> None:
        image = _image(entry) if isinstance(entry, dict) else None
        if image is None or not isinstance(entry, dict):
            self._unread += 1
            return
        days = (entry.get("date_taken"), entry.get("date_upload_search_engine"))
        self._unclear += any(unclear(day) for day in days)
        key = (text_or_none(entry["wnid"]) or "", str(storable(str(entry.get("search_key") or ""))))
        self._found.setdefault(key, {}).setdefault(image.image_id, image)

    limits = None

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """One query for each recorded search text of the class, in the order of the record."""
        texts = [text for wnid, text in self._found if wnid == cls.wnid]
        notes = unfiltered("a recorded result", queries[0], knows=("taken", "uploaded")) if queries else ()
        if self._unread:
            notes += (f"{self.name}: {self._unread} entries have no id or class and are left out",)
        if self._unclear:
            notes += (
                f"{self.name}: {self._unclear} entries have a day that cannot be read for certain: unknown",
            )
        if not texts:
            notes += (f"{self.name}: no results were recorded for {cls.wnid} ({cls.name})",)
        planned = tuple(only(queries[0], text) for text in texts) if queries else ()
        found = {query.text: sifted(self._found[cls.wnid, query.text].values(), query) for query in planned}
        left_out = {text: kept.left_out for text, kept in found.items()}
        return SearchPlan(planned, notes, left_out, {text: kept.unknown for text, kept in found.items()})

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """What was recorded for this class and text, in the order of the record."""
        found = self._found.get((query.wnid, query.text), {})
        return pages_of(sifted(found.values(), query).images, after)


def _bytes_of(file: Path) -> bytes:
    try:
        return read_bytes(file)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror})") from error
    except Unreadable as error:
        raise SourceError(f"{file}: {error}") from error


def _entries(data: bytes, file: Path) -> list[Any]:
    try:
        entries = parse_json(data)
    except ValueError as error:
        raise SourceError(f"{file}: not JSON ({error})") from error
    if not isinstance(entries, list):
        raise SourceError(f"{file}: not a list of search results, but {type(entries).__name__}")
    return entries


def _image(entry: Mapping[str, Any]) -> Image | None:
    """An entry as an image; None when it has no id or no class."""
    source_id, wnid = text_or_none(entry.get("id_search_engine")), text_or_none(entry.get("wnid"))
    engine = text_or_none(entry.get("search_engine")) or "flickr"
    if source_id is None or wnid is None or not _ENGINE.fullmatch(engine):
        return None
    image_id = image_id_of(engine, source_id)
    extra: dict[str, object] = {
        str(storable(key)): storable(value)
        for key, value in entry.items()
        if key not in _TAKEN_OVER and key != "id_ours"
    }
    if entry.get("id_ours") not in (None, image_id):
        extra["published_id"] = storable(entry["id_ours"])
    url = web_url(entry.get("url"))
    width, height = number(entry.get("width")), number(entry.get("height"))
    size = str(entry.get("url_type") or "url").removeprefix("url_")
    return Image(
        image_id=image_id,
        source=engine,
        source_id=source_id,
        url=url,
        page_url=f"https://www.flickr.com/photo.gne?id={source_id}"
        if engine == "flickr" and source_id.isdecimal()
        else None,
        taken_on=moment(entry.get("date_taken")),
        uploaded_on=moment(entry.get("date_upload_search_engine")),
        width=width,
        height=height,
        sizes={size: (url, width, height)} if url else {},
        extra=extra,
    )
