"""What an owner looks at and changes while people work: HITs, images, workers; pause, extend, close.

Times are seconds since 1970 on the server's clock.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from newtest.catalog.leases import Lease

__all__ = [
    "HitRow",
    "assignments_with",
    "close_hits",
    "extend_hits",
    "hit_rows",
    "is_paused",
    "places_of",
    "server_address",
    "set_paused",
    "set_server_address",
]

_PAUSED, _ADDRESS = "crowd_paused", "crowd_address"


@dataclass(frozen=True)
class HitRow:
    """A HIT in the owner's list."""

    market_hit_id: str
    hit_id: str | None
    name: str
    """JSON list of the class's names, or the title of a requester's HIT."""
    wanted: int
    done: int
    leased: int
    created_at: float
    expires_at: float


def hit_rows(
    catalog: sqlite3.Connection, *, limit: int, offset: int = 0, market_hit_id: str | None = None
) -> list[HitRow]:
    """HITs that are not deleted, oldest first; only one with ``market_hit_id``."""
    rows = catalog.execute(
        """
        SELECT h.market_hit_id, h.hit_id, coalesce(c.lemmas, t.title), h.max_assignments,
            count(*) FILTER (WHERE a.state IN ('submitted', 'approved', 'rejected')),
            count(*) FILTER (WHERE a.state = 'leased'), h.created_at, h.expires_at
        FROM market_hits h JOIN market_hit_types t USING (hit_type_id) LEFT JOIN hits p ON p.hit_id = h.hit_id
        LEFT JOIN classes c ON c.wnid = p.wnid LEFT JOIN market_assignments a ON a.market_hit_id = h.market_hit_id
        WHERE h.deleted = 0 AND (:one IS NULL OR h.market_hit_id = :one)
        GROUP BY h.market_hit_id ORDER BY h.created_at, h.market_hit_id LIMIT :limit OFFSET :offset
        """,
        {"one": market_hit_id, "limit": limit, "offset": offset},
    )
    return [HitRow(*row) for row in rows]


def assignments_with(
    catalog: sqlite3.Connection, *, market_hit_id: str | None = None, worker: str | None = None
) -> list[tuple[Lease, str | None, str]]:
    """(assignment, hit_id of the plan, the worker's label) of a HIT or of a worker, newest first."""
    rows = catalog.execute(
        """
        SELECT h.hit_id, coalesce((SELECT label FROM worker_links l WHERE l.worker = a.worker
            ORDER BY revoked_at IS NULL DESC, link_id LIMIT 1), ''), a.*
        FROM market_assignments a JOIN market_hits h USING (market_hit_id)
        WHERE (:hit IS NULL OR a.market_hit_id = :hit) AND (:worker IS NULL OR a.worker = :worker)
        ORDER BY a.accepted_at DESC, a.assignment_id LIMIT 2000
        """,
        {"hit": market_hit_id, "worker": worker},
    )
    return [(Lease(*tuple(row)[2:]), row[0], row[1]) for row in rows]


def places_of(catalog: sqlite3.Connection, image_id: str) -> list[tuple[str, str, int, str]]:
    """(market's id, hit_id, position, role) of an image in every HIT that is open or was."""
    rows = catalog.execute(
        "SELECT h.market_hit_id, i.hit_id, i.position, i.role FROM hit_images i JOIN market_hits h USING (hit_id)"
        " WHERE i.image_id = ? ORDER BY h.created_at, h.market_hit_id",
        (image_id,),
    )
    return [tuple(row) for row in rows]


def extend_hits(
    catalog: sqlite3.Connection, seconds: float, *, now: float, market_hit_id: str | None = None
) -> int:
    """Let HITs (or one) end so much later; those that have ended begin anew from now. Gives how many."""
    cursor = catalog.execute(
        "UPDATE market_hits SET expires_at = max(expires_at, :now) + :seconds"
        " WHERE deleted = 0 AND (:one IS NULL OR market_hit_id = :one)",
        {"seconds": seconds, "now": now, "one": market_hit_id},
    )
    return cursor.rowcount


def close_hits(catalog: sqlite3.Connection, *, now: float, market_hit_id: str | None = None) -> int:
    """End HITs (or one) now: nobody can begin them; who has begun may finish. Gives how many."""
    cursor = catalog.execute(
        "UPDATE market_hits SET expires_at = min(expires_at, :now)"
        " WHERE deleted = 0 AND expires_at > :now AND (:one IS NULL OR market_hit_id = :one)",
        {"now": now, "one": market_hit_id},
    )
    return cursor.rowcount


def set_paused(catalog: sqlite3.Connection, *, paused: bool) -> None:
    """While it is paused nobody can begin a HIT; who has begun may finish."""
    _put(catalog, _PAUSED, "yes" if paused else "no")


def is_paused(catalog: sqlite3.Connection) -> bool:
    """Whether the owner has paused the work."""
    return _get(catalog, _PAUSED) == "yes"


def set_server_address(catalog: sqlite3.Connection, url: str) -> None:
    """Remember where people reach the server."""
    _put(catalog, _ADDRESS, url)


def server_address(catalog: sqlite3.Connection) -> str | None:
    """Where people reach the server that was started last; None before the first."""
    return _get(catalog, _ADDRESS)


def _put(catalog: sqlite3.Connection, key: str, value: str) -> None:
    catalog.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (key, value),
    )


def _get(catalog: sqlite3.Connection, key: str) -> str | None:
    row = catalog.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
