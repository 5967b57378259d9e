"""What the owner's page shows: sums over the crowd server's market, and a row per worker."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

__all__ = ["progress", "workers", "workers_who_began"]


def progress(catalog: sqlite3.Connection, *, now: float) -> Mapping[str, float]:
    """Sums for the owner's page: HITs, assignments wanted and in each state, submitted in the last hour."""
    row = catalog.execute(
        """
        SELECT (SELECT count(*) FROM market_hits WHERE deleted = 0) AS hits,
            (SELECT coalesce(sum(max_assignments), 0) FROM market_hits WHERE deleted = 0) AS wanted,
            (SELECT count(*) FROM market_hits WHERE deleted = 0 AND taken < max_assignments AND expires_at >
            :now)
                AS open,
            count(*) FILTER (WHERE a.state = 'leased') AS leased,
            count(*) FILTER (WHERE a.state = 'submitted') AS submitted,
            count(*) FILTER (WHERE a.state = 'approved') AS approved,
            count(*) FILTER (WHERE a.state = 'rejected') AS rejected,
            count(*) FILTER (WHERE a.state IN ('returned', 'lapsed')) AS returned,
            count(*) FILTER (WHERE a.submitted_at > :now - 3600) AS last_hour
        FROM market_assignments a
        """,
        {"now": now},
    ).fetchone()
    return dict(row)


def workers(catalog: sqlite3.Connection) -> list[sqlite3.Row]:
    """A row per worker for the owner's page: key, label, link, HITs done, seconds per HIT (median is the
    caller's)."""
    return catalog.execute(
        """
        SELECT l.worker, l.label, l.origin, l.link_id, l.revoked_at, count(a.assignment_id) AS done,
            avg(a.submitted_at - a.accepted_at) AS seconds, max(a.submitted_at) AS last
        FROM worker_links l LEFT JOIN market_assignments a ON a.worker = l.worker
            AND a.state IN ('submitted', 'approved', 'rejected')
        WHERE l.link_id = (SELECT link_id FROM worker_links o WHERE o.worker = l.worker
            ORDER BY revoked_at IS NULL DESC, revoked_at DESC, link_id LIMIT 1)  -- a person has one link that counts
        GROUP BY l.link_id ORDER BY l.created_at, l.link_id
        """
    ).fetchall()


def workers_who_began(catalog: sqlite3.Connection) -> frozenset[str]:
    """Everybody who has begun a HIT, whatever became of it."""
    return frozenset(row[0] for row in catalog.execute("SELECT DISTINCT worker FROM market_assignments"))
