"""Who people from a recruiting site are there: in a file of its own, ``people.sqlite``, apart from the votes.

What the site calls a person is in it sealed under the study's key, and beside it only keyed hashes. Whoever has the
votes has no names, and what is forgotten here leaves no trace in the file (``secure_delete``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newtest.catalog.connections import connect, whole
from newtest.errors import StudyError

__all__ = [
    "Arrival",
    "Bonus",
    "arrivals",
    "bonuses",
    "delete_person",
    "mark_bonuses",
    "open_people",
    "put_arrival",
    "put_bonuses",
]

_LAYOUT = """
CREATE TABLE IF NOT EXISTS arrivals (
    worker     TEXT NOT NULL,              -- keyed hash, as in the votes
    submission TEXT NOT NULL,              -- keyed hash of the site's id of the submission
    sealed     TEXT NOT NULL,              -- the site's ids, sealed under the study's key
    arrived_at TEXT NOT NULL,
    PRIMARY KEY (worker, submission)
) STRICT, WITHOUT ROWID
"""

_BONUSES = """
CREATE TABLE IF NOT EXISTS bonuses (
    submission TEXT PRIMARY KEY,           -- keyed hash of the site's id of the submission
    amount     TEXT NOT NULL,              -- dollars (the study's currency) as a decimal string
    batch      TEXT NOT NULL,              -- the site's id of the payment
    state      TEXT NOT NULL CHECK (state IN ('paying', 'paid')),
    at         TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""


@dataclass(frozen=True)
class Arrival:
    """One submission of one person; ``sealed`` holds the site's ids."""

    worker: str
    submission: str
    sealed: str
    arrived_at: str


@dataclass(frozen=True)
class Bonus:
    """A bonus whose payment was asked for. "paying" means that the site's answer is not known (yet)."""

    submission: str
    amount: str
    batch: str
    state: str
    at: str


@contextmanager
def open_people(root: Path) -> Iterator[sqlite3.Connection]:
    """The file of a study's people, made where there is none. Raises StudyError."""
    path = root / "people.sqlite"
    connection = connect(path)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_LAYOUT)
        connection.execute(_BONUSES)
        path.chmod(0o600)
        yield connection
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path}: cannot be used ({error})") from error
    finally:
        connection.close()


def put_arrival(people: sqlite3.Connection, arrival: Arrival) -> None:
    """Note a submission; coming again changes nothing."""
    people.execute(
        "INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?, ?)",
        (arrival.worker, arrival.submission, arrival.sealed, arrival.arrived_at),
    )


def arrivals(people: sqlite3.Connection, *, worker: str | None = None) -> list[Arrival]:
    """Every submission, or one worker's, oldest first."""
    rows = people.execute(
        "SELECT worker, submission, sealed, arrived_at FROM arrivals WHERE ?1 IS NULL OR worker = ?1"
        " ORDER BY arrived_at, worker, submission",
        (worker,),
    )
    return [Arrival(*row) for row in rows]


def delete_person(people: sqlite3.Connection, worker: str) -> int:
    """Forget who a worker is; gives how many submissions that were."""
    return people.execute("DELETE FROM arrivals WHERE worker = ?", (worker,)).rowcount


def put_bonuses(people: sqlite3.Connection, rows: Sequence[Bonus]) -> None:
    """Write down what is about to be paid, all or none. Raises sqlite3.IntegrityError for one that is there."""
    with whole(people):
        people.executemany(
            "INSERT INTO bonuses VALUES (?, ?, ?, ?, ?)",
            [(one.submission, one.amount, one.batch, one.state, one.at) for one in rows],
        )


def mark_bonuses(people: sqlite3.Connection, batch: str, state: str) -> None:
    """Note what became of a batch."""
    people.execute("UPDATE bonuses SET state = ? WHERE batch = ?", (state, batch))


def bonuses(people: sqlite3.Connection) -> list[Bonus]:
    """Every bonus whose payment was asked for, by submission."""
    rows = people.execute("SELECT submission, amount, batch, state, at FROM bonuses ORDER BY submission")
    return [Bonus(*row) for row in rows]
