"""A pool's columns under one name each, whatever DataComp, img2dataset or LAION called them, and as one type each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from newtest.errors import PoolError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.image_types import ImageColumn, image_columns, is_list

__all__ = ["ALIASES", "chosen_column", "column_of", "is_told", "plain", "require_text", "source_of"]

ALIASES = {
    "uid": ("uid",),
    "url": ("url", "URL"),
    "text": ("text", "caption", "TEXT"),
    "key": ("key",),
    "width": ("original_width", "width", "WIDTH"),
    "height": ("original_height", "height", "HEIGHT"),
    "sha256": ("sha256",),
    "face_bboxes": ("face_bboxes",),
    "status": ("status",),
}
"""Canonical column -> the names it has in DataComp's, img2dataset's and LAION's tables, first found first."""


_TEXTUAL = frozenset(alias for name in ("uid", "url", "text") for alias in ALIASES[name])


_TEXT_TYPES = ("string", "string_view", "binary", "binary_view", "null")


def chosen_column(schema: pa.Schema, named: str | None, where: str) -> ImageColumn | None:
    """The column of images that was named, else the only one; None where there is none. Raises PoolError."""
    if named is not None:
        column = ImageColumn.named(named, schema.names)
        if column.name not in schema.names:
            raise PoolError(f"{where} has no column {column.name!r}; it has {', '.join(schema.names)}")
        return column
    found = image_columns(schema)
    if len(found) > 1:
        raise PoolError(
            f"{where} has several columns of images ({', '.join(found)}); choose one with `image_col`"
        )
    return ImageColumn(found[0]) if found else None


def source_of(name: str, present: Sequence[str], where: str) -> list[str]:
    """The table's columns that tell a canonical column. Raises PoolError that lists what there is."""
    for alias in ALIASES.get(name, (name,)):
        if alias in present:
            return [alias]
    if name == "uid":
        parts = [
            alias for wanted in ("url", "key", "sha256") for alias in ALIASES[wanted] if alias in present
        ][:1]
        text = [alias for alias in ALIASES["text"] if alias in present][:1]
        if parts or text:
            return parts + text
    looked = ", ".join(ALIASES.get(name, (name,)))
    raise PoolError(f"{where} has no column for {name!r} (looked for {looked}); it has {', '.join(present)}")


def is_told(name: str, present: Collection[str]) -> bool:
    """Whether columns of these names tell a canonical column, by its own name or by what it is derived from."""
    told_by = ("uid", "url", "key", "sha256") if name == "uid" else (name,)
    return any(alias in present for each in told_by for alias in ALIASES.get(each, (each,)))


def require_text(fields: Sequence[pa.Field], pool: str, shard: str) -> None:
    """Captions, URLs and uids are text. Raises PoolError that names the column."""
    for field in fields:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if field.name in ALIASES["uid"]:
            continue
        if is_list(kind) and field.name in ALIASES["text"]:
            kind = kind.value_type
        if field.name in _TEXTUAL and str(kind).removeprefix("large_") not in _TEXT_TYPES:
            raise PoolError(
                f"{pool}: the column {field.name!r} of shard {shard} holds {field.type} and not text; "
                "write that table again with the column as text"
            )


def column_of(table: pa.Table, name: str, sources: Sequence[str], where: str) -> pa.ChunkedArray | pa.Array:
    """A canonical column out of the table's own. Raises PoolError."""
    if name == "uid" and list(sources) == ["uid"]:
        return ids.canonical_column(table["uid"], where)
    if name != "uid":
        column = plain(table[sources[0]])
        return _as_text(column, f"{where}: the column {sources[0]!r}") if name in ("text", "url") else column
    texts = [source for source in sources if source in ALIASES["text"]]
    others = [source for source in sources if source not in texts]
    nothing: list[str | None] = [None] * len(table)
    return ids.to_hex(
        ids.derived(
            plain(table[others[0]]).to_pylist() if others else nothing,
            plain(table[texts[0]]).to_pylist() if texts else nothing,
        )
    )


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """A column as the types that all else knows: of views and dictionaries of text plain text, of lists of texts the
    first of each (null for an empty list).
    """
    kind = column.type
    if pa.types.is_dictionary(kind) and str(kind.value_type).removeprefix("large_") in _TEXT_TYPES:
        return plain(pc.cast(column, kind.value_type))
    if is_list(kind) and str(kind.value_type).removeprefix("large_") in _TEXT_TYPES:
        firsts = [
            next((text for text in texts or () if text is not None), None) for texts in column.to_pylist()
        ]
        return pa.array(firsts, pa.large_string())
    if str(kind) == "string_view":
        return pc.cast(column, pa.large_string())
    return column


def _as_text(column: pa.ChunkedArray | pa.Array, what: str) -> pa.ChunkedArray | pa.Array:
    """Captions and URLs that stand as bytes in a table, as the text that they are. Raises PoolError."""
    if "binary" not in str(column.type):
        return column
    try:
        texts = [None if data is None else data.decode("utf-8") for data in column.to_pylist()]
    except UnicodeDecodeError as error:
        raise PoolError(
            f"{what} holds bytes that are not UTF-8; write that table again with it as text"
        ) from error
    return pa.array(texts, pa.large_string())
