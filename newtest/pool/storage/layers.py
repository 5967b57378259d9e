"""Layers: what was computed about a pool (embeddings, scores, languages, hashes), kept beside its shards.

A layer is a folder ``__newtest/layers/<kind>-<fingerprint>/``, named by what made it (model, configuration, version of
the rule). It holds one Parquet file per shard, in the shard's row order, named by the shard and by a
fingerprint of the shard's bytes; each appears by rename. ``manifest.json`` is written last: a layer is
complete when it is there and names every shard that the pool holds now. So a killed run continues where it was,
and a shard that changed is computed again alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.config import canonical_json, fingerprint
from newtest.engines import Engine, Outcome, Resources
from newtest.errors import PoolError
from newtest.pool.storage.places import Entry
from newtest.pool.storage.pool import Pool, Shard
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import open_parquet, read_schema, rows_between
from newtest.reading.texts import MOST_TEXT, read_at_most
from newtest.version import __version__

__all__ = [
    "Layer",
    "MakeShard",
    "build",
    "describe",
    "is_there",
    "json_of",
    "manifest_of",
    "settle",
]

_BUFFER = 1 << 20
"""Bytes of a column that are read at a time where not all of its rows are needed."""
_GROUP = 1 << 25
"""Bytes, about, of a row group: rows are read from the one that holds them."""


@dataclass(frozen=True)
class Layer:
    """A layer by what made it: its kind ("scores", "embeddings", ...) and a configuration of JSON values."""

    kind: str
    config: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """The folder's name below ``layers``."""
        return f"{self.kind}-{fingerprint(self.kind, self.config)[:16]}"

    def file(self, pool: Pool, shard: Shard) -> str:
        """The name of the shard's file below ``layers``; it changes when the shard's bytes do."""
        return f"{self.folder}/{shard.name.replace('/', '~')}-{pool.shard_fingerprint(shard)[:16]}.parquet"

    def table(
        self, pool: Pool, shard: Shard, columns: Sequence[str] | None = None, listed: Entry | None = None
    ) -> pa.Table:
        """The layer's rows of one shard. Raises PoolError where they are missing or not as many as the shard's.

        ``listed``: the shard's file as a listing of the layers has it, so that a store is not asked for it again.
        """
        name = self.file(pool, shard)
        with (
            self._readable(pool, shard),
            pool.layers.open(listed or name) as handle,
            open_parquet(handle) as file,  # not pq.read_table, which imports Arrow's data sets and pandas
        ):
            missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
            if missing:
                raise Unreadable(f"no column {', '.join(missing)}")
            table = file.read(columns=list(columns) if columns else None)
        if len(table) != pool.rows(shard):
            raise PoolError(
                f"{pool.layers.url}: {name} has {len(table)} rows and its shard has {pool.rows(shard)}; "
                "remove it and run again"
            )
        return table

    def has(self, pool: Pool, shard: Shard, column: str) -> bool:
        """Whether the layer has this column. Raises PoolError."""
        with self._readable(pool, shard), pool.layers.open(self.file(pool, shard)) as handle:
            return column in read_schema(handle).names

    def vectors(self, pool: Pool, shard: Shard, column: str) -> npt.NDArray[np.float32]:
        """A column of fixed-size lists as float32 rows, shape (n, d); rows that could not be computed are NaN."""
        column_data = self.table(pool, shard, [column])[column].combine_chunks()
        width = column_data.type.list_size
        flat = column_data.flatten() if not column_data.null_count else column_data.values
        return np.asarray(flat.to_numpy(zero_copy_only=False), np.float32).reshape(-1, width)

    def part(
        self, pool: Pool, shard: Shard, column: str, start: int, stop: int
    ) -> Iterator[pa.FixedSizeListArray]:
        """A column of lists, rows ``start`` to ``stop`` of the shard, in pieces. Raises PoolError as ``table`` does."""
        name = self.file(pool, shard)
        with (
            self._readable(pool, shard),
            pool.layers.open(name) as handle,
            open_parquet(handle, buffered=_BUFFER) as file,
        ):
            if column not in file.schema_arrow.names:
                raise Unreadable(f"no column {column}")
            if (there := file.metadata.num_rows) != pool.rows(shard):
                raise PoolError(
                    f"{pool.layers.url}: {name} has {there} rows and its shard has {pool.rows(shard)}; "
                    "remove it and run again"
                )
            for batch in rows_between(file, start, stop, [column]):
                yield batch.column(0)

    @contextmanager
    def _readable(self, pool: Pool, shard: Shard) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise PoolError(
                f"{pool.layers.url}: the layer {self.folder} has no rows for shard {shard.name}; run the "
                "command that made it again"
            ) from error
        except (Unreadable, OSError) as error:
            raise PoolError(
                f"{pool.layers.url}: {self.file(pool, shard)} cannot be read ({error}); run the command that made "
                "the layer again, which mends it"
            ) from error


class MakeShard(Protocol):
    """Made once in a worker; then turns a shard into the layer's table, rows in the shard's order."""

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        """The table, and nothing written."""
        ...


def build(
    pool: Pool, layer: Layer, make: Any, engine: Engine, resources: Resources
) -> Iterator[Outcome[Shard, dict[str, int]]]:
    """Compute what the layer lacks; one outcome per shard (rows and failed rows), cached ones first.

    ``make`` is called once in every worker and gives a :class:`MakeShard`. The manifest is written when no
    shard failed.
    """
    place = pool.layers
    files = {shard: layer.file(pool, shard) for shard in pool.shards}
    there = {entry.name for entry in place.entries()} if is_there(place) else set()
    if f"{layer.folder}/layer.json" not in there:
        describe(pool, layer)
    counts: dict[str, dict[str, int]] = {}
    todo = []
    for shard, name in files.items():
        known = _counted(pool, name) if name in there else None
        if known is None:
            todo.append(shard)
        else:
            counts[name] = known
            yield Outcome(shard, {**known, "computed": 0})
    for outcome in engine.map(partial(_Writer, pool, layer, make), todo, resources):
        if outcome.value is not None:
            counts[files[outcome.item]] = outcome.value
            yield Outcome(outcome.item, {**outcome.value, "computed": 1})
        else:
            yield outcome
    if len(counts) == len(files) and (
        todo or manifest_of(pool, layer) is None
    ):  # a complete one is only read
        _write_manifest(pool, layer, counts)


def describe(pool: Pool, layer: Layer) -> None:
    """Write down what a layer is, before its first rows."""
    with pool.layers.writing(f"{layer.folder}/layer.json") as path:
        path.write_text(
            canonical_json({"kind": layer.kind, "config": layer.config, "newtest": __version__}) + "\n"
        )


def settle(pool: Pool, layer: Layer, counts: Mapping[str, dict[str, int]] | None = None) -> None:
    """Write the manifest of a layer whose files were written one by one and may know only some of their rows.

    ``counts``: what the files hold, by name, where those who wrote or read them say so; else they are opened.
    """
    there = {entry.name: entry for entry in pool.layers.entries()}
    if f"{layer.folder}/layer.json" not in there:
        describe(pool, layer)
    if counts is None:
        files = (there[name] for shard in pool.shards if (name := layer.file(pool, shard)) in there)
        counts = {entry.name: known for entry in files if (known := _counted(pool, entry)) is not None}
    _write_manifest(pool, layer, {name: known for name, known in counts.items() if name in there})


def _write_manifest(pool: Pool, layer: Layer, counts: Mapping[str, dict[str, int]]) -> None:
    manifest = {
        "kind": layer.kind,
        "config": layer.config,
        "shards": {name: counts[name] for name in sorted(counts)},
    }
    with pool.layers.writing(f"{layer.folder}/manifest.json") as path:
        path.write_text(canonical_json(manifest) + "\n")


def manifest_of(pool: Pool, layer: Layer) -> dict[str, Any] | None:
    """The manifest of a layer that is complete for the pool as it is now, else None."""
    manifest = _manifest(pool, layer.folder)
    if manifest is None or any(layer.file(pool, shard) not in manifest["shards"] for shard in pool.shards):
        return None
    return manifest


class _Writer:
    """In a worker: computes one shard's table and puts it in its place."""

    def __init__(self, pool: Pool, layer: Layer, make: Any) -> None:
        self.pool, self.layer = pool, layer
        self.make_shard: MakeShard = make()

    def __call__(self, shard: Shard) -> dict[str, int]:
        table = self.make_shard(self.pool, shard)
        expected = self.pool.rows(shard)
        if len(table) != expected:
            raise PoolError(f"shard {shard.name}: {len(table)} rows were computed for {expected}")
        failed = len(table) - table["reason"].null_count if "reason" in table.column_names else 0
        table = table.replace_schema_metadata({"newtest.failed": str(failed)})
        with self.pool.layers.writing(self.layer.file(self.pool, shard)) as path:
            pq.write_table(table, path, compression="zstd", row_group_size=_group(table))
        return {"rows": len(table), "failed": failed}


def _group(table: pa.Table) -> int:
    """Rows of a row group: Arrow's own choice for narrow rows."""
    return int(min(1 << 20, max(1024, _GROUP * len(table) // max(table.nbytes, 1))))


def _counted(pool: Pool, name: str | Entry) -> dict[str, int] | None:
    """What the file of a shard holds; None for a damaged one, which is as good as none."""
    try:
        with pool.layers.open(name) as handle, open_parquet(handle) as file:
            metadata = file.schema_arrow.metadata or {}
            counts = {"rows": file.metadata.num_rows, "failed": int(metadata.get(b"newtest.failed", b"0"))}
    except (Unreadable, OSError):
        return None
    if b"newtest.known" in metadata:
        counts["known"] = int(metadata[b"newtest.known"])
    return counts


def _manifest(pool: Pool, folder: str) -> dict[str, Any] | None:
    manifest = json_of(pool, f"{folder}/manifest.json")
    return manifest if manifest is not None and isinstance(manifest.get("shards"), dict) else None


def json_of(pool: Pool, name: str) -> dict[str, Any] | None:
    """An object of JSON below ``layers``; None where there is none that can be read."""
    try:
        with pool.layers.open(name) as handle:
            value = parse_json(read_at_most(handle, MOST_TEXT))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def is_there(place: Any) -> bool:
    """Whether a folder of layers is there; of a store that is not asked."""
    root = getattr(place, "root", None)
    return root is None or root.is_dir()
