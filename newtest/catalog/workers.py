"""Personal links: who may work. A link's token is its id, signed (``newtest.web.keys``); only the id is
kept."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = [
    "WorkerLink",
    "active_link",
    "consented",
    "find_link",
    "forget_worker",
    "insert_link",
    "list_links",
    "put_consent",
    "put_training",
    "revoke_link",
    "trained",
    "training_of",
    "was_revoked",
]


@dataclass(frozen=True)
class WorkerLink:
    """``label`` is the owner's own name for a person; it is empty for people from a recruiting site."""

    link_id: str
    worker: str
    label: str
    origin: str
    created_at: str
    revoked_at: str | None = None


def insert_link(catalog: sqlite3.Connection, link: WorkerLink) -> None:
    """Keep a link. Raises sqlite3.IntegrityError when the worker has another that is not revoked."""
    catalog.execute(
        "INSERT INTO worker_links VALUES (?, ?, ?, ?, ?, ?)",
        (link.link_id, link.worker, link.label, link.origin, link.created_at, link.revoked_at),
    )


def find_link(catalog: sqlite3.Connection, link_id: str) -> WorkerLink | None:
    """A link by its id, revoked ones too."""
    row = catalog.execute("SELECT * FROM worker_links WHERE link_id = ?", (link_id,)).fetchone()
    return None if row is None else WorkerLink(*row)


def active_link(catalog: sqlite3.Connection, worker: str) -> WorkerLink | None:
    """The link with which a worker may come in, if there is one."""
    row = catalog.execute(
        "SELECT * FROM worker_links WHERE worker = ? AND revoked_at IS NULL", (worker,)
    ).fetchone()
    return None if row is None else WorkerLink(*row)


def was_revoked(catalog: sqlite3.Connection, worker: str) -> bool:
    """Whether the worker's last link was revoked, and no other is active."""
    row = catalog.execute(
        "SELECT count(*), count(revoked_at) FROM worker_links WHERE worker = ?", (worker,)
    ).fetchone()
    return bool(row[0]) and row[0] == row[1]


def list_links(catalog: sqlite3.Connection) -> list[WorkerLink]:
    """Every link, oldest first."""
    rows = catalog.execute("SELECT * FROM worker_links ORDER BY created_at, label, link_id")
    return [WorkerLink(*row) for row in rows]


def put_consent(catalog: sqlite3.Connection, worker: str, version: str, text: str, *, at: str) -> None:
    """Note that a worker agreed to a text. Call inside a transaction."""
    catalog.execute("INSERT OR IGNORE INTO consents VALUES (?, ?, ?)", (version, text, at))
    catalog.execute("INSERT OR IGNORE INTO consents_given VALUES (?, ?, ?)", (worker, version, at))


def consented(catalog: sqlite3.Connection, worker: str, version: str) -> bool:
    """Whether a worker agreed to this version of the text."""
    row = catalog.execute(
        "SELECT 1 FROM consents_given WHERE worker = ? AND version = ?", (worker, version)
    ).fetchone()
    return row is not None


def put_training(
    catalog: sqlite3.Connection, worker: str, version: str, num_right: int, num_asked: int, *, at: float
) -> None:
    """Note how a worker did in a training; the first time counts. Call inside a transaction."""
    catalog.execute(
        "INSERT OR IGNORE INTO trainings VALUES (?, ?, ?, ?, ?)", (worker, version, num_right, num_asked, at)
    )


def trained(catalog: sqlite3.Connection, worker: str, version: str) -> bool:
    """Whether a worker has done this version of the training."""
    row = catalog.execute(
        "SELECT 1 FROM trainings WHERE worker = ? AND version = ?", (worker, version)
    ).fetchone()
    return row is not None


def training_of(catalog: sqlite3.Connection, worker: str) -> tuple[int, int] | None:
    """How much of the last training was right, of how much; None for a worker who did none."""
    row = catalog.execute(
        "SELECT num_right, num_asked FROM trainings WHERE worker = ? ORDER BY done_at DESC, version LIMIT 1",
        (worker,),
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def forget_worker(
    catalog: sqlite3.Connection, worker: str, *, answer: str | None, at: str
) -> tuple[int, int]:
    """Take the label from a worker's links and revoke them; with an ``answer`` that says nothing, it replaces theirs,
    and their votes are deleted.

    Gives (links, votes). Assignments stay without their answers: they were paid for. Call inside a transaction.
    """
    links = catalog.execute(
        "UPDATE worker_links SET label = '', revoked_at = coalesce(revoked_at, ?) WHERE worker = ?",
        (at, worker),
    ).rowcount
    if answer is None:
        return links, 0
    mine = "(SELECT assignment_id FROM assignments WHERE worker = ?)"
    for table in ("answers", "choices", "pair_answers"):
        catalog.execute(f"DELETE FROM {table} WHERE assignment_id IN {mine}", (worker,))
    catalog.execute("DELETE FROM trainings WHERE worker = ?", (worker,))
    catalog.execute("UPDATE assignments SET explicit = 0 WHERE worker = ?", (worker,))
    catalog.execute(
        "UPDATE market_assignments SET answer = ? WHERE worker = ? AND answer IS NOT NULL", (answer, worker)
    )
    return links, catalog.execute("DELETE FROM votes WHERE worker = ?", (worker,)).rowcount


def revoke_link(catalog: sqlite3.Connection, link_id: str, *, at: str) -> bool:
    """Revoke a link; False when there is none, or it was revoked before."""
    cursor = catalog.execute(
        "UPDATE worker_links SET revoked_at = ? WHERE link_id = ? AND revoked_at IS NULL", (at, link_id)
    )
    return cursor.rowcount == 1
