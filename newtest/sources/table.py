"""``table:PATH``: a CSV or Parquet file with the columns image_id, wnid, and url or path; anything else is kept.

The table's own ids stay the images' ids, so that votes about them can be imported. A path is relative to the
table. ``page_url``, ``title``, ``license``, ``owner``, ``taken_on``, ``uploaded_on``, ``width`` and ``height`` are
understood where they are there, a licence in any spelling and a day in any form that can be read in one way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from newtest.errors import SourceError
from newtest.files import sha256_of
from newtest.licenses import normal_license
from newtest.reading.parquet import read_parquet
from newtest.records import Class, Image, Query
from newtest.sources.dates import moment, unclear
from newtest.sources.protocol import Page, SearchPlan, only, pages_of, sifted, unfiltered
from newtest.sources.values import number, storable, text_or_none, web_url
from newtest.spreadsheets import TEXTS, read_sheet, unguarded

__all__ = ["Table"]

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_COLUMNS = frozenset(
    {"image_id", "wnid", "url", "path", "page_url", "title", "license", "owner", "taken_on", "uploaded_on"}
    | {"width", "height"}
)


class Table:
    """A table of candidates. Raises SourceError: cannot be read, columns missing, an id that cannot be one."""

    def __init__(self, path: Path) -> None:
        rows = _rows(path)
        self.name = f"table:{path.name}@{sha256_of(path)[:12]}"
        self._knows: list[str] = [
            knows
            for knows, column in (("taken", "taken_on"), ("uploaded", "uploaded_on"), ("license", "license"))
            if rows and column in rows[0]
        ]
        self._found: dict[str, dict[str, Image]] = {}
        self._repeated: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._unclear: Counter[str] = Counter()
        self._two_places: dict[str, str] = {}
        for position, row in enumerate(rows, start=1):
            image = _image(row, path, position)
            wnid = text_or_none(row["wnid"])
            if wnid is None:
                raise SourceError(f"{path}, row {position}: no wnid")
            self._unclear[wnid] += unclear(row.get("taken_on")) or unclear(row.get("uploaded_on"))
            first = self._found.setdefault(wnid, {}).setdefault(image.image_id, image)
            if first is not image:
                self._repeat(wnid, first, image)

    limits = None

    def _repeat(self, wnid: str, first: Image, again: Image) -> None:
        """A row with an id that its class has: the first one stays, and this one is counted."""
        if first.url == again.url:
            self._repeated[wnid]["a row that is there already"] += 1
            return
        self._repeated[wnid]["an id that has another path already"] += 1
        self._two_places.setdefault(wnid, f"{first.image_id} is at {_place(first)} and at {_place(again)}")

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """One query: the table's rows of this class."""
        notes = unfiltered("this table", queries[0], knows=self._knows) if queries else ()
        if cls.wnid not in self._found:
            return SearchPlan((), (*notes, f"{self.name}: no rows for {cls.wnid} ({cls.name})"))
        if example := self._two_places.get(cls.wnid):
            number_ = self._repeated[cls.wnid]["an id that has another path already"]
            notes += (
                f"{self.name}, class {cls.wnid}: {number_} rows have an id that another row has with another path or "
                f"URL, and are left out: {example}",
            )
        if number_ := self._unclear[cls.wnid]:
            notes += (
                f"{self.name}, class {cls.wnid}: {number_} rows have a day that cannot be read for certain, such as "
                "01/02/2005; it counts as unknown",
            )
        planned = tuple(only(query, cls.wnid) for query in queries[:1])
        found = {query.text: sifted(self._found[cls.wnid].values(), query) for query in planned}
        repeated, unread = self._repeated[cls.wnid], {"day that cannot be read for certain": number_}
        return SearchPlan(
            planned,
            notes,
            {text: {**kept.left_out, **repeated} for text, kept in found.items()},
            {text: {**kept.unknown, **(unread if number_ else {})} for text, kept in found.items()},
        )

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """The rows of the class in the table's order."""
        found = self._found.get(query.wnid, {})
        return pages_of(sifted(found.values(), query).images, after)


def _place(image: Image) -> str:
    return image.url or "no place"


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            frame = read_parquet(path)
        else:
            frame = read_sheet(path)
            for name in {*TEXTS} & {*frame.columns}:  # a release's manifest.csv may be such a table
                frame[name] = frame[name].map(unguarded)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SourceError(f"{path}: not a CSV or Parquet table ({error})") from error
    missing = [name for name in ("image_id", "wnid") if name not in frame.columns]
    if not {"url", "path"} & set(frame.columns):
        missing.append("url or path")
    if missing:
        raise SourceError(
            f"{path}: the column {missing[0]!r} is missing; it has {', '.join(map(str, frame.columns))}"
        )
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(key): value for key, value in record.items()} for record in records]


def _image(row: Mapping[str, Any], table: Path, position: int) -> Image:
    image_id = text_or_none(row["image_id"])
    if image_id is None or not _ID.fullmatch(image_id):
        raise SourceError(
            f"{table}, row {position}: {row['image_id']!r} cannot be an image_id: 1 to 128 letters, digits, _ . : or -"
        )
    url, path = web_url(row.get("url")), text_or_none(row.get("path"))
    if url is None and path is not None:
        url = (table.parent / path).resolve().as_uri()
    extra = {str(key): _plain(value) for key, value in row.items() if key not in _COLUMNS}
    given = text_or_none(row.get("license"))
    license_ = normal_license(given)
    if license_ != given:
        extra["license_as_given"] = given
    return Image(
        image_id=image_id,
        source="table",
        source_id=image_id,
        url=url,
        page_url=web_url(row.get("page_url")),
        title=text_or_none(row.get("title")),
        license=license_,
        owner=text_or_none(row.get("owner")),
        taken_on=moment(row.get("taken_on")),
        uploaded_on=moment(row.get("uploaded_on")),
        width=number(row.get("width")),
        height=number(row.get("height")),
        extra={key: value for key, value in extra.items() if value not in (None, "")},
    )


def _plain(value: object) -> object:
    """A cell as a JSON value."""
    return storable(value.tolist() if hasattr(value, "tolist") else value)
