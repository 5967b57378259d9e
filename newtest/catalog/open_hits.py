"""What a worker of the crowd server may take next: open HITs that show no image of a class that they have seen."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["OpenGroup", "Seen", "barred_by", "last_group", "next_open_hit", "open_groups", "seen_by"]


@dataclass(frozen=True)
class OpenGroup:
    """HITs of one kind that a worker may take: all of one class, or of one requester's HIT type."""

    group: str
    title: str
    reward: str
    duration: int
    available: int
    lemmas: str | None
    """JSON list of the class's names; None for a requester's own pages."""


@dataclass(frozen=True)
class Seen:
    """An image of a class that a person has been shown. Two studies may know the same bytes under two ids."""

    wnid: str
    image_id: str
    sha256: str | None


_GROUP = (
    "CASE q.kind WHEN 'pairs' THEN 'pairs' WHEN 'which' THEN 'which:' || p.wnid"
    " ELSE coalesce(p.wnid, h.hit_type_id) END"
)
"""A HIT's kind: of pairs, of a choice among classes, of a class, or of a requester's HIT type."""


_MAY_TAKE = """
    h.taken < h.max_assignments AND h.deleted = 0 AND h.expires_at > :now
    AND NOT EXISTS (SELECT 1 FROM market_assignments a WHERE a.worker = :worker
        AND a.market_hit_id = h.market_hit_id AND a.state IN ('leased', 'submitted', 'approved', 'rejected'))
    AND (h.hit_id IS NULL OR h.hit_id NOT IN (
        SELECT i.hit_id FROM market_shown s JOIN hit_images i ON i.image_id = s.image_id
        JOIN hits t ON t.hit_id = i.hit_id AND t.wnid = s.wnid
        WHERE s.worker = :worker AND s.hit_id <> i.hit_id AND i.role NOT IN ('example', 'pair')
        UNION SELECT i.hit_id FROM votes v JOIN hit_images i ON i.image_id = v.image_id
        JOIN hits t ON t.hit_id = i.hit_id AND t.wnid = v.wnid
        WHERE v.worker = :worker AND v.hit_id IS NOT i.hit_id AND i.role NOT IN ('example', 'pair')
        UNION SELECT o.hit_id FROM market_assignments a JOIN market_hits m USING (market_hit_id)
        JOIN hit_pairs p ON p.hit_id = m.hit_id JOIN hit_pairs o ON o.image_a = p.image_a AND o.image_b = p.image_b
        WHERE a.worker = :worker AND o.hit_id <> p.hit_id AND o.control IS NULL))
    AND (h.hit_id IS NULL OR h.hit_id NOT IN (SELECT value FROM json_each(:barred)))
"""


def seen_by(catalog: sqlite3.Connection, worker: str) -> list[Seen]:
    """Every image of a class that a worker was shown here or has voted on."""
    rows = catalog.execute(
        "SELECT s.wnid, s.image_id, f.sha256 FROM market_shown s LEFT JOIN files f USING (image_id)"
        " WHERE s.worker = :worker UNION SELECT v.wnid, v.image_id, f.sha256 FROM votes v"
        " LEFT JOIN files f USING (image_id) WHERE v.worker = :worker ORDER BY 1, 2",
        {"worker": worker},
    )
    return [Seen(*row) for row in rows]


def barred_by(catalog: sqlite3.Connection, seen: Iterable[Seen]) -> list[str]:
    """The planned HITs that ask about an image of a class that a person has seen in another study, by its id or by its
    bytes."""
    rows = catalog.execute(
        """
        WITH seen AS (SELECT value ->> 0 AS wnid, value ->> 1 AS image_id, value ->> 2 AS sha256
            FROM json_each(:seen)), again AS (
            SELECT wnid, image_id FROM seen
            UNION SELECT s.wnid, f.image_id FROM seen s JOIN files f ON f.sha256 = s.sha256)
        SELECT DISTINCT i.hit_id FROM again a JOIN hit_images i USING (image_id)
        JOIN hits t ON t.hit_id = i.hit_id AND t.wnid = a.wnid WHERE i.role NOT IN ('example', 'pair') ORDER BY i.hit_id
        """,
        {"seen": json.dumps([[one.wnid, one.image_id, one.sha256] for one in seen])},
    )
    return [row[0] for row in rows]


def open_groups(
    catalog: sqlite3.Connection, worker: str, *, now: float, limit: int, barred: Sequence[str] = ()
) -> list[OpenGroup]:
    """What a worker may take: nothing that is full or over, no image of a class that they have seen, and none of the
    ``barred`` planned HITs."""
    rows = catalog.execute(
        f"""
        SELECT {_GROUP} AS of_kind, t.title, t.reward, t.duration, count(*), iif(q.kind IS 'pairs', NULL, c.lemmas)
        FROM market_hits h JOIN market_hit_types t USING (hit_type_id)
        LEFT JOIN hits p ON p.hit_id = h.hit_id LEFT JOIN classes c ON c.wnid = p.wnid
        LEFT JOIN hit_questions q ON q.hit_id = h.hit_id
        WHERE {_MAY_TAKE} GROUP BY of_kind ORDER BY min(h.created_at), of_kind LIMIT :limit
        """,
        {"worker": worker, "now": now, "limit": limit, "barred": json.dumps(list(barred))},
    )
    return [OpenGroup(*row) for row in rows]


def next_open_hit(
    catalog: sqlite3.Connection, worker: str, group: str, *, now: float, barred: Sequence[str] = ()
) -> str | None:
    """The oldest HIT of a group that a worker may take; None when there is none (any more)."""
    row = catalog.execute(
        f"""
        SELECT h.market_hit_id FROM market_hits h LEFT JOIN hits p ON p.hit_id = h.hit_id
        LEFT JOIN hit_questions q ON q.hit_id = h.hit_id WHERE {_GROUP} = :group AND {_MAY_TAKE}
        ORDER BY h.created_at, h.market_hit_id LIMIT 1
        """,
        {"worker": worker, "now": now, "group": group, "barred": json.dumps(list(barred))},
    ).fetchone()
    return None if row is None else str(row[0])


def last_group(catalog: sqlite3.Connection, worker: str) -> tuple[str, float] | None:
    """The kind (as ``OpenGroup`` has it) of the HIT that a worker submitted last, and when; None before the first."""
    row = catalog.execute(
        f"SELECT {_GROUP}, a.submitted_at"
        " FROM market_assignments a JOIN market_hits h USING (market_hit_id)"
        " LEFT JOIN hits p ON p.hit_id = h.hit_id LEFT JOIN hit_questions q ON q.hit_id = h.hit_id"
        " WHERE a.worker = ? AND a.submitted_at IS NOT NULL"
        " ORDER BY a.submitted_at DESC, a.assignment_id LIMIT 1",
        (worker,),
    ).fetchone()
    return None if row is None else (str(row[0]), float(row[1]))
