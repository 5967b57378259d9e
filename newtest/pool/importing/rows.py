"""The table's row of a sample: what newtest found out about its image, its captions, and what others said of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from newtest.download.urls import without_credentials
from newtest.errors import ImageError
from newtest.images import check
from newtest.pool.storage import uids as ids

__all__ = ["OURS", "about_image", "columns_of", "row_of", "table_of"]

OURS = pa.schema(
    [
        ("uid", pa.string()), ("key", pa.string()), ("text", pa.string()), ("texts", pa.list_(pa.string())),
        ("original_width", pa.int64()), ("original_height", pa.int64()), ("sha256", pa.string()),
        ("source", pa.string()),
    ]
)  # fmt: skip
"""The columns that every imported table has. ``text`` is the first of ``texts``, which are all captions."""


def about_image(data: bytes | None) -> tuple[dict[str, Any], str | None]:
    """Hash and size of an image, or why it is not one: a short word."""
    if data is None:
        return {}, "no image"
    told: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        info = check(data)
    except ImageError as error:
        return told, error.kind
    return {**told, "original_width": info.width, "original_height": info.height}, None


def row_of(
    key: str, source: str, image: Mapping[str, Any], texts: Sequence[str], said: Mapping[str, Any]
) -> dict[str, Any]:
    """A row; ``said`` is what its ``.json`` and tables say. A uid of no known form is kept as ``given_uid``."""
    text = texts[0] if texts else None
    row = {
        "uid": ids.canonical(said.get("uid")), "key": key, "text": text, "texts": list(texts) or None,
        "original_width": None, "original_height": None, "sha256": None, "source": source, **image,
    }  # fmt: skip
    for name, value in said.items():
        if isinstance(value, str) and name != "text":
            value = without_credentials(value)
        if name == "uid" and (row["uid"] is not None or value in (None, "")):
            continue
        row[f"given_{name}" if name in OURS.names or name == "given_uid" else str(name)] = value
    if row["uid"] is None:
        name = said.get("url") or row["sha256"] or key
        row["uid"] = ids.to_hex(ids.derived([str(name)], [text]))[0].as_py()
    return row


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Our columns, then the others by name. What Arrow finds no one type for stands there as JSON."""
    others = sorted({name for row in rows for name in row} - set(OURS.names))
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in OURS}
    for name in others:
        columns[name] = _column([row.get(name) for row in rows])
    return pa.table(columns)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table: every key is a column, in the order in which they appear."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        array = pa.array(values)
        if array.type != pa.struct([]) and not pa.types.is_null(array.type):
            return array
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    texts = [value if value is None or isinstance(value, str) else _json(value) for value in values]
    return pa.array(texts, pa.string())


def _json(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)
