"""Votes and counts in the catalog. New ones are staged first: see ``newtest.catalog.vote_stage``."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from newtest.catalog import transaction
from newtest.catalog.frames import read_frame

__all__ = [
    "Batch",
    "Origin",
    "has_batch",
    "ids_by_source_id",
    "pairs_of_study",
    "single_votes",
    "store_counts",
    "store_votes",
    "totals",
    "workers_there",
]

Origin = Literal["imported", "simulated", "local", "mturk"]


@dataclass(frozen=True)
class Batch:
    """One import, simulation or collection of votes."""

    batch_id: str
    origin: Origin
    description: str
    added_at: str


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


def single_votes(catalog: sqlite3.Connection, *, filtered: bool = False) -> pd.DataFrame:
    """Real votes one by one: image_id, wnid, worker, selected, hit_id, control; sorted by (image_id, wnid, worker).

    ``filtered`` leaves out those of excluded workers. Simulated votes are left out: nobody gave them.
    """
    where = " AND worker NOT IN (SELECT worker FROM excluded_workers)" if filtered else ""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, worker, selected, hit_id, control FROM votes WHERE batch_id NOT IN"
        f" (SELECT batch_id FROM vote_batches WHERE origin = 'simulated'){where}"
        " ORDER BY image_id, wnid, worker",
        {
            "image_id": "text",
            "wnid": "text",
            "worker": "text",
            "selected": "integer",
            "hit_id": "text",
            "control": "text",
        },
    )


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


def workers_there(catalog: sqlite3.Connection, workers: Iterable[str]) -> set[str]:
    """Those of the keys under which votes are stored."""
    query = "SELECT 1 FROM votes WHERE worker = ? LIMIT 1"
    return {worker for worker in workers if catalog.execute(query, (worker,)).fetchone() is not None}


def ids_by_source_id(catalog: sqlite3.Connection, names: Collection[str]) -> dict[str, list[str]]:
    """Those of the names that sources give their images -> our ids (several when two sources use one name).

    Names are compared in Unicode's form NFC: a file's name may be stored in another.
    """
    wanted = set(names)
    found: dict[str, list[str]] = {}
    for source_id, image_id in catalog.execute("SELECT source_id, image_id FROM images ORDER BY image_id"):
        name = unicodedata.normalize("NFC", source_id)
        if name in wanted:
            found.setdefault(name, []).append(image_id)
    return found


def _store(catalog: sqlite3.Connection, batch: Batch, insert: str) -> int:
    with transaction(catalog):
        catalog.execute(
            "INSERT OR IGNORE INTO vote_batches VALUES (?, ?, ?, ?)",
            (batch.batch_id, batch.origin, batch.description, batch.added_at),
        )
        return catalog.execute(insert, (batch.batch_id,)).rowcount


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
