"""Votes and counts in the catalog.

New votes are staged in a temporary table, so that a file of millions is checked against the catalog by joins
and stored by one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from newtest.catalog import transaction
from newtest.catalog.frames import read_frame

__all__ = [
    "Batch",
    "Origin",
    "counted",
    "drop_staged",
    "has_batch",
    "ids_by_source_id",
    "images_there",
    "pairs_of_study",
    "repeated",
    "staged_counts",
    "staged_votes",
    "store_counts",
    "store_votes",
    "totals",
    "unknown",
    "workers_there",
]

Origin = Literal["imported", "simulated", "local", "mturk"]
Place = tuple[int, str, str]


@dataclass(frozen=True)
class Batch:
    """One import, simulation or collection of votes."""

    batch_id: str
    origin: Origin
    description: str
    added_at: str


@contextmanager
def staged_votes(catalog: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    """Stage (row, image_id, wnid, worker, selected, hit_id, submitted_at, control) while the block runs."""
    with _staged(
        catalog, "worker TEXT, selected INTEGER, hit_id TEXT, submitted_at TEXT, control TEXT", rows
    ):
        yield


@contextmanager
def staged_counts(catalog: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    """Stage (row, image_id, wnid, num_selected, num_shown) while the block runs."""
    columns = "num_selected INTEGER, num_shown INTEGER, control TEXT"
    with _staged(catalog, columns, ((*row, None) for row in rows)):
        yield


def unknown(catalog: sqlite3.Connection) -> list[Place]:
    """Staged (row, image_id, wnid) that are neither candidates nor members of a reference, by row.

    A negative control pairs an image with a class that is not its own: there the image must be known, no
    more.
    """
    return _places(
        catalog,
        "SELECT row, image_id, wnid FROM temp.incoming i"
        " WHERE NOT EXISTS (SELECT 1 FROM candidates c WHERE c.image_id = i.image_id AND c.wnid = i.wnid)"
        " AND NOT EXISTS (SELECT 1 FROM reference_members m WHERE m.image_id = i.image_id AND m.wnid = i.wnid)"
        " AND NOT (i.control IS 'negative' AND EXISTS (SELECT 1 FROM images g WHERE g.image_id = i.image_id))"
        " ORDER BY row",
    )


def repeated(catalog: sqlite3.Connection, batch_id: str) -> list[Place]:
    """Staged (row, image_id, wnid) whose worker has voted on the pair in another batch, by row.

    The very same vote (equal in every column, and from a named HIT) is no second vote but a file that
    overlaps an earlier one: it is not listed, and storing it again changes nothing.
    """
    return _places(
        catalog,
        "SELECT i.row, i.image_id, i.wnid FROM temp.incoming i JOIN votes v USING (image_id, wnid, worker)"
        " WHERE v.batch_id <> ? AND NOT (v.hit_id IS NOT NULL AND v.hit_id IS i.hit_id"
        " AND v.selected = i.selected AND v.submitted_at IS i.submitted_at AND v.control IS i.control)"
        " ORDER BY i.row",
        (batch_id,),
    )


def counted(catalog: sqlite3.Connection, batch_id: str) -> list[Place]:
    """Staged (row, image_id, wnid) of new counts whose pair has other counts, or single real votes; by row."""
    return _places(
        catalog,
        "SELECT row, image_id, wnid FROM temp.incoming i WHERE NOT EXISTS (SELECT 1 FROM vote_counts c"
        " WHERE c.image_id = i.image_id AND c.wnid = i.wnid AND c.batch_id = ?)"
        " AND (EXISTS (SELECT 1 FROM vote_counts c WHERE c.image_id = i.image_id AND c.wnid = i.wnid)"
        " OR EXISTS (SELECT 1 FROM votes v JOIN vote_batches b USING (batch_id)"
        " WHERE v.image_id = i.image_id AND v.wnid = i.wnid AND b.origin <> 'simulated')) ORDER BY row",
        (batch_id,),
    )


def drop_staged(catalog: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Take rows out of the stage."""
    catalog.executemany("DELETE FROM temp.incoming WHERE row = ?", ((row,) for row in rows))


def store_votes(catalog: sqlite3.Connection, batch: Batch) -> int:
    """Store the staged votes but those that are there already; how many were new. One transaction."""
    return _store(
        catalog,
        batch,
        "INSERT OR IGNORE INTO votes SELECT image_id, wnid, worker, selected, hit_id, submitted_at, control, ?"
        " FROM temp.incoming ORDER BY image_id, wnid, worker",
    )


def store_counts(catalog: sqlite3.Connection, batch: Batch) -> int:
    """Store the staged counts but those that this batch has already; how many were new. One transaction."""
    return _store(
        catalog,
        batch,
        "INSERT OR IGNORE INTO vote_counts SELECT image_id, wnid, num_selected, num_shown, ? FROM temp.incoming",
    )


def has_batch(catalog: sqlite3.Connection, batch_id: str) -> bool:
    """Whether an import or simulation with this fingerprint is stored."""
    return (
        catalog.execute("SELECT 1 FROM vote_batches WHERE batch_id = ?", (batch_id,)).fetchone() is not None
    )


def totals(catalog: sqlite3.Connection, *, filtered: bool = False) -> pd.DataFrame:
    """Votes and counts together: image_id, wnid, num_selected, num_shown, simulated; sorted by (image_id,
    wnid).

    Simulated votes count only for pairs without real ones, those of excluded workers among them. Negative
    controls are left out: they test workers, not images. ``filtered`` leaves out the votes of excluded workers
    (counts from elsewhere name no workers and stay).
    """
    if catalog.execute("SELECT 1 FROM vote_batches WHERE origin = 'simulated'").fetchone() is None:
        return _sums(catalog, filtered=filtered).assign(simulated=False)
    real = _sums(catalog, filtered=filtered, origin="<> 'simulated'").assign(simulated=False)
    simulated = _sums(catalog, filtered=filtered, origin="= 'simulated'").assign(simulated=True)
    asked = _sums(catalog, filtered=False, origin="<> 'simulated'") if filtered else real
    pairs, voted = (pd.MultiIndex.from_frame(frame[["image_id", "wnid"]]) for frame in (simulated, asked))
    both = pd.concat([real, simulated[~pairs.isin(voted)]], ignore_index=True)
    return both.sort_values(["image_id", "wnid"], ignore_index=True)


def pairs_of_study(catalog: sqlite3.Connection) -> pd.DataFrame:
    """Candidates and reference members: image_id, wnid, is_reference, voted; sorted by (image_id, wnid)."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, max(is_reference),"
        " EXISTS (SELECT 1 FROM votes v WHERE v.image_id = p.image_id AND v.wnid = p.wnid)"
        " OR EXISTS (SELECT 1 FROM vote_counts v WHERE v.image_id = p.image_id AND v.wnid = p.wnid)"
        " FROM (SELECT image_id, wnid, 0 AS is_reference FROM candidates"
        "       UNION ALL SELECT image_id, wnid, 1 FROM reference_members) p"
        " GROUP BY image_id, wnid ORDER BY image_id, wnid",
        {"image_id": "text", "wnid": "text", "is_reference": "boolean", "voted": "boolean"},
    )


def images_there(catalog: sqlite3.Connection, image_ids: Iterable[str]) -> set[str]:
    """Those of the ids that the catalog knows."""
    query = "SELECT 1 FROM images WHERE image_id = ?"
    return {image_id for image_id in image_ids if catalog.execute(query, (image_id,)).fetchone() is not None}


def workers_there(catalog: sqlite3.Connection, workers: Iterable[str]) -> set[str]:
    """Those of the keys under which votes are stored."""
    query = "SELECT 1 FROM votes WHERE worker = ? LIMIT 1"
    return {worker for worker in workers if catalog.execute(query, (worker,)).fetchone() is not None}


def ids_by_source_id(catalog: sqlite3.Connection) -> dict[str, list[str]]:
    """What sources call their images -> our ids (several when two sources use one name)."""
    names: dict[str, list[str]] = {}
    for source_id, image_id in catalog.execute("SELECT source_id, image_id FROM images ORDER BY image_id"):
        names.setdefault(source_id, []).append(image_id)
    return names


@contextmanager
def _staged(catalog: sqlite3.Connection, columns: str, rows: Iterable[Sequence[object]]) -> Iterator[None]:
    places = ", ".join("?" * (columns.count(",") + 4))
    catalog.execute("BEGIN")  # writes to the temporary database alone, so nobody waits for it
    try:
        catalog.execute("DROP TABLE IF EXISTS temp.incoming")
        catalog.execute(
            f"CREATE TEMP TABLE incoming (row INTEGER PRIMARY KEY, image_id TEXT, wnid TEXT, {columns})"
        )
        catalog.executemany(f"INSERT INTO temp.incoming VALUES ({places})", rows)
    except BaseException:
        catalog.execute("ROLLBACK")
        raise
    catalog.execute("COMMIT")
    try:
        yield
    finally:
        catalog.execute("DROP TABLE temp.incoming")


def _store(catalog: sqlite3.Connection, batch: Batch, insert: str) -> int:
    with transaction(catalog):
        catalog.execute(
            "INSERT OR IGNORE INTO vote_batches VALUES (?, ?, ?, ?)",
            (batch.batch_id, batch.origin, batch.description, batch.added_at),
        )
        return catalog.execute(insert, (batch.batch_id,)).rowcount


def _places(catalog: sqlite3.Connection, sql: str, parameters: Sequence[object] = ()) -> list[Place]:
    return [(int(row), image_id, wnid) for row, image_id, wnid in catalog.execute(sql, parameters)]


def _sums(catalog: sqlite3.Connection, *, filtered: bool, origin: str | None = None) -> pd.DataFrame:
    batches = f" AND batch_id IN (SELECT batch_id FROM vote_batches WHERE origin {origin})" if origin else ""
    workers = " AND worker NOT IN (SELECT worker FROM excluded_workers)" if filtered else ""
    columns = {"image_id": "text", "wnid": "text", "num_selected": "integer", "num_shown": "integer"}
    votes = read_frame(
        catalog,
        "SELECT image_id, wnid, sum(selected), count(*) FROM votes"
        f" WHERE control IS NOT 'negative'{batches}{workers} GROUP BY image_id, wnid ORDER BY image_id, wnid",
        columns,
    )
    counts = read_frame(
        catalog,
        "SELECT image_id, wnid, sum(num_selected), sum(num_shown) FROM vote_counts"
        f" WHERE true{batches} GROUP BY image_id, wnid ORDER BY image_id, wnid",
        columns,
    )
    if counts.empty or votes.empty:
        return counts if votes.empty else votes
    return pd.concat([votes, counts]).groupby(["image_id", "wnid"], as_index=False, sort=True).sum()
