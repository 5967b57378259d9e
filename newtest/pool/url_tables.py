"""The tables that ``fetch-pool`` downloads: a folder or one file of Parquet, CSV, TSV, TXT, JSON or JSON lines, gzipped
or not, as img2dataset takes them. Every column stays; those of URL, caption and uid are found by name, or given.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from newtest.config import fingerprint
from newtest.download.urls import without_credentials
from newtest.errors import PoolError
from newtest.pool.importing.rows import columns_of
from newtest.pool.importing.texts import checked_encoding, decoded
from newtest.pool.storage import uids as ids
from newtest.pool.storage.canonical import ALIASES, plain
from newtest.pool.storage.listing import of_this_pool
from newtest.pool.storage.location import Entry, LocalPlace, RemotePlace, place_of
from newtest.pool.storage.pool import TARS
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import batches, open_parquet
from newtest.reading.separated import named_rows
from newtest.reading.text_tables import text_table
from newtest.reading.texts import lines_of

__all__ = ["CAPTION", "UID", "URL", "UrlTables", "url_tables"]

URL, CAPTION, UID = "newtest.url", "newtest.text", "newtest.uid"
"""The columns that a batch has beside its own: what is asked for, the first caption, 32 hex digits."""

_FORMATS = ("parquet", "csv", "tsv", "jsonl", "json", "txt")
_UNREADABLE = (pa.ArrowException, Unreadable, UnicodeError, OSError, EOFError, zlib.error)
_ROWS = 1 << 14
_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"


@dataclass(frozen=True)
class UrlTables:
    """The files, in order, and the columns that were named; None is found by its usual names."""

    place: LocalPlace | RemotePlace
    files: tuple[Entry, ...]
    url: str | None = None
    caption: str | None = None
    uid: str | None = None
    encoding: str | None = None
    others: tuple[str, ...] = ()
    """Files in the folder that are of another format, or no tables."""

    @property
    def fingerprint(self) -> str:
        """What the files are: their names and sizes."""
        return fingerprint([(entry.name, entry.size) for entry in self.files])

    def shards(self, rows: int) -> int:
        """How many shards of so many rows they make; files other than Parquet are read for it. Raises PoolError."""
        return sum(-(-self._rows(entry) // rows) for entry in self.files)

    def batches(self, rows: int) -> Iterator[pa.Table]:
        """At most so many rows of one file at a time, with all columns and ``URL``, ``CAPTION`` and ``UID``.

        Raises PoolError for a file that cannot be read and a column that is missing: it names both.
        """
        for entry in self.files:
            for table in self._tables(entry, rows):
                yield self._found(entry, table)

    def _found(self, entry: Entry, table: pa.Table) -> pa.Table:
        where = f"{self.place.url}: {entry.name}"
        if twice := sorted({name for name in table.column_names if table.column_names.count(name) > 1}):
            raise PoolError(f"{where}: two columns are called {twice[0]!r}; rename one of them")
        url = _named(table, self.url, "url", where)
        if url is None:
            raise PoolError(
                f"{where}: no column of URLs (looked for {', '.join(ALIASES['url'])}); name it as `url_col`; it has "
                f"{', '.join(table.column_names)}"
            )
        caption, uid = _named(table, self.caption, "text", where), _named(table, self.uid, "uid", where)
        urls = _texts(plain(table[url]), f"{where}: {url}")
        texts = (
            [None] * len(table) if caption is None else _texts(plain(table[caption]), f"{where}: {caption}")
        )
        found = (
            ids.to_hex(ids.derived(urls, texts)) if uid is None else ids.canonical_column(table[uid], where)
        )
        if uid is not None and found.null_count:
            raise PoolError(
                f"{where}: {found.null_count} rows have no {uid}; give each one, or leave that column out"
            )
        table = _without_credentials(table, caption)
        for name, values in (
            (URL, pa.array([without_credentials(url) if url else url for url in urls], pa.string())),
            (CAPTION, pa.array(texts, pa.string())),
            (UID, found),
        ):
            table = table.append_column(name, values)
        return table

    def _rows(self, entry: Entry) -> int:
        if _format(entry.name) == "parquet" and not entry.name.endswith(".gz"):
            with (
                _Said(self.place, entry),
                self.place.open(entry) as handle,
                open_parquet(handle) as file,
            ):
                return int(file.metadata.num_rows)
        return len(self._whole(entry))

    def _tables(self, entry: Entry, rows: int) -> Iterator[pa.Table]:
        if _format(entry.name) == "parquet" and not entry.name.endswith(".gz"):
            with (
                _Said(self.place, entry),
                self.place.open(entry) as handle,
                open_parquet(handle) as file,
            ):
                for batch in batches(file, rows):
                    yield pa.Table.from_batches([batch])
            return
        whole = self._whole(entry)
        for start in range(0, len(whole), rows):
            yield whole.slice(start, rows)

    def _whole(self, entry: Entry) -> pa.Table:
        where, kind = f"{self.place.url}: {entry.name}", _format(entry.name)
        with _Said(self.place, entry), self.place.open(entry) as handle:
            data = handle.read()
            if entry.name.endswith(".gz"):
                data = gzip.decompress(data)
            if kind == "parquet":
                with open_parquet(io.BytesIO(data)) as file:
                    return pa.Table.from_batches(list(batches(file, _ROWS)), file.schema_arrow)
            text = decoded(data, where, self.encoding)
            if kind in ("csv", "tsv"):
                return _separated(text, "\t" if kind == "tsv" else _delimiter(text))
        if kind == "txt":
            lines = [line.strip() for line in lines_of(text) if line.strip()]
            return pa.table({"url": pa.array(lines, pa.string())})
        return columns_of(_records(text, where, lines=kind == "jsonl"))


def url_tables(
    address: str,
    *,
    url_col: str | None = None,
    caption_col: str | None = None,
    uid_col: str | None = None,
    encoding: str | None = None,
) -> UrlTables:
    """The tables at a path or URL. Raises PoolError where there are none."""
    named = (url_col, caption_col, uid_col, checked_encoding(encoding))
    place = place_of(address)
    parent, _, name = str(address).rstrip("/").rpartition("/")
    if _format(name) and (not isinstance(place, LocalPlace) or place.root.is_file()):
        above = LocalPlace(place.root.parent) if isinstance(place, LocalPlace) else RemotePlace(parent)
        size = place.root.stat().st_size if isinstance(place, LocalPlace) else _size(above, name)
        return UrlTables(above, (Entry(name, size),), *named)
    if isinstance(place, LocalPlace) and not place.root.is_dir():
        raise PoolError(
            f"{address}: there is no such folder or table; name a folder of tables, or one of them"
        )
    entries = of_this_pool(place.entries())
    kind = next((kind for kind in _FORMATS if any(_format(entry.name) == kind for entry in entries)), None)
    if kind is None:
        if any(entry.name.endswith(TARS) for entry in entries):
            raise PoolError(
                f"{address}: tars, which hold their images already; 'newtest import-pool {address}' makes a pool "
                "of them"
            )
        raise PoolError(
            f"{address}: no pool here, and no tables of URLs: a folder of .parquet files is one, of .csv, .tsv, .txt, "
            ".json or .jsonl files, gzipped or not"
        )
    files = tuple(entry for entry in entries if _format(entry.name) == kind)
    others = tuple(entry.name for entry in entries if _format(entry.name) != kind)
    return UrlTables(place, files, *named, others)


def _size(place: LocalPlace | RemotePlace, name: str) -> int:
    with place.open(name) as handle:
        return handle.seek(0, 2)


def _format(name: str) -> str | None:
    suffix = PurePosixPath(name.removesuffix(".gz")).suffix[1:].lower()
    return suffix if suffix in _FORMATS else None


def _without_credentials(table: pa.Table, caption: str | None) -> pa.Table:
    """The table without user names and passwords in the URLs of its texts, captions apart: shards are passed on."""
    for position, field in enumerate(table.schema):
        if field.name != caption and str(field.type) in ("string", "large_string", "string_view"):
            texts = table.column(position).to_pylist()
            cleaned = [without_credentials(text) if text else text for text in texts]
            if cleaned != texts:
                table = table.set_column(position, field, pa.array(cleaned, field.type))
    return table


def _named(table: pa.Table, name: str | None, kind: str, where: str) -> str | None:
    if name is not None and name not in table.column_names:
        raise PoolError(f"{where}: there is no column {name!r}; it has {', '.join(table.column_names)}")
    return name or next((alias for alias in ALIASES[kind] if alias in table.column_names), None)


def _texts(column: pa.ChunkedArray | pa.Array, where: str) -> list[str | None]:
    kind = str(column.type).removeprefix("large_")
    if kind not in ("string", "null"):
        raise PoolError(
            f"{where}: holds {column.type} and not text; write that table again with the column as text"
        )
    return list(column.to_pylist())


def _delimiter(text: str) -> str:
    head = text.split("\n", 1)[0]
    return ";" if head.count(";") > head.count(",") else "\t" if "\t" in head and "," not in head else ","


def _separated(text: str, delimiter: str) -> pa.Table:
    """Numbers are numbers where every cell is one that is written back as it stood; all else is text."""
    table = text_table(text.encode(), delimiter)
    _refuse_open_quotes(text, delimiter, table.num_rows)
    kept = {alias for kind in ("url", "text", "uid", "key", "sha256") for alias in ALIASES[kind]}
    for place, name in enumerate(table.column_names):
        if name not in kept and (numbers := _numbers(table.column(place))) is not None:
            table = table.set_column(place, name, numbers)
    return table


def _refuse_open_quotes(text: str, delimiter: str, rows: int) -> None:
    """Arrow takes a quote that does not close as the beginning of a cell that holds all further rows.

    Cells of several lines are rare, so only a table with fewer rows than lines is read again, strictly.
    Raises Unreadable, which names the line.
    """
    if sum(1 for line in text.splitlines() if line.strip()) - 1 > rows:
        for _ in named_rows(text, delimiter, strict=True)[1]:
            pass


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    empty = pc.equal(column, "")
    present = pc.if_else(empty, pa.scalar(None, pa.string()), column)
    if present.null_count == len(column):
        return None
    for pattern, kind in ((_WHOLE, pa.int64()), (_NUMBER, pa.float64())):
        if pc.all(pc.match_substring_regex(present, pattern)).as_py():
            return pc.cast(present, kind)
    return None


def _records(text: str, where: str, *, lines: bool) -> list[dict[str, object]]:
    try:
        value = [parse_json(line) for line in text.split("\n") if line.strip()] if lines else parse_json(text)
    except (ValueError, RecursionError) as error:
        raise PoolError(f"{where}: not JSON{' lines' if lines else ''} ({error})") from error
    if isinstance(value, dict) and value and all(isinstance(column, dict) for column in value.values()):
        rows = {
            number: None for column in value.values() for number in column
        }  # column by column, as pandas writes it
        value = [{name: column.get(number) for name, column in value.items()} for number in rows]
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise PoolError(f"{where}: a list of objects is needed, one per row")
    return value


class _Said:
    """Errors of a file as one sentence that names it."""

    def __init__(self, place: LocalPlace | RemotePlace, entry: Entry) -> None:
        self.where = f"{place.url}: {entry.name}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _UNREADABLE):
            detail = " ".join(str(error).split())[:200]
            raise PoolError(
                f"{self.where}: cannot be read as a table ({detail}); mend it or move it away"
            ) from error
