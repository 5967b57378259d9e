"""Revisions in the catalog: what is sampled from, and what was drawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from newtest.catalog import transaction
from newtest.catalog.frames import read_frame

__all__ = [
    "Revision",
    "blocked_pairs",
    "candidate_pairs",
    "exclusions_of",
    "find",
    "members_of",
    "names",
    "reference_names",
    "reference_pairs",
    "store",
    "study_classes",
]


@dataclass(frozen=True)
class Revision:
    """A row of ``revisions``: what a set was drawn from, and how. ``config`` and ``summary`` are canonical JSON."""

    name: str
    config: str
    reference: str | None
    parent: str | None
    votes_hash: str
    pool_hash: str
    members_hash: str
    simulated: bool
    incomplete: bool
    summary: str
    created_at: str


def candidate_pairs(catalog: sqlite3.Connection) -> pd.DataFrame:
    """The pool: image_id, wnid, search_key (of the search that ranked it best, None without one); sorted by pair."""
    return read_frame(
        catalog,
        "SELECT c.image_id, c.wnid, (SELECT s.text FROM search_results r JOIN searches s USING (search_id)"
        " WHERE r.image_id = c.image_id AND s.wnid = c.wnid ORDER BY r.rank, s.text LIMIT 1)"
        " FROM candidates c ORDER BY c.image_id, c.wnid",
        {"image_id": "text", "wnid": "text", "search_key": "text"},
    )


def reference_pairs(catalog: sqlite3.Connection, reference: str) -> pd.DataFrame:
    """A reference set: image_id, wnid, search_key (the column of that name in its table, if any); sorted by pair."""
    return read_frame(
        catalog,
        "SELECT m.image_id, m.wnid, json_extract(i.extra, '$.search_key')"
        " FROM reference_members m JOIN images i USING (image_id) WHERE m.reference = ? ORDER BY m.image_id, m.wnid",
        {"image_id": "text", "wnid": "text", "search_key": "text"},
        (reference,),
    )


def reference_names(catalog: sqlite3.Connection) -> list[str]:
    """The reference sets of the study, sorted."""
    return [row[0] for row in catalog.execute("SELECT name FROM references_ ORDER BY name")]


def study_classes(catalog: sqlite3.Connection) -> set[str]:
    """The wnids that the study collects for."""
    rows = catalog.execute("SELECT wnid FROM classes UNION SELECT wnid FROM candidates")
    return {row[0] for row in rows}


def blocked_pairs(catalog: sqlite3.Connection) -> set[tuple[str, str | None]]:
    """(image_id, wnid), wnid None for an image blocked in every class: the latest row of each decides."""
    rows = catalog.execute(
        "SELECT image_id, wnid FROM blocks b WHERE blocked = 1 AND NOT EXISTS (SELECT 1 FROM blocks later"
        " WHERE later.image_id = b.image_id AND later.wnid IS b.wnid AND later.block_id > b.block_id)"
    )
    return {(row[0], row[1]) for row in rows}


def names(catalog: sqlite3.Connection) -> list[str]:
    """The revisions of the study, in the order in which they were drawn."""
    return [row[0] for row in catalog.execute("SELECT name FROM revisions ORDER BY created_at, name")]


def find(catalog: sqlite3.Connection, name: str) -> Revision | None:
    """A revision by its name."""
    row = catalog.execute("SELECT * FROM revisions WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    values = dict(row)
    return Revision(**values | {"simulated": bool(row["simulated"]), "incomplete": bool(row["incomplete"])})


def members_of(catalog: sqlite3.Connection, name: str) -> pd.DataFrame:
    """A revision's members with the counts it was drawn by: image_id, wnid, num_selected, num_shown; by (wnid, id)."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, num_selected, num_shown FROM revision_members WHERE revision = ?"
        " ORDER BY wnid, image_id",
        {"image_id": "text", "wnid": "text", "num_selected": "integer", "num_shown": "integer"},
        (name,),
    )


def exclusions_of(catalog: sqlite3.Connection, name: str) -> pd.DataFrame:
    """Why candidates were left out of a revision: image_id, wnid, reason, all_reasons; sorted by (wnid, image_id)."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, reason, all_reasons FROM revision_exclusions WHERE revision = ?"
        " ORDER BY wnid, image_id",
        {"image_id": "text", "wnid": "text", "reason": "text", "all_reasons": "text"},
        (name,),
    )


def store(
    catalog: sqlite3.Connection,
    revision: Revision,
    members: Iterable[Sequence[object]],
    exclusions: Iterable[Sequence[object]],
) -> None:
    """Store a revision whole, in one transaction.

    ``members`` are (image_id, wnid, num_selected, num_shown), ``exclusions`` (image_id, wnid, reason, all_reasons).
    """
    columns = (*Revision.__dataclass_fields__,)
    with transaction(catalog):
        catalog.execute(
            f"INSERT INTO revisions ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [getattr(revision, column) for column in columns],
        )
        catalog.executemany(
            "INSERT INTO revision_members VALUES (?, ?, ?, ?, ?)", ((revision.name, *row) for row in members)
        )
        catalog.executemany(
            "INSERT INTO revision_exclusions VALUES (?, ?, ?, ?, ?)",
            ((revision.name, *row) for row in exclusions),
        )
