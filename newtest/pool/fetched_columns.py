"""The columns of a fetched pool: every column of the input as it is, and what newtest found out beside them.

A filter before the download and one after it keep the same rows, so sizes and hashes that the input has stay what they
were, and those of the image that came are ``fetched_width``, ``fetched_height`` and ``fetched_sha256``. What only the
download knows (``key``, ``status``, ...) is the download's; a column of the input of that name becomes ``given_NAME``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from newtest.pool.storage import uids as ids
from newtest.pool.storage.canonical import ALIASES
from newtest.pool.url_tables import CAPTION, UID, URL

__all__ = ["Names", "json_of"]

_OURS = {
    "key": pa.string(), "status": pa.string(), "error": pa.string(), "final": pa.bool_(), "format": pa.string(),
    "faces_blurred": pa.int64(), "sha256": pa.string(), "original_width": pa.int64(), "original_height": pa.int64(),
}  # fmt: skip
_RESIZED = {"resized_width": pa.int64(), "resized_height": pa.int64()}
_THEIRS = {"sha256": "sha256", "original_width": "width", "original_height": "height"}
"""What stays the input's where it has it -> under which canonical name it is looked for."""

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str, allow_nan=False)


@dataclass(frozen=True)
class Names:
    """What each of our columns is called, beside an input that has these columns."""

    columns: Mapping[str, str]
    renamed: Mapping[str, str]
    """Columns of the input that give way."""
    added: tuple[str, ...]
    """Of ``uid``, ``url`` and ``text`` those that the input has under no name that a pool knows."""

    @classmethod
    def of(cls, batch: pa.Table, *, resized: bool = False) -> Names:
        """For one input; ``resized`` images have sizes of their own beside those that came."""
        present = [name for name in batch.column_names if name not in (URL, CAPTION, UID)]
        columns = {}
        for name in (*_OURS, *(_RESIZED if resized else ())):
            kind = _THEIRS.get(name)
            theirs = kind is not None and any(alias in present for alias in ALIASES[kind])
            columns[name] = f"fetched_{kind}" if theirs else name
        taken = {name for name in columns.values() if name in present}
        added = tuple(
            name for name in ("uid", "url", "text") if not any(alias in present for alias in ALIASES[name])
        )
        return cls(columns, {name: f"given_{name}" for name in sorted(taken)}, added)

    def given(self, batch: pa.Table) -> pa.Table:
        """The input's own columns, in their order."""
        own = batch.select([name for name in batch.column_names if name not in (URL, CAPTION, UID)])
        return own.rename_columns([self.renamed.get(name, name) for name in own.column_names])

    def table(self, batch: pa.Table, results: Sequence[Mapping[str, Any]]) -> pa.Table:
        """The table of a shard: the input's columns, then ours."""
        table = self.given(batch)
        for name, source in (("uid", UID), ("url", URL), ("text", CAPTION)):
            if name in self.added:
                table = table.append_column(name, batch[source])
            elif name == "uid":
                table = table.set_column(table.column_names.index("uid"), "uid", batch[UID])
        for name, ours in self.columns.items():
            values = pa.array([result.get(name) for result in results], (_OURS | _RESIZED)[name])
            table = table.append_column(ours, values)
        return table

    def ours(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Our columns of one row."""
        return {ours: result.get(name) for name, ours in self.columns.items()}

    def told(self, table: pa.Table) -> dict[tuple[str, str | None], dict[str, Any]]:
        """What the table of an earlier run says of each row, by uid and URL."""
        urls = next((name for name in ALIASES["url"] if name in table.column_names), "url")
        uids = ids.canonical_column(table["uid"], "uid").to_pylist()
        names = {ours: name for ours, name in self.columns.items() if name in table.column_names}
        rows = table.select(list(names.values())).to_pylist()
        return {
            (uid, url): {ours: row[name] for ours, name in names.items()}
            for uid, url, row in zip(uids, table[urls].to_pylist(), rows, strict=True)
        }


def json_of(described: Mapping[str, Any]) -> str:
    """The ``.json`` of a sample: every value as JSON has it, a NaN as null."""
    try:
        return _JSON.encode(described)
    except ValueError:  # a NaN, which few have: looking for one in each value takes longer than all the rest
        return _JSON.encode(_plain(described))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
