"""Leases and answers on the crowd server's market. Every function that changes something needs a transaction
around it.

What must never happen is forbidden by the schema, not by these functions: more assignments than a HIT has (a
CHECK), two by one worker (a unique index), the same image of a class shown twice to one worker (a primary
key).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Lease",
    "OpenGroup",
    "Seen",
    "assignments_of",
    "barred_by",
    "decide",
    "find_lease",
    "give_back",
    "insert_lease",
    "last_group",
    "lease_of",
    "next_open_hit",
    "num_submitted",
    "open_groups",
    "planned_answer",
    "planned_answer_ids",
    "renew_lapsed",
    "seen_by",
    "submit",
    "sweep",
]


@dataclass(frozen=True)
class Lease:
    """An assignment on our market. Times in seconds since 1970; ``answer`` is QuestionFormAnswers XML."""

    assignment_id: str
    market_hit_id: str
    worker: str
    state: str
    accepted_at: float
    lease_ends: float
    submitted_at: float | None = None
    auto_approve_at: float | None = None
    decided_at: float | None = None
    feedback: str | None = None
    answer: str | None = None


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


def sweep(catalog: sqlite3.Connection, now: float) -> None:
    """Let leases lapse that have ended, and approve what nobody decided on in time."""
    catalog.execute(
        "UPDATE market_assignments SET state = 'lapsed' WHERE state = 'leased' AND lease_ends <= ?", (now,)
    )
    catalog.execute(
        "UPDATE market_assignments SET state = 'approved', decided_at = auto_approve_at"
        " WHERE state = 'submitted' AND auto_approve_at <= ?",
        (now,),
    )


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


def insert_lease(catalog: sqlite3.Connection, lease: Lease) -> None:
    """Lease a HIT to a worker, and write down every image that they are about to see.

    Raises sqlite3.IntegrityError when the HIT is full, theirs already, or shows an image of the class again.
    """
    catalog.execute(
        "INSERT INTO market_assignments (assignment_id, market_hit_id, worker, state, accepted_at, lease_ends)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            lease.assignment_id, lease.market_hit_id, lease.worker, lease.state, lease.accepted_at, lease.lease_ends,
        ),
    )  # fmt: skip
    catalog.execute(
        """
        INSERT INTO market_shown (worker, image_id, wnid, hit_id)
        SELECT :worker, i.image_id, p.wnid, p.hit_id
        FROM market_hits h JOIN hits p ON p.hit_id = h.hit_id JOIN hit_images i ON i.hit_id = p.hit_id
        WHERE h.market_hit_id = :hit AND i.role NOT IN ('example', 'pair') AND NOT EXISTS (
            SELECT 1 FROM market_shown s WHERE s.worker = :worker AND s.image_id = i.image_id AND s.wnid =
            p.wnid AND s.hit_id = p.hit_id)
        """,
        {"worker": lease.worker, "hit": lease.market_hit_id},
    )


def renew_lapsed(
    catalog: sqlite3.Connection, worker: str, market_hit_id: str, *, now: float, lease_ends: float
) -> str | None:
    """Lease a HIT again to a worker whose lease of it lapsed; gives that assignment's id, None where there is none.

    It stays the same assignment: what they had ticked is kept in their browser under its id.
    """
    row = catalog.execute(
        "SELECT assignment_id FROM market_assignments WHERE worker = ? AND market_hit_id = ? AND state = 'lapsed'"
        " ORDER BY accepted_at DESC LIMIT 1",
        (worker, market_hit_id),
    ).fetchone()
    if row is None:
        return None
    catalog.execute(
        "UPDATE market_assignments SET state = 'leased', accepted_at = ?, lease_ends = ? WHERE assignment_id = ?",
        (now, lease_ends, row[0]),
    )
    return str(row[0])


def find_lease(catalog: sqlite3.Connection, assignment_id: str) -> Lease | None:
    """An assignment by its id, whatever became of it."""
    row = catalog.execute(
        "SELECT * FROM market_assignments WHERE assignment_id = ?", (assignment_id,)
    ).fetchone()
    return None if row is None else Lease(*row)


def lease_of(catalog: sqlite3.Connection, worker: str) -> list[Lease]:
    """What a worker is working on, oldest first."""
    rows = catalog.execute(
        "SELECT * FROM market_assignments WHERE worker = ? AND state = 'leased' ORDER BY accepted_at",
        (worker,),
    )
    return [Lease(*row) for row in rows]


def submit(
    catalog: sqlite3.Connection, assignment_id: str, answer: str, *, now: float, auto_approve_at: float
) -> bool:
    """Keep the answer of a lease, or of one that lapsed while its place is still open to others. False: too late.

    A HIT that has ended or was deleted takes no late answer: its requester may have been told that it is over, and
    would never fetch it. An answer that is there is not replaced: a second submit changes nothing and is told True.
    """
    lease = find_lease(catalog, assignment_id)
    if lease is None or lease.state == "returned":
        return False
    if lease.state not in ("leased", "lapsed"):
        return True
    if lease.state == "lapsed" and not _is_open(catalog, lease.market_hit_id, now):
        return False
    try:
        catalog.execute(
            "UPDATE market_assignments SET state = 'submitted', answer = ?, submitted_at = ?, auto_approve_at = ?"
            " WHERE assignment_id = ?",
            (answer, now, auto_approve_at, assignment_id),
        )
    except sqlite3.IntegrityError:  # another took the place, or this worker took the HIT again
        return False
    return True


def _is_open(catalog: sqlite3.Connection, market_hit_id: str, now: float) -> bool:
    row = catalog.execute(
        "SELECT 1 FROM market_hits WHERE market_hit_id = ? AND deleted = 0 AND expires_at > ?",
        (market_hit_id, now),
    ).fetchone()
    return row is not None


def give_back(catalog: sqlite3.Connection, assignment_id: str) -> None:
    """Return a lease, so that another can take the place."""
    catalog.execute(
        "UPDATE market_assignments SET state = 'returned' WHERE assignment_id = ? AND state = 'leased'",
        (assignment_id,),
    )


def decide(
    catalog: sqlite3.Connection, assignment_id: str, state: str, *, feedback: str | None, at: float
) -> None:
    """Approve or reject a submitted assignment."""
    catalog.execute(
        "UPDATE market_assignments SET state = ?, feedback = ?, decided_at = ? WHERE assignment_id = ?",
        (state, feedback, at, assignment_id),
    )


def num_submitted(catalog: sqlite3.Connection, worker: str) -> int:
    """How many HITs a worker has submitted."""
    row = catalog.execute(
        "SELECT count(*) FROM market_assignments WHERE worker = ? AND state IN ('submitted', 'approved', 'rejected')",
        (worker,),
    ).fetchone()
    return int(row[0])


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


def assignments_of(
    catalog: sqlite3.Connection,
    market_hit_id: str,
    *,
    states: Sequence[str],
    after: tuple[float, str] | None,
    limit: int,
) -> list[Lease]:
    """Up to ``limit`` assignments of a HIT in some states, by time of submission, after a (submitted_at,
    id)."""
    marks = ", ".join("?" * len(states))
    rows = catalog.execute(
        f"SELECT * FROM market_assignments WHERE market_hit_id = ? AND state IN ({marks})"
        " AND (submitted_at, assignment_id) > (?, ?) ORDER BY submitted_at, assignment_id LIMIT ?",
        (market_hit_id, *states, *(after or (-1.0, "")), limit),
    )
    return [Lease(*row) for row in rows]


def planned_answer_ids(catalog: sqlite3.Connection) -> list[str]:
    """The assignments of planned HITs that have an answer."""
    rows = catalog.execute(
        "SELECT a.assignment_id FROM market_assignments a JOIN market_hits h USING (market_hit_id)"
        " WHERE h.hit_id IS NOT NULL AND a.answer IS NOT NULL"
    )
    return [str(row[0]) for row in rows]


def planned_answer(catalog: sqlite3.Connection, assignment_id: str) -> tuple[str, Lease]:
    """(hit_id, assignment) of an answer to a planned HIT."""
    row = catalog.execute(
        "SELECT h.hit_id, a.* FROM market_assignments a JOIN market_hits h USING (market_hit_id)"
        " WHERE a.assignment_id = ?",
        (assignment_id,),
    ).fetchone()
    return str(row[0]), Lease(*tuple(row)[1:])
