"""What a release is made of: its members with all that is known of them, and the facts of its card."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from newtest.catalog import transaction
from newtest.catalog.images import clean
from newtest.catalog.kept import kept

__all__ = [
    "MemberRow",
    "VoteFacts",
    "closeness",
    "member_rows",
    "put_release",
    "release_paths",
    "revisions_with",
    "search_facts",
    "vote_facts",
]


@dataclass(frozen=True)
class MemberRow:
    """A member of a revision; ``num_selected`` of ``num_shown`` are the counts that it was drawn by."""

    image_id: str
    wnid: str
    num_selected: int
    num_shown: int
    source: str
    source_id: str
    url: str | None
    page_url: str | None
    title: str | None
    license: str | None
    owner: str | None
    taken_on: str | None
    uploaded_on: str | None
    sha256: str | None
    format: str | None


@dataclass(frozen=True)
class VoteFacts:
    """Votes that count for the members of a revision: single ones an origin, distinct workers, those of counts."""

    votes: dict[str, int]
    workers: int
    count_batches: dict[str, int]
    first: str | None = None
    """When the first and the last of the single votes were submitted, where that is known."""
    last: str | None = None


def member_rows(catalog: sqlite3.Connection, revision: str) -> list[MemberRow]:
    """The members of a revision by (wnid, image_id); ``sha256`` is None where the bytes are not there."""
    rows = catalog.execute(
        "SELECT m.image_id, m.wnid, m.num_selected, m.num_shown, i.source, i.source_id, i.url, i.page_url, i.title,"
        " i.license, i.owner, i.taken_on, i.uploaded_on, f.sha256, f.format"
        " FROM revision_members m JOIN images i USING (image_id) LEFT JOIN files f USING (image_id)"
        " WHERE m.revision = ? ORDER BY m.wnid, m.image_id",
        (revision,),
    )
    # A catalog of an earlier version may hold what is never published.
    return [MemberRow(*row[:6], *map(clean, row[6:11]), *row[11:]) for row in rows]


def search_facts(catalog: sqlite3.Connection, revision: str) -> list[dict[str, Any]]:
    """The searches that found members, by source: their queries (dicts) and how many members they found."""
    rows = catalog.execute(
        "SELECT s.source, s.query, count(DISTINCT m.image_id) FROM searches s JOIN search_results r USING (search_id)"
        " JOIN revision_members m ON m.image_id = r.image_id AND m.wnid = s.wnid WHERE m.revision = ?"
        " GROUP BY s.search_id ORDER BY s.source, s.wnid, s.text, s.search_id",
        (revision,),
    )
    return [{"source": row[0], "query": kept(row[1], "a search", dict), "members": row[2]} for row in rows]


def vote_facts(catalog: sqlite3.Connection, revision: str, *, filtered: bool) -> VoteFacts:
    """Who said what about the members, in numbers, counted as ``newtest.catalog.votes.totals`` does."""
    join = " JOIN revision_members m USING (image_id, wnid) JOIN vote_batches b USING (batch_id) WHERE m.revision = ?"
    counted = (
        f"{join} AND v.control IS NOT 'negative'"
        + (" AND v.worker NOT IN (SELECT worker FROM excluded_workers)" if filtered else "")
        + " AND (b.origin <> 'simulated' OR NOT EXISTS (SELECT 1 FROM votes r JOIN vote_batches o USING (batch_id)"
        " WHERE r.image_id = v.image_id AND r.wnid = v.wnid AND o.origin <> 'simulated')"
        " AND NOT EXISTS (SELECT 1 FROM vote_counts r WHERE r.image_id = v.image_id AND r.wnid = v.wnid))"
    )
    votes = catalog.execute(
        f"SELECT b.origin, count(*) FROM votes v{counted} GROUP BY b.origin ORDER BY b.origin", (revision,)
    )
    found = catalog.execute(
        f"SELECT count(DISTINCT v.worker), min(v.submitted_at), max(v.submitted_at) FROM votes v{counted}",
        (revision,),
    )
    workers, first, last = found.fetchone()
    counts = catalog.execute(
        f"SELECT b.origin, sum(v.num_shown) FROM vote_counts v{join} GROUP BY b.origin ORDER BY b.origin",
        (revision,),
    )
    return VoteFacts(dict(votes.fetchall()), workers, dict(counts.fetchall()), first, last)


def closeness(catalog: sqlite3.Connection) -> list[tuple[str, str]]:
    """By which metric the study's images were compared with which set: (metric, scope)."""
    rows = catalog.execute("SELECT DISTINCT metric, scope FROM compared ORDER BY metric, scope")
    return [(row[0], row[1]) for row in rows]


def put_release(
    catalog: sqlite3.Connection, path: str, revision: str, sums_hash: str, created_at: str
) -> None:
    """Note that a release was written."""
    with transaction(catalog):
        catalog.execute(
            "INSERT OR REPLACE INTO releases VALUES (?, ?, ?, ?)", (path, revision, sums_hash, created_at)
        )


def release_paths(catalog: sqlite3.Connection, image_ids: Sequence[str]) -> list[str]:
    """The releases that have any of these images in them, by path."""
    rows = catalog.execute(
        "SELECT DISTINCT r.path FROM releases r JOIN revision_members m USING (revision)"
        " WHERE m.image_id IN (SELECT value FROM json_each(?)) ORDER BY r.path",
        (json.dumps(list(image_ids)),),
    )
    return [row[0] for row in rows]


def revisions_with(catalog: sqlite3.Connection, image_ids: Sequence[str]) -> list[str]:
    """The revisions that have any of these images among their members, by name."""
    rows = catalog.execute(
        "SELECT DISTINCT revision FROM revision_members WHERE image_id IN (SELECT value FROM json_each(?))"
        " ORDER BY revision",
        (json.dumps(list(image_ids)),),
    )
    return [row[0] for row in rows]
