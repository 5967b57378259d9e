"""``table:PATH``: a CSV or Parquet file with the columns image_id, wnid, and url or path; anything else is kept.

The table's own ids stay the images' ids, so that votes about them can be imported. A path is relative to the
table. ``page_url``, ``title``, ``license``, ``owner``, ``taken_on``, ``uploaded_on``, ``width`` and ``height`` are
understood where they are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from newtest.errors import SourceError
from newtest.files import sha256_of
from newtest.records import Class, Image, Query
from newtest.sources.protocol import Page, SearchPlan, matches, only, pages_of, unfiltered
from newtest.sources.values import moment, number, storable, text_or_none, web_url
from newtest.spreadsheets import TEXTS, unguarded

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
        for position, row in enumerate(rows, start=1):
            image = _image(row, path, position)
            wnid = text_or_none(row["wnid"])
            if wnid is None:
                raise SourceError(f"{path}, row {position}: no wnid")
            self._found.setdefault(wnid, {}).setdefault(image.image_id, image)

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """One query: the table's rows of this class."""
        notes = unfiltered("this table", queries[0], knows=self._knows) if queries else ()
        if cls.wnid not in self._found:
            return SearchPlan((), (*notes, f"{self.name}: no rows for {cls.wnid} ({cls.name})"))
        return SearchPlan(tuple(only(query, cls.wnid) for query in queries[:1]), notes)

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """The rows of the class in the table's order."""
        found = self._found.get(query.wnid, {})
        return pages_of([image for image in found.values() if matches(image, query)], after)


def _rows(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
            for name in {*TEXTS} & {*frame.columns}:  # a release's manifest.csv may be such a table
                frame[name] = frame[name].map(unguarded)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, pd.errors.ParserError) as error:
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
    return Image(
        image_id=image_id,
        source="table",
        source_id=image_id,
        url=url,
        page_url=web_url(row.get("page_url")),
        title=text_or_none(row.get("title")),
        license=text_or_none(row.get("license")),
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
