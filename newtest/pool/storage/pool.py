"""A pool: a folder or URL of Parquet files, each with a WebDataset tar and an ``.npz`` of embeddings beside it
or without.

A *shard* is one Parquet file, the unit of work, of retry and of output. Columns carry the names that DataComp,
img2dataset or LAION gave them; here they are found under one canonical name each (``ALIASES``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.claims import layers_of
from newtest.pool.storage.embedded_images import SEEN, image_columns
from newtest.pool.storage.image_files import ImageFiles
from newtest.pool.storage.listing import of_this_pool
from newtest.pool.storage.location import Entry, LocalPlace, RemotePlace, place_of
from newtest.reading.failures import Unreadable
from newtest.reading.parquet import batches, open_parquet

__all__ = ["ALIASES", "BATCH_ROWS", "TARS", "Pool", "Shard", "chosen_column", "open_pool", "plain"]

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""What the names of tars end in; those that lie beside a table of the same name are its own."""

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
BATCH_ROWS = 1 << 16
_END = 1 << 16


@dataclass(frozen=True, order=True)
class Shard:
    """One Parquet file of a pool, and the tar and npz of the same name where there are any."""

    name: str
    table: Entry
    tar: Entry | None = None
    embeddings: Entry | None = None


@dataclass(frozen=True)
class Pool:
    """An opened pool; it holds names only, so that it travels to other processes and machines."""

    address: str
    shards: tuple[Shard, ...]
    layers_address: str
    image_col: str | None = None
    """The column of images that is meant where tables have several."""

    @property
    def place(self) -> LocalPlace | RemotePlace:
        """The folder of the shards."""
        return place_of(self.address)

    @property
    def layers(self) -> LocalPlace | RemotePlace:
        """The folder of the layers: ``__newtest/layers`` in the pool, or where the pool was told to keep them."""
        return place_of(self.layers_address)

    def shard_fingerprint(self, shard: Shard) -> str:
        """What the shard's bytes are, told cheaply: sizes, the Parquet footer, both ends of the tar.

        Times of change play no part, so that a copied pool keeps its layers. Raises PoolError when a file vanished.
        """
        ends = [_end(self, shard.table, whole=False)]
        if shard.tar:
            ends.append(_end(self, shard.tar, whole=True))
        elif self.image_col and set(image_columns(self.schema(shard))) - {self.image_col}:
            return fingerprint(shard.name, ends, self.image_col)  # another column's images are other images
        return fingerprint(shard.name, ends)

    def table_fingerprint(self, shard: Shard) -> str:
        """The same of the shard's table alone."""
        return fingerprint(shard.name, [_end(self, shard.table, whole=False)])

    def schema(self, shard: Shard) -> pa.Schema:
        """The shard's own column names and types. Raises PoolError."""
        with self.parquet(shard) as file:
            return file.schema_arrow

    def rows(self, shard: Shard) -> int:
        """The number of samples, from the footer. Raises PoolError."""
        with self.parquet(shard) as file:
            return int(file.metadata.num_rows)

    def batches(self, shard: Shard, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
        """The shard in its row order, at most ``rows`` at a time, with just these columns.

        Canonical names are found under any of their aliases; ``uid`` is derived where the pool has none, and it
        and sizes are seen in images that lie in the table; other names are taken as they are. Raises PoolError
        for a missing column or a file that cannot be read.
        """
        with self.parquet(shard) as file, _explained(self, shard):
            where = f"{self.place.url}: shard {shard.name}"
            seen = _seen(self, shard, file, columns)
            start = 0
            named = [name for name in columns if name not in seen]
            found = {name: _source(self, shard, name, file.schema_arrow.names) for name in named}
            wanted = sorted({name for sources in found.values() for name in sources})
            _require_text(self, shard, [file.schema_arrow.field(name) for name in wanted])
            for batch in batches(file, rows, wanted):
                table = pa.Table.from_batches([batch])
                made = {name: column.slice(start, len(batch)) for name, column in seen.items()}
                made |= {name: _column(table, name, found[name], where) for name in named}
                start += len(batch)
                yield pa.table({name: made[name] for name in columns})

    def tells(self, shard: Shard, name: str) -> bool:
        """Whether the shard has this canonical column under any of its names, or images in its table that tell it."""
        schema = self.schema(shard)
        return _is_told(name, schema.names) or (
            name in SEEN and shard.tar is None and bool(self.image_col or image_columns(schema))
        )

    def image_column(self, shard: Shard, schema: pa.Schema | None = None) -> str | None:
        """The column of the shard's table that holds its images; None where there is none.

        Raises PoolError where several could be meant, and where the one that was named is not there.
        """
        schema = self.schema(shard) if schema is None else schema
        return chosen_column(schema, self.image_col, f"{self.place.url}: shard {shard.name}")

    def files(self, shard: Shard) -> ImageFiles:
        """The files that paths in the shard's table may name."""
        return ImageFiles.beside(self.place, shard.table.name)

    @contextmanager
    def parquet(self, shard: Shard) -> Iterator[pq.ParquetFile]:
        """The shard's Parquet file, opened; errors name the shard."""
        with _explained(self, shard), _opened(self, shard.table) as handle, open_parquet(handle) as file:
            yield file


def chosen_column(schema: pa.Schema, named: str | None, where: str) -> str | None:
    """The column of images that was named, else the only one; None where there is none. Raises PoolError."""
    if named is not None:
        if named not in schema.names:
            raise PoolError(f"{where} has no column {named!r}; it has {', '.join(schema.names)}")
        return named
    found = image_columns(schema)
    if len(found) > 1:
        raise PoolError(
            f"{where} has several columns of images ({', '.join(found)}); choose one with `image_col`"
        )
    return found[0] if found else None


def open_pool(address: str | Path, *, layers: str | Path | None = None, image_col: str | None = None) -> Pool:
    """List a pool's shards. Raises PoolError where there is none, and says what would make the folder one.

    ``image_col`` names the column of images, for tables that have several.
    """
    place = place_of(address)
    if isinstance(place, LocalPlace) and not place.root.is_dir():
        raise PoolError(
            f"{address}: there is no such folder; name the folder that holds the pool's .parquet files"
        )
    listed = place.entries()
    entries = of_this_pool(listed)
    by_name = {entry.name: entry for entry in entries}
    shards = tuple(
        Shard(
            name=entry.name.removesuffix(".parquet"),
            table=entry,
            tar=next(filter(None, (_beside(by_name, entry.name, suffix) for suffix in TARS)), None),
            embeddings=_beside(by_name, entry.name, ".npz"),
        )
        for entry in entries
        if entry.name.endswith(".parquet")
    )
    if not shards:
        raise PoolError(f"{address}: no pool here, {_advice(entries)}")
    kept = f"{place.url.rstrip('/')}/{layers_of(place, listed)}" if layers is None else str(layers)
    return Pool(str(address), shards, kept, image_col)


def _advice(entries: Sequence[Entry]) -> str:
    if any(entry.name.endswith(TARS) for entry in entries):
        return "the tars have no .parquet beside them; 'newtest import-pool' writes them"
    if any(entry.name.lower().endswith((".jpg", ".jpeg", ".png", ".webp")) for entry in entries):
        return "but loose images; 'newtest import-pool' makes a pool of images and their captions"
    return "a pool is a folder of .parquet files, with WebDataset tars of the same names or without"


def _beside(by_name: dict[str, Entry], table: str, suffix: str) -> Entry | None:
    stem = PurePosixPath(table).with_suffix(suffix)
    # DataComp keeps tables in metadata/ and tars in shards/.
    parts = ["shards" if part == "metadata" else part for part in stem.parts]
    return by_name.get(str(stem)) or by_name.get("/".join(parts))


def _source(pool: Pool, shard: Shard, name: str, present: Sequence[str]) -> list[str]:
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
    raise PoolError(
        f"{pool.place.url}: shard {shard.name} has no column for {name!r} (looked for {looked}); it has "
        f"{', '.join(present)}"
    )


def _is_told(name: str, present: Collection[str]) -> bool:
    told_by = ("uid", "url", "key", "sha256") if name == "uid" else (name,)
    return any(alias in present for each in told_by for alias in ALIASES.get(each, (each,)))


def _seen(pool: Pool, shard: Shard, file: pq.ParquetFile, columns: Sequence[str]) -> dict[str, pa.Array]:
    """What images inside the table have to tell of these columns: nothing in nearly all pools."""
    present = file.schema_arrow.names
    lacking = [name for name in columns if name in SEEN and not _is_told(name, present)]
    images = pool.image_column(shard, file.schema_arrow) if lacking and shard.tar is None else None
    if images is None:
        return {}
    from newtest.pool.storage.derived_columns import seen_in_images

    text = next((alias for alias in ALIASES["text"] if alias in present), None)
    return seen_in_images(file, lacking, images, text, pool.files(shard))


def _require_text(pool: Pool, shard: Shard, fields: Sequence[pa.Field]) -> None:
    for field in fields:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if field.name in ALIASES["uid"]:
            continue
        if _is_list(kind) and field.name in ALIASES["text"]:
            kind = kind.value_type
        if field.name in _TEXTUAL and str(kind).removeprefix("large_") not in _TEXT_TYPES:
            raise PoolError(
                f"{pool.place.url}: the column {field.name!r} of shard {shard.name} holds {field.type} and not text; "
                "write that table again with the column as text"
            )


def _column(table: pa.Table, name: str, sources: Sequence[str], where: str) -> pa.ChunkedArray | pa.Array:
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
    if _is_list(kind) and str(kind.value_type).removeprefix("large_") in _TEXT_TYPES:
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


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


@contextmanager
def _opened(pool: Pool, entry: Entry) -> Iterator[IO[bytes] | pa.MemoryMappedFile]:
    place = pool.place
    # Local files are read by Arrow itself, which holds no interpreter lock while it does.
    if isinstance(place, LocalPlace):
        with pa.OSFile(str(place.path(entry.name)), "rb") as native:
            yield native
    else:
        with place.open(entry.name) as handle:
            yield handle


@contextmanager
def _explained(pool: Pool, shard: Shard) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PoolError(
            f"{pool.place.url}: {shard.table.name} has vanished since the pool was listed; put it back or "
            "run again without it"
        ) from error
    except (pa.ArrowException, Unreadable, UnicodeDecodeError, OSError) as error:
        detail = " ".join(str(error).split())[:200]
        raise PoolError(
            f"{pool.place.url}: {shard.table.name} cannot be read as Parquet ({detail}); fetch it again "
            "or move it away"
        ) from error


def _end(pool: Pool, entry: Entry, *, whole: bool) -> tuple[int, str]:
    """Size and a hash of the last 64 KiB (where a Parquet file keeps its footer), of the first ones too if
    ``whole``.
    """
    digest = hashlib.sha256()
    try:
        with pool.place.open(entry.name) as handle:
            size = handle.seek(0, 2)
            if whole:
                handle.seek(0)
                digest.update(handle.read(_END))
            handle.seek(max(0, size - _END))
            digest.update(handle.read(_END))
    except FileNotFoundError as error:
        raise PoolError(f"{pool.place.url}: {entry.name} has vanished since the pool was listed") from error
    return size, digest.hexdigest()
