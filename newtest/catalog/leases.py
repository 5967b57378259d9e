"""Leases and answers on the crowd server's market. Every function that changes something needs a transaction
around it.

What must never happen is forbidden by the schema, not by these functions: more assignments than a HIT has (a
CHECK), two by one worker (a unique index), the same image of a class shown twice to one worker (a primary
key).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Lease",
    "assignments_of",
    "decide",
    "find_lease",
    "give_back",
    "insert_lease",
    "lease_of",
    "num_submitted",
    "planned_answer",
    "planned_answer_ids",
    "renew_lapsed",
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
