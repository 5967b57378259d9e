"""Tables for the tars of a pool that have none, kept among its layers: the pool's own folder stays as it is.

A table is named by its tar and the tar's fingerprint. So one that is there is done, and a tar that was fetched again
gets another table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.parquet as pq

from newtest.engines import Engine, Resources
from newtest.errors import PoolError
from newtest.pool.importing.tars import table_of_tar
from newtest.pool.storage.location import Entry
from newtest.pool.storage.pool import Pool, Shard, bare_tars, stem_of
from newtest.progress import UNWATCHED, Progress, watched
from newtest.reading.failures import Unreadable
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import open_parquet

__all__ = ["BareTars", "with_bare_tars"]

_FOLDER = "tables_of_tars"
_ABOUT = b"newtest.about"


@dataclass(frozen=True)
class BareTars:
    """The tars that had no table: their names, samples, and what was left out of them by reason."""

    names: tuple[str, ...] = ()
    rows: int = 0
    left_out: tuple[tuple[str, int], ...] = ()

    def says(self) -> str:
        """One line."""
        gone = sum(count for _, count in self.left_out)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out)
        return (
            f"{len(self.names):,} tars have no table beside them, such as {self.names[0]}: {self.rows:,} samples are "
            f"read from the tars alone, {gone:,} members or images are left out"
            + (f": {reasons}" if gone else "")
        )


def with_bare_tars(
    pool: Pool, engine: Engine, resources: Resources, progress: Progress = UNWATCHED
) -> tuple[Pool, BareTars]:
    """The pool with a shard for each tar without a table, after its own shards, and what is known of these.

    Raises PoolError that names the tars that cannot be read, and where layers cannot be written.
    """
    tars = bare_tars(pool)
    shards = [_shard(pool, tar) for tar in tars]
    todo = [shard for shard in shards if _about(pool, shard) is None]
    outcomes = engine.map(_Making(pool), todo, resources) if todo else iter(())
    failed = [
        str(outcome.error)
        for outcome in watched(progress, "reading tars", outcomes, len(todo))
        if outcome.error is not None
    ]
    if failed:
        raise PoolError(
            f"{len(failed)} of {len(tars)} tars without a table cannot be read, so nothing is written: "
            f"{'; '.join(sorted(failed)[:3])}"
        )
    rows, left_out = 0, Counter[str]()
    for shard in shards:
        about = _about(pool, shard) or {}
        rows += about.get("rows", 0)
        left_out.update(about.get("left_out", {}))
    counts = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    names = tuple(tar.name for tar in tars)
    return replace(pool, shards=(*pool.shards, *shards)), BareTars(names, rows, tuple(counts))


def _shard(pool: Pool, tar: Entry) -> Shard:
    table = f"{_FOLDER}/{stem_of(tar)}.{pool.file_fingerprint(tar)[:16]}.parquet"
    # Another name than that of any table: `a.tar` and `a.tar.gz` may lie beside `a.parquet`.
    return Shard(f"{tar.name} (no table)", Entry(table, 0), tar, made=True)


def _about(pool: Pool, shard: Shard) -> dict[str, Any] | None:
    """What a table that is there says of itself; None where there is none, or a damaged one."""
    if not pool.layers.exists(shard.table.name):
        return None
    try:
        with pool.layers.open(shard.table.name) as handle, open_parquet(handle) as file:
            about = (file.schema_arrow.metadata or {}).get(_ABOUT)
    except (Unreadable, OSError):
        return None
    return _told(about)


def _told(about: bytes | None) -> dict[str, Any] | None:
    """What was written down of a tar; None for what we did not write."""
    try:
        told = parse_json(about or b"")
        left_out = {str(reason): int(count) for reason, count in told["left_out"].items()}
        return {"rows": int(told["rows"]), "left_out": left_out}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@dataclass(frozen=True)
class _Making:
    """Makes the worker that writes the table of one tar."""

    pool: Pool

    def __call__(self) -> Callable[[Shard], None]:
        return self.write

    def write(self, shard: Shard) -> None:
        table, imported = table_of_tar(self.pool, shard, counted=True)
        gone = Counter(reason for _, reason in imported.left_out)
        about = json.dumps({"rows": imported.rows, "left_out": gone}, sort_keys=True)
        try:
            with self.pool.layers.writing(shard.table.name) as path:
                pq.write_table(table.replace_schema_metadata({_ABOUT: about}), path)
        except PermissionError as error:
            raise PoolError(
                f"{self.pool.layers.url}: tables of tars cannot be kept here ({error.strerror}); name a folder for "
                "them with `layers`"
            ) from error
