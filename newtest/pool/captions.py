"""ImageNet-Captions (Fang et al. 2022): a labelled set joined with the text of its Flickr photos, as an
image-text pool.

ImageNet's file names carry no photo id; where a table knows it, the photo's title, description and tags are
the caption. The rule: a row of the set (``file``, ``wnid``, ``photo_id``) meets a photo (``photo_id``,
``title``, ``description``, ``tags``) by id; the caption is title, description and tags in this order, HTML
taken off, those that are missing left out. A row without a photo, or whose photo has no text at all, is not
in the pool and is counted.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.errors import PoolError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.claims import claim
from newtest.pool.storage.location import place_of
from newtest.reading.failures import translated
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import read_parquet
from newtest.reading.separated import read_separated
from newtest.reading.texts import lines_of, read_text

__all__ = ["Joined", "caption_of", "join_captions", "read_rows"]

_LONGEST = 20_000


@dataclass(frozen=True)
class Joined:
    """Rows of the set, rows with a photo, and rows whose photo has text (those in the pool)."""

    rows: int
    matched: int
    captioned: int
    photos: int = 0
    """Rows of the photos."""
    photos_unused: int = 0
    """Those without an id, and those that no row of the set names."""
    photos_repeated: int = 0
    """Those that stand there again with the same text."""
    texts_cut: int = 0
    """Titles, descriptions and tags of more than 20,000 characters, of which the rest is left out."""

    @property
    def match_rate(self) -> float:
        """The share of the set that has a caption; 0 for an empty set."""
        return self.captioned / self.rows if self.rows else 0.0


def join_captions(labels: pd.DataFrame, photos: pd.DataFrame, out: str | Path) -> Joined:
    """Write ``out/00000000.parquet``: uid, url, text, title, description, tags, file, wnid, photo_id; returns
    the counts.

    ``labels`` needs ``file``, ``wnid`` and ``photo_id``; ``photos`` needs ``photo_id`` and ``title``, and may have
    ``description``, ``tags`` (a list, or words with spaces between) and ``url``. A missing photo id meets nothing.
    Raises PoolError for missing columns and for a photo that stands twice with different text.
    """
    _require(labels, ("file", "wnid", "photo_id"), "the labelled set")
    _require(photos, ("photo_id", "title"), "the photos")
    texts: dict[str, dict[str, Any]] = {}
    nameless = repeated = cut = 0
    for photo in photos.to_dict("records"):
        known = {key: _plain(photo.get(key)) for key in ("title", "description", "tags", "url")}
        cut += sum(isinstance(value, str) and len(value) > _LONGEST for value in photo.values())
        name = _id(photo["photo_id"])
        if not name:
            nameless += 1
        elif name in texts and texts[name] != known:
            raise PoolError(f"the photo {name} stands twice with different text; keep one of the two")
        else:
            repeated += name in texts
            texts[name] = known
    rows, matched = [], 0
    for label in labels.sort_values(["file", "wnid"], kind="stable").to_dict("records"):
        name = _id(label["photo_id"])
        found = texts.get(name)
        matched += found is not None
        caption = caption_of(found) if found else ""
        if found and caption:
            row = {"file": str(label["file"]), "wnid": str(label["wnid"]), "photo_id": name}
            rows.append({**row, "text": caption, **found})
    uids = ids.to_hex(ids.derived([row["file"] for row in rows], [row["text"] for row in rows])).to_pylist()
    table = pa.Table.from_pylist([{"uid": uid, **row} for uid, row in zip(uids, rows, strict=True)], SCHEMA)
    claim(place_of(out), "caption-pool", {}, "")
    with place_of(out).writing("00000000.parquet") as path:
        pq.write_table(table, path)
    unused = nameless + len(texts.keys() - {_id(value) for value in labels["photo_id"]})
    return Joined(len(labels), matched, len(rows), len(photos), unused, repeated, cut)


def caption_of(photo: dict[str, Any]) -> str:
    """Title, description and tags as one line of text."""
    return " ".join(
        part for part in (photo.get("title"), photo.get("description"), photo.get("tags")) if part
    )


def read_rows(path: Path) -> pd.DataFrame:
    """A table as CSV, TSV, Parquet or JSON lines, every value as text. Raises PoolError."""
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        if path.suffix in (".jsonl", ".json"):
            return _json_rows(path)
        return read_separated(
            path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False
        )
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: cannot be read as a table ({error})") from error


def _json_rows(path: Path) -> pd.DataFrame:
    """Objects, one per row: a list, one per line, or columns of rows as pandas writes them. Raises ValueError."""
    text = read_text(path)
    if path.suffix == ".jsonl":
        return pd.DataFrame([parse_json(line) for line in lines_of(text) if line.strip()])
    with translated("a list of objects"):
        return pd.DataFrame(parse_json(text))


SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("uid", "url", "text", "title", "description", "tags", "file", "wnid", "photo_id")
    ]
)


def _id(value: Any) -> str:
    """A number or text as text, "" for none; a column with holes gives 123.0 for 123."""
    if value is None or value is pd.NA or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _plain(value: Any) -> str | None:
    """Text without HTML and line ends; lists joined; None for nothing."""
    if isinstance(value, dict):  # Flickr's {"_content": TEXT}, and {"tag": [{"raw": TEXT}, ...]}
        value = value.get("raw", value.get("_content", value.get("tag")))
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        value = " ".join(_plain(item) or "" for item in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        value = _id(value)  # a photo may be called 2019
    if not isinstance(value, str):
        return None
    text = html.unescape(re.sub(r"<[^<>]{0,1000}>", " ", value[:_LONGEST]))
    return " ".join(text.split()) or None


def _require(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise PoolError(f"{what}: no column {missing[0]!r}; it has {', '.join(map(str, frame.columns))}")
