"""Write the samples of a subset as new shards, copies made: tars with their tables in the order of the pool's tars, or
where a pool has none, tables alone in the order of its tables.

What goes where is settled from the tables alone, before a tar is opened: every output shard knows its rows.
So each can be written anywhere and again, and one is done when its table is there, which is written after its
tar (where there is one) and carries the fingerprint of the shards it was made of: where a tar was mended since, it
is written anew. The new pool says by which tables and subset it was made in ``__newtest/pool.json``; a run that finds
another recipe there stops before it touches anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from newtest.config import fingerprint
from newtest.engines import Engine, Outcome, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.storage import uids as ids
from newtest.pool.storage.chosen import rows_chosen
from newtest.pool.storage.claims import claim
from newtest.pool.storage.embedded_images import without_views
from newtest.pool.storage.image_tables import copied_with_images
from newtest.pool.storage.location import LocalPlace, RemotePlace, place_of
from newtest.pool.storage.opt_outs import known, mask_of
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired
from newtest.pool.storage.subset import Subset, chosen_rows
from newtest.pool.storage.table_copy import copied_rows, named_alike, types_differ
from newtest.pool.storage.tar_writing import END, add
from newtest.pool.storage.tars import Sample
from newtest.reading.failures import Unreadable
from newtest.reading.parquet import open_parquet, read_schema

__all__ = ["ReshardPlan", "plan_reshard", "reshard", "written_parts"]


_INPUTS = b"newtest.inputs"
SMALL = 4 << 20
"""Bytes of tars and tables that are copied before a process has started."""


@dataclass(frozen=True)
class Piece:
    """Rows of one input shard, each as often as it stands here, in order."""

    shard: Shard
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Output:
    """One new shard."""

    name: str
    pieces: tuple[Piece, ...]
    first: int
    """The number of its first sample in the new pool; keys are numbered on from here."""
    inputs: str
    """The fingerprint of the shards that its pieces come from."""


@dataclass(frozen=True)
class ReshardPlan:
    """What a run will write. ``absent``: ids of the subset that the pool lacks, 32 hex digits each, sorted."""

    outputs: tuple[Output, ...]
    samples: int
    absent: tuple[str, ...]
    recipe: str
    form: str = ""
    """"parquet": tables with the images inside; "": as the pool is."""
    opted_out: int = 0
    """Copies in the subset that are not written because their uid or URL is on the pool's lists of opt-outs."""
    shared: int = 0
    """Rows that are not written because an earlier row of the pool has their uid, where the subset names no rows."""


def plan_reshard(pool: Pool, subset: Subset | None, shard_rows: int = 10_000, form: str = "") -> ReshardPlan:
    """Settle every output shard from the tables. An id that the pool holds twice is taken where it stands first.

    ``subset`` None is the whole pool; ``form`` "parquet" writes tables with the images inside.

    Tars without a table are in it where ``newtest.pool.importing.bare_tars`` gave the pool a shard for each. Raises
    UsageError, and PoolError where some shards have tars and some have none.
    """
    if shard_rows < 1:
        raise UsageError(f"a shard has at least one row, not {shard_rows}")
    if form not in ("", "parquet"):
        raise UsageError(f"`format` {form!r} is not parquet; leave it away for a pool like this one")
    _require_one_kind(pool)
    subset = _everything(pool) if subset is None else subset
    wanted = subset.distinct()
    taken = np.zeros(len(wanted), np.bool_)
    # A subset may have been made when nobody looked at tars without a table.
    own = replace(pool, shards=tuple(shard for shard in pool.shards if not shard.made))
    chosen = rows_chosen(pool, subset) or (rows_chosen(own, subset) if own.shards else {})
    opt_outs, pieces, shared, opted_out = known(pool), [], 0, 0
    for shard in pool.shards:
        out = mask_of(pool, shard, opt_outs)
        rows, passed = _rows_of(pool, shard, subset, taken, chosen.get(shard.name))
        if out is not None:
            opted_out += int(np.count_nonzero(out[rows]))
            rows = rows[~out[rows]]
        pieces.append((shard, rows))
        shared += passed
    absent = tuple(ids.to_hex(wanted[~taken]).to_pylist())
    recipe = fingerprint(
        [pool.table_fingerprint(shard) for shard in pool.shards],
        fingerprint(ids.to_hex(subset.uids).to_pylist()),
        shard_rows,
        *([form] if form else []),
        *([opt_outs.fingerprint] if len(opt_outs) else []),
        *([fingerprint(subset.rows.tobytes().hex())] if chosen and subset.rows is not None else []),
    )
    outputs = tuple(_outputs(pool, pieces, shard_rows))
    return ReshardPlan(outputs, sum(len(rows) for _, rows in pieces), absent, recipe, form, opted_out, shared)


def reshard(
    pool: Pool, plan: ReshardPlan, out: str | Path, engine: Engine, resources: Resources
) -> Iterator[Outcome[Output, dict[str, int]]]:
    """Write what is not there yet; one outcome per shard: samples written, and those whose files the tars lack.

    Raises PoolError where ``out`` holds another run's shards.
    """
    place = place_of(out)
    claim(
        place, "reshard-pool", {"recipe": plan.recipe},
        "it holds the shards of another pool, subset or shard size, or was made before people opted out"
    )  # fmt: skip
    done = {entry.name for entry in place.entries()}
    todo = []
    for output in plan.outputs:
        if f"{output.name}.parquet" in done and _made_of(place, output) == output.inputs:
            wanted, written = sum(len(piece.rows) for piece in output.pieces), _written(place, output)
            yield Outcome(output, {"written": written, "missing": wanted - written, "computed": 0})
        else:
            todo.append(output)
    read = sum(shard.table.size + (shard.tar.size if shard.tar else 0) for shard in pool.shards)
    resources = replace(resources, light=read < SMALL)
    yield from engine.map(_Writing(pool, place, plan.form), todo, resources)


def written_parts(pool: Pool, plan: ReshardPlan, out: str | Path) -> Iterator[dict[str, int]]:
    """Write one shard after the other, as workers do, into an empty folder: to learn how long it takes."""
    yield from map(_Writing(pool, place_of(out), plan.form).write, plan.outputs)


def _require_one_kind(pool: Pool) -> None:
    lacking = [shard.name for shard in pool.shards if shard.tar is None]
    if 0 < len(lacking) < len(pool.shards):
        raise PoolError(
            f"{pool.place.url}: shard {lacking[0]} has no tar beside it, while others have, so nothing can be written "
            "from it; fetch its tar again or move its table away"
        )


def _written(place: LocalPlace | RemotePlace, output: Output) -> int:
    """How many samples a shard that is done holds: fewer than its rows where the tars lacked some."""
    with place.open(f"{output.name}.parquet") as handle, open_parquet(handle) as file:
        return int(file.metadata.num_rows)


def _everything(pool: Pool) -> Subset:
    """Every row of the pool, as a subset."""
    stays = np.ones(sum(pool.rows(shard) for shard in pool.shards), np.bool_)
    parts = (batch["uid"] for shard in pool.shards for batch in pool.batches(shard, ["uid"]))
    uids = ids.concatenated(ids.from_arrow(part.combine_chunks()) for part in parts)
    return Subset.of(uids, {"inputs": pool.fingerprints()}, chosen_rows(pool, stays))


def _rows_of(
    pool: Pool,
    shard: Shard,
    subset: Subset,
    taken: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_] | None,
) -> tuple[npt.NDArray[np.int64], int]:
    """Row numbers of the shard that go out, with copies, and how many do not because their id is taken; marks ids."""
    result, start, passed = [], 0, 0
    for batch in pool.batches(shard, ["uid"]):
        uids = ids.from_arrow(batch["uid"].combine_chunks(), f"shard {shard.name}")
        copies = subset.copies(uids)
        if chosen is not None:
            rows = np.flatnonzero(chosen[start : start + len(batch)] & (copies > 0))
            taken[subset.places(uids[rows])] = True
            result.append(rows + start)
        else:
            rows = np.flatnonzero(copies)
            places = subset.places(uids[rows])
            _, firsts = np.unique(places, return_index=True)
            firsts = np.sort(firsts)[~taken[places[np.sort(firsts)]]]
            taken[places] = True
            passed += len(rows) - len(firsts)
            result.append(np.repeat(rows[firsts] + start, copies[rows[firsts]]))
        start += len(batch)
    return np.concatenate(result) if result else np.empty(0, np.int64), passed


def _outputs(
    pool: Pool, pieces: Sequence[tuple[Shard, npt.NDArray[np.int64]]], shard_rows: int
) -> Iterator[Output]:
    shards = {shard: pool.shard_fingerprint(shard) for shard, rows in pieces if len(rows)}
    total = sum(len(rows) for _, rows in pieces)
    starts = np.cumsum([0, *(len(rows) for _, rows in pieces)])
    for number, first in enumerate(range(0, total, shard_rows)):
        last = min(first + shard_rows, total)
        parts = []
        for (shard, rows), start in zip(pieces, starts.tolist(), strict=False):
            cut = rows[max(0, first - start) : max(0, last - start)]
            if len(cut):
                parts.append(Piece(shard, tuple(cut.tolist())))
        inputs = fingerprint([shards[part.shard] for part in parts])
        yield Output(f"{number:08d}", tuple(parts), first, inputs)


def _made_of(place: LocalPlace | RemotePlace, output: Output) -> str | None:
    """What a shard that is there says it was made of; None for a damaged one."""
    try:
        with place.open(f"{output.name}.parquet") as handle:
            metadata = read_schema(handle).metadata or {}
    except (Unreadable, OSError):
        return None
    return str(metadata.get(_INPUTS, b"").decode())


@dataclass(frozen=True)
class _Writing:
    """Makes the worker that writes one output shard."""

    pool: Pool
    out: LocalPlace | RemotePlace
    form: str

    def __call__(self) -> Any:
        return self.write

    def write(self, output: Output) -> dict[str, int]:
        from_tars = not self.form and all(piece.shard.tar is not None for piece in output.pieces)
        written = self._with_tar(output) if from_tars else self._table_alone(output)
        wanted = sum(len(piece.rows) for piece in output.pieces)
        return {"written": written, "missing": wanted - written, "computed": 1}

    def _table_alone(self, output: Output) -> int:
        pieces = [(piece.shard, np.array(piece.rows, np.int64)) for piece in output.pieces]
        copied = copied_with_images if pieces[0][0].tar is not None else copied_rows
        with self.out.writing(f"{output.name}.parquet") as path:
            return copied(self.pool, pieces, path, {_INPUTS: output.inputs})

    def _with_tar(self, output: Output) -> int:
        place = self.out
        tables: list[pa.Table] = []
        number = output.first
        with place.writing(f"{output.name}.tar") as path, open(path, "wb") as archive:
            for piece in output.pieces:
                copies = Counter(piece.rows)
                rows: list[int] = []
                for row, sample in paired(self.pool, piece.shard, copies):
                    for _ in range(copies[row]):
                        _copy(sample, f"{number + len(rows):09d}", archive)
                        rows.append(row)
                keys = [f"{number + offset:09d}" for offset in range(len(rows))]
                tables.append(_rows_with_keys(self.pool, piece.shard, rows, keys))
                number += len(rows)
            archive.write(END)
        with place.writing(f"{output.name}.parquet") as path:
            pq.write_table(_joined(tables, output), path)
        return number - output.first


def _joined(tables: Sequence[pa.Table], output: Output) -> pa.Table:
    names = named_alike([table.column_names for table in tables])
    alike = [table.rename_columns(new) for table, new in zip(tables, names, strict=True)]
    try:
        table = pa.concat_tables(alike, promote_options="permissive")
        return table.replace_schema_metadata({**(table.schema.metadata or {}), _INPUTS: output.inputs})
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise types_differ([piece.shard for piece in output.pieces], error) from error


def _copy(sample: Sample, key: str, archive: IO[bytes]) -> None:
    for suffix, data in sample.members.items():
        add(archive, f"{key}.{suffix}", data)


def _rows_with_keys(pool: Pool, shard: Shard, rows: list[int], keys: list[str]) -> pa.Table:
    """All columns of these rows, with their new keys, and the uid where the table had to derive it."""
    with pool.parquet(shard) as file:
        table = without_views(file.read()).take(pa.array(rows, pa.int64()))
    if "uid" not in table.column_names:
        uids = pa.concat_tables(list(pool.batches(shard, ["uid"]))).take(pa.array(rows, pa.int64()))
        table = table.append_column("uid", uids["uid"])
    column = pa.array(keys, pa.string())
    if "key" in table.column_names:
        return table.set_column(table.column_names.index("key"), "key", column)
    return table.append_column("key", column)
