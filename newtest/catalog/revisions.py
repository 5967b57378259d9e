"""Revisions in the catalog: what is sampled from, and what was drawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from newtest.catalog import transaction
from newtest.catalog.frames import read_frame
from newtest.catalog.kept import kept

__all__ = [
    "Revision",
    "blocked_pairs",
    "candidate_keys",
    "candidate_pairs",
    "exclusions_of",
    "find",
    "members_of",
    "names",
    "reference_keys",
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

    @property
    def filtered(self) -> bool:
        """Whether the votes of excluded workers were left out of the draw."""
        return bool(self.summary_values().get("filtered"))

    def config_values(self) -> dict[str, Any]:
        """The SamplingConfig that it was drawn by, as plain values. Raises StudyError."""
        return kept(self.config, f"the configuration of revision {self.name!r}", dict)

    def summary_values(self) -> dict[str, Any]:
        """Target and drawn histograms, feasibility, diagnostics. Raises StudyError."""
        return kept(self.summary, f"the summary of revision {self.name!r}", dict)


def candidate_pairs(catalog: sqlite3.Connection) -> pd.DataFrame:
    """The pool: image_id, wnid; sorted."""
    columns = {"image_id": "text", "wnid": "text"}
    return read_frame(catalog, "SELECT image_id, wnid FROM candidates ORDER BY image_id, wnid", columns)


def candidate_keys(catalog: sqlite3.Connection) -> pd.DataFrame:
    """The search that ranked each candidate best: image_id, wnid, search_key; sorted, the unsearched left out."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid, text FROM (SELECT c.image_id, c.wnid, s.text,"
        " row_number() OVER (PARTITION BY c.image_id, c.wnid ORDER BY r.rank, s.text) AS place"
        " FROM candidates c JOIN search_results r USING (image_id)"
        " JOIN searches s ON s.search_id = r.search_id AND s.wnid = c.wnid) WHERE place = 1 ORDER BY image_id, wnid",
        {"image_id": "text", "wnid": "text", "search_key": "text"},
    )


def reference_pairs(catalog: sqlite3.Connection, reference: str) -> pd.DataFrame:
    """A reference set: image_id, wnid; sorted."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid FROM reference_members WHERE reference = ? ORDER BY image_id, wnid",
        {"image_id": "text", "wnid": "text"},
        (reference,),
    )


def reference_keys(catalog: sqlite3.Connection, reference: str) -> pd.DataFrame:
    """The column search_key of a reference's table, where it has one: image_id, wnid, search_key; sorted."""
    return read_frame(
        catalog,
        "SELECT m.image_id, m.wnid, CAST(json_extract(i.extra, '$.search_key') AS TEXT) AS key FROM reference_members m"
        " JOIN images i USING (image_id) WHERE m.reference = ? AND key IS NOT NULL ORDER BY m.image_id, m.wnid",
        {"image_id": "text", "wnid": "text", "search_key": "text"},
        (reference,),
    )


def reference_names(catalog: sqlite3.Connection) -> list[str]:
    """The reference sets of the study, sorted."""
    return [row[0] for row in catalog.execute("SELECT name FROM references_ ORDER BY name")]


def study_classes(catalog: sqlite3.Connection) -> set[str]:
    """The wnids that the study collects for: those it searched, or has candidates of."""
    return {row[0] for row in catalog.execute("SELECT wnid FROM searches UNION SELECT wnid FROM candidates")}


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
