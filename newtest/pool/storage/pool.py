"""A pool: a folder or URL of Parquet files, each with a WebDataset tar and an ``.npz`` of embeddings beside it
or without.

A *shard* is one Parquet file, the unit of work, of retry and of output. Columns carry the names that DataComp,
img2dataset or LAION gave them; here they are found under one canonical name each (``ALIASES``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from newtest.config import fingerprint
from newtest.errors import PoolError
from newtest.pool.storage.canonical import ALIASES, chosen_column, column_of, is_told, require_text, source_of
from newtest.pool.storage.claims import layers_of
from newtest.pool.storage.embedded_images import SEEN
from newtest.pool.storage.image_files import ImageFiles
from newtest.pool.storage.image_types import ImageColumn, image_columns
from newtest.pool.storage.listing import of_this_pool
from newtest.pool.storage.location import Entry, LocalPlace, RemotePlace, place_of
from newtest.reading.failures import Unreadable
from newtest.reading.parquet import batches, open_parquet

__all__ = ["BATCH_ROWS", "TARS", "Pool", "Shard", "bare_tars", "open_pool", "stem_of"]

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""What the names of tars end in; those that lie beside a table of the same name are its own."""


BATCH_ROWS = 1 << 16
_END = 1 << 16


@dataclass(frozen=True, order=True)
class Shard:
    """One Parquet file of a pool, and the tar and npz of the same name where there are any."""

    name: str
    table: Entry
    tar: Entry | None = None
    embeddings: Entry | None = None
    made: bool = False
    """Whether the table was made of the tar, which had none, and lies among the layers."""


@dataclass(frozen=True)
class Pool:
    """An opened pool; it holds names only, so that it travels to other processes and machines."""

    address: str
    shards: tuple[Shard, ...]
    layers_address: str
    image_col: str | None = None
    """The column of images that is meant where tables have several."""

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a worker: the places go along, for they look where they arrive (FolderMissing)."""
        return {**vars(self), "places": (self.place, self.layers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update((name, value) for name, value in state.items() if name != "places")

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
        ends = [] if shard.made else [_end(self, shard.table, whole=False)]
        if shard.tar:
            ends.append(_end(self, shard.tar, whole=True))
        elif self.image_col and image_columns(self.schema(shard)) != [self.image_col]:
            return fingerprint(shard.name, ends, self.image_col)  # another column's images are other images
        return fingerprint(shard.name, ends)

    def table_fingerprint(self, shard: Shard) -> str:
        """The same of the shard's table alone; a table that was made is what its tar is."""
        if shard.made:
            return self.shard_fingerprint(shard)
        return fingerprint(shard.name, [_end(self, shard.table, whole=False)])

    def file_fingerprint(self, entry: Entry) -> str:
        """The same of any file of the pool: its size and both ends. Raises PoolError when it vanished."""
        return fingerprint(entry.name, [_end(self, entry, whole=True)])

    def fingerprints(self, known: Mapping[str, tuple[str, str]] | None = None) -> dict[str, str]:
        """Of all shards: with their tars (``fingerprint``), and of their tables alone (``tables``).

        ``known``: both of each shard by its name, where workers that read the shards computed them.
        """
        if known is None:
            known = {
                shard.name: (self.shard_fingerprint(shard), self.table_fingerprint(shard))
                for shard in self.shards
            }
        both = [known[shard.name] for shard in self.shards]
        return {
            "fingerprint": fingerprint([whole for whole, _ in both]),
            "tables": fingerprint([table for _, table in both]),
        }

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
            _require_one_of_each(file.schema_arrow.names, columns, where)
            seen = _seen(self, shard, file, columns)
            start = 0
            named = [name for name in columns if name not in seen]
            found = {name: source_of(name, file.schema_arrow.names, where) for name in named}
            wanted = sorted({name for sources in found.values() for name in sources})
            require_text([file.schema_arrow.field(name) for name in wanted], self.place.url, shard.name)
            for batch in batches(file, rows, wanted):
                table = pa.Table.from_batches([batch])
                made = {name: column.slice(start, len(batch)) for name, column in seen.items()}
                made |= {name: column_of(table, name, found[name], where) for name in named}
                start += len(batch)
                yield pa.table({name: made[name] for name in columns})

    def tells(self, shard: Shard, name: str) -> bool:
        """Whether the shard has this canonical column under any of its names, or images in its table that tell it."""
        schema = self.schema(shard)
        return is_told(name, schema.names) or (
            name in SEEN and shard.tar is None and bool(self.image_col or image_columns(schema))
        )

    def image_column(self, shard: Shard, schema: pa.Schema | None = None) -> ImageColumn | None:
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
        with _explained(self, shard), _opened(self, shard) as handle, open_parquet(handle) as file:
            yield file


def open_pool(
    address: str | Path, *, layers: str | Path | None = None, image_col: str | None = None, bare: bool = False
) -> Pool:
    """List a pool's shards. Raises PoolError where there is none, and says what would make the folder one.

    ``image_col`` names the column of images, for tables that have several. With ``bare`` a folder of tars alone will
    do: a pool without a shard.
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
    if not shards and not (bare and any(entry.name.endswith(TARS) for entry in entries)):
        raise PoolError(f"{address}: no pool here, {_advice(entries)}")
    kept = f"{place.url.rstrip('/')}/{layers_of(place, listed)}" if layers is None else str(layers)
    return Pool(str(address), shards, kept, image_col)


def bare_tars(pool: Pool) -> list[Entry]:
    """The tars that no table of the pool belongs to."""
    known = {shard.tar.name for shard in pool.shards if shard.tar is not None}
    entries = of_this_pool(pool.place.entries())
    return [entry for entry in entries if entry.name.endswith(TARS) and entry.name not in known]


def stem_of(tar: Entry) -> str:
    """A tar's name without what tells that it is one."""
    return next(tar.name.removesuffix(suffix) for suffix in TARS if tar.name.endswith(suffix))


def _require_one_of_each(names: Sequence[str], columns: Sequence[str], where: str) -> None:
    read = {alias for name in columns for alias in ALIASES.get(name, (name,))}
    if twice := next((name for name in names if name in read and names.count(name) > 1), None):
        raise PoolError(f"{where} has two columns called {twice!r}; write that table again with one of them")


def _advice(entries: Sequence[Entry]) -> str:
    if wrong := next((e.name for e in entries if e.name.lower().endswith(".parquet")), None):
        return f"but {wrong}: call it {wrong[: -len('.parquet')]}.parquet, in lower case"
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


def _seen(pool: Pool, shard: Shard, file: pq.ParquetFile, columns: Sequence[str]) -> dict[str, pa.Array]:
    """What images inside the table have to tell of these columns: nothing in nearly all pools."""
    present = file.schema_arrow.names
    lacking = [name for name in columns if name in SEEN and not is_told(name, present)]
    images = pool.image_column(shard, file.schema_arrow) if lacking and shard.tar is None else None
    if images is None:
        return {}
    from newtest.pool.storage.derived_columns import seen_in_images

    text = next((alias for alias in ALIASES["text"] if alias in present), None)
    return seen_in_images(file, lacking, images, text, pool.files(shard))


@contextmanager
def _opened(pool: Pool, shard: Shard) -> Iterator[IO[bytes] | pa.MemoryMappedFile]:
    place = pool.layers if shard.made else pool.place
    # Local files are read by Arrow itself, which holds no interpreter lock while it does.
    if isinstance(place, LocalPlace):
        with pa.OSFile(str(place.path(shard.table.name)), "rb") as native:
            yield native
    else:
        with place.open(shard.table.name if shard.made else shard.table) as handle:
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
        with pool.place.open(entry) as handle:
            size = handle.seek(0, 2)
            if whole:
                handle.seek(0)
                digest.update(handle.read(_END))
            handle.seek(max(0, size - _END))
            digest.update(handle.read(_END))
    except FileNotFoundError as error:
        raise PoolError(f"{pool.place.url}: {entry.name} has vanished since the pool was listed") from error
    return size, digest.hexdigest()
