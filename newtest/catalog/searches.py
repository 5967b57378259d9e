"""Searches: how far each got, what it returned, and which of its results became candidates.

The functions that write are parts of a caller's transaction: a page's results, its cursor and the candidates taken
from it are one fact.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from newtest.catalog.images import add_candidates, add_images, clean, image_from_json
from newtest.config import canonical_json
from newtest.records import Image, Query

__all__ = [
    "Search",
    "SearchCounts",
    "add_page",
    "fail",
    "open_search",
    "rest",
    "results",
    "satisfied",
    "search_of",
    "take",
    "tally",
]


@dataclass(frozen=True)
class Search:
    """How far a search got; ``state`` is ``open``, ``enough``, ``done`` or ``failed``."""

    search_id: str
    state: str
    cursor: str | None


@dataclass(frozen=True)
class SearchCounts:
    """Of one search: results, those of them that are candidates of the class, and those that cannot be used."""

    found: int
    candidates: int
    rejected: int
    without_url: int
    not_fetched: int
    undated: int
    """Results of which nobody knows on which day they were taken."""

    @property
    def failed(self) -> int:
        """How many results cannot be used: entries that are not images, without a URL, whose bytes did not come."""
        return self.rejected + self.without_url + self.not_fetched


def open_search(catalog: sqlite3.Connection, search_id: str, source: str, query: Query) -> None:
    """Register a search; one that failed or had enough continues where it stopped."""
    catalog.execute(
        "INSERT INTO searches (search_id, wnid, source, text, query, state) VALUES (?, ?, ?, ?, ?, 'open')"
        " ON CONFLICT (search_id) DO UPDATE SET state = 'open', error = NULL WHERE state IN ('failed', 'enough')",
        (search_id, query.wnid, source, query.text, canonical_json(query)),
    )


def search_of(catalog: sqlite3.Connection, search_id: str) -> Search:
    """Where a registered search stands."""
    row = catalog.execute(
        "SELECT search_id, state, cursor FROM searches WHERE search_id = ?", (search_id,)
    ).fetchone()
    return Search(*row)


def add_page(
    catalog: sqlite3.Connection, search_id: str, images: Sequence[Image], cursor: str | None, rejected: int
) -> None:
    """Add a page's results after those that are there, a repeated image once; without a cursor the search is done."""
    rank = int(
        catalog.execute(
            "SELECT coalesce(max(rank) + 1, 0) FROM search_results WHERE search_id = ?", (search_id,)
        ).fetchone()[0]
    )
    known = {image_id for image_id, _ in results(catalog, search_id)}
    fresh = {image.image_id: image for image in reversed(images) if image.image_id not in known}
    catalog.executemany(
        "INSERT INTO search_results (search_id, rank, image_id, description) VALUES (?, ?, ?, CASE WHEN"
        " EXISTS (SELECT 1 FROM images WHERE image_id = ?) THEN NULL ELSE ? END)",
        [
            (search_id, rank + position, image_id, image_id, clean(canonical_json(image)))
            for position, (image_id, image) in enumerate(reversed(fresh.items()))
        ],
    )
    catalog.execute(
        "UPDATE searches SET cursor = ?, state = ?, rejected = rejected + ? WHERE search_id = ?",
        (cursor, "open" if cursor else "done", rejected, search_id),
    )


def results(catalog: sqlite3.Connection, search_id: str) -> list[tuple[str, bool]]:
    """The results in the source's order: image id, and whether it has a URL to fetch."""
    rows = catalog.execute(
        "SELECT r.image_id, coalesce(json_extract(r.description, '$.url'), i.url) IS NOT NULL"
        " FROM search_results r LEFT JOIN images i USING (image_id) WHERE search_id = ? ORDER BY rank",
        (search_id,),
    )
    return [(str(image_id), bool(usable)) for image_id, usable in rows]


def satisfied(catalog: sqlite3.Connection, search_ids: Sequence[str], quota: int) -> bool:
    """Whether nothing more has to be asked for a class: its searches have its quota, or have all ended."""
    rows = [
        catalog.execute("SELECT state FROM searches WHERE search_id = ?", (search_id,)).fetchone()
        for search_id in search_ids
    ]
    if all(row is not None and row[0] == "done" for row in rows):
        return True
    found = {key for search_id in search_ids for key, usable in results(catalog, search_id) if usable}
    return len(found) >= quota


def take(catalog: sqlite3.Connection, search_id: str, wnid: str, image_ids: Sequence[str]) -> int:
    """Make results of a search candidates of its class; how many were none before."""
    described = [
        row[0]
        for image_id in image_ids
        for row in catalog.execute(
            "SELECT description FROM search_results WHERE search_id = ? AND image_id = ? AND description IS NOT NULL",
            (search_id, image_id),
        )
    ]
    add_images(catalog, (image_from_json(text) for text in described))
    catalog.executemany(
        "UPDATE search_results SET description = NULL WHERE image_id = ?",
        [(image_id,) for image_id in image_ids],
    )
    return add_candidates(catalog, wnid, image_ids)


def fail(catalog: sqlite3.Connection, search_id: str, error: str) -> None:
    """A search could not go on; its results and its cursor stay."""
    catalog.execute("UPDATE searches SET state = 'failed', error = ? WHERE search_id = ?", (error, search_id))


def rest(catalog: sqlite3.Connection, search_id: str) -> None:
    """A search that has more is not asked further, because the class has enough."""
    catalog.execute(
        "UPDATE searches SET state = 'enough' WHERE search_id = ? AND state = 'open'", (search_id,)
    )


def tally(catalog: sqlite3.Connection, search_id: str) -> SearchCounts:
    """Count a search: unreadable entries, results without a URL, candidates whose bytes did not come."""
    row = catalog.execute(
        "SELECT s.rejected, count(r.image_id), count(c.image_id),"
        " coalesce(sum(coalesce(f.state, 'ok') <> 'ok' AND c.image_id IS NOT NULL), 0),"
        " coalesce(sum(r.image_id IS NOT NULL AND coalesce(json_extract(r.description, '$.url'), i.url) IS NULL), 0),"
        " coalesce(sum(r.image_id IS NOT NULL AND"
        " coalesce(json_extract(r.description, '$.taken_on'), i.taken_on) IS NULL), 0)"
        " FROM searches s LEFT JOIN search_results r USING (search_id)"
        " LEFT JOIN images i ON i.image_id = r.image_id LEFT JOIN files f ON f.image_id = r.image_id"
        " LEFT JOIN candidates c ON c.image_id = r.image_id AND c.wnid = s.wnid WHERE s.search_id = ?",
        (search_id,),
    ).fetchone()
    rejected, found, candidates, not_fetched, without_url, undated = (int(value or 0) for value in row)
    return SearchCounts(found + rejected, candidates, rejected, without_url, not_fetched, undated)
