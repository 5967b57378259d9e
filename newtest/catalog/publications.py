"""Where planned HITs were published, and the assignments that came back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from newtest.catalog.asked import PAIR_VOTES, store_choices, store_pair_answers

__all__ = [
    "Collected",
    "Publication",
    "close_publication",
    "collected_ids",
    "control_votes",
    "drop_rejected_votes",
    "intend",
    "open_publications",
    "publications",
    "published",
    "published_images",
    "set_status",
    "store_assignment",
    "store_votes",
    "undecided",
    "unfinished",
    "unpublished",
]


@dataclass(frozen=True)
class Publication:
    """A HIT on a market; ``market_hit_id`` is None while only the intent is known."""

    hit_id: str
    market: str
    request_token: str
    settings: str
    market_hit_id: str | None


@dataclass(frozen=True)
class Collected:
    """An assignment as a market gave it, ready to be stored. ``answers``: (image_id, value, milliseconds)."""

    assignment_id: str
    hit_id: str
    market: str
    worker: str
    status: str
    accepted_at: str | None
    submitted_at: str | None
    explicit: bool
    answers: Sequence[tuple[str, str, int | None]]
    chosen: Sequence[tuple[str, str]] = ()
    """(image_id, wnid): the classes that were chosen for images, where several were offered."""
    pairs: Sequence[tuple[int, str, int | None]] = ()
    """(position, value, milliseconds) of each pair."""


def unpublished(catalog: sqlite3.Connection, market: str) -> list[tuple[str, int]]:
    """(id, assignments) of the planned HITs that this market may still get, in the order of planning.

    A HIT goes to one market only, so that nothing is paid twice; a sandbox is not a market in this sense.
    """
    rows = catalog.execute(
        "SELECT hit_id, assignments FROM hits h WHERE NOT EXISTS (SELECT 1 FROM publications p"
        " WHERE p.hit_id = h.hit_id AND (p.market = :market OR (:market <> 'sandbox' AND p.market <> 'sandbox')))"
        " ORDER BY planned_at, wnid, hit_id",
        {"market": market},
    )
    return [(row[0], row[1]) for row in rows]


def unfinished(catalog: sqlite3.Connection, market: str) -> list[tuple[int, str]]:
    """(assignments, reward in dollars) of the intents on a market whose HIT is not known to be open."""
    rows = catalog.execute(
        "SELECT h.assignments, p.settings ->> 'reward' FROM publications p JOIN hits h USING (hit_id)"
        " WHERE p.market = ? AND p.market_hit_id IS NULL ORDER BY p.intended_at, p.hit_id",
        (market,),
    )
    return [(row[0], row[1]) for row in rows]


def intend(
    catalog: sqlite3.Connection,
    hit_ids: Iterable[str],
    market: str,
    *,
    tokens: Mapping[str, str],
    settings: Mapping[str, str],
    at: str,
) -> None:
    """Write down that these HITs are about to be published, with the settings of each. Call inside a transaction."""
    catalog.executemany(
        "INSERT INTO publications (hit_id, market, request_token, settings, intended_at) VALUES (?, ?, ?, ?, ?)",
        [(hit_id, market, tokens[hit_id], settings[hit_id], at) for hit_id in hit_ids],
    )


def published(catalog: sqlite3.Connection, hit_id: str, market: str, *, market_hit_id: str, at: str) -> None:
    """Write down the id that the market gave. It is never overwritten by another."""
    catalog.execute(
        "UPDATE publications SET market_hit_id = ?, published_at = ?"
        " WHERE hit_id = ? AND market = ? AND market_hit_id IS NULL",
        (market_hit_id, at, hit_id, market),
    )


def publications(catalog: sqlite3.Connection, market: str) -> list[Publication]:
    """Every publication on a market, intents included, in a stable order."""
    rows = catalog.execute(
        "SELECT hit_id, market, request_token, settings, market_hit_id FROM publications WHERE market = ?"
        " ORDER BY intended_at, hit_id",
        (market,),
    )
    return [Publication(*row) for row in rows]


def open_publications(catalog: sqlite3.Connection, market: str) -> list[Publication]:
    """The published HITs from which answers may work later."""
    rows = catalog.execute(
        "SELECT hit_id, market, request_token, settings, market_hit_id FROM publications WHERE market = ?"
        " AND market_hit_id IS NOT NULL AND closed_at IS NULL ORDER BY intended_at, hit_id",
        (market,),
    )
    return [Publication(*row) for row in rows]


def published_images(catalog: sqlite3.Connection) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """(market's id, hit_id, wnid, [(image_id, role), ...] in the page's order) of every published HIT."""
    hits = catalog.execute(
        "SELECT p.market_hit_id, h.hit_id, h.wnid FROM publications p JOIN hits h USING (hit_id)"
        " WHERE p.market_hit_id IS NOT NULL ORDER BY p.market_hit_id"
    ).fetchall()
    images = (
        "SELECT image_id, role FROM hit_images WHERE hit_id = ? AND role NOT IN ('example', 'pair')"
        " ORDER BY position"
    )
    return [(*hit, [(row[0], row[1]) for row in catalog.execute(images, (hit[1],))]) for hit in hits]


def close_publication(catalog: sqlite3.Connection, hit_id: str, market: str, *, at: str) -> None:
    """Nothing more will come of this HIT; what it did not bring may be planned again."""
    catalog.execute(
        "UPDATE publications SET closed_at = ? WHERE hit_id = ? AND market = ? AND closed_at IS NULL",
        (at, hit_id, market),
    )


def reopen_publications(catalog: sqlite3.Connection, now: float) -> int:
    """HITs of our own server that were over and have been extended are open again: their answers are collected. Gives
    how many; ``now`` is in seconds since 1970."""
    return catalog.execute(
        "UPDATE publications SET closed_at = NULL WHERE market = 'local' AND closed_at IS NOT NULL AND market_hit_id IN"
        " (SELECT market_hit_id FROM market_hits WHERE deleted = 0 AND expires_at > ? AND taken < max_assignments)",
        (now,),
    ).rowcount


def collected_ids(catalog: sqlite3.Connection, hit_id: str) -> dict[str, str]:
    """Assignment id -> status of what was collected of a HIT."""
    rows = catalog.execute("SELECT assignment_id, status FROM assignments WHERE hit_id = ?", (hit_id,))
    return {row[0]: row[1] for row in rows}


def store_assignment(
    catalog: sqlite3.Connection, collected: Collected, *, at: str
) -> Literal["new", "changed", "known"]:
    """Keep a collected assignment, or only its new status when it is there. Call inside a transaction."""
    cursor = catalog.execute(
        "INSERT INTO assignments (assignment_id, hit_id, market, worker, status, accepted_at, submitted_at, explicit,"
        " collected_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            collected.assignment_id, collected.hit_id, collected.market, collected.worker, collected.status,
            collected.accepted_at, collected.submitted_at, int(collected.explicit), at,
        ),
    )  # fmt: skip
    if cursor.rowcount == 0:
        changed = catalog.execute(
            "UPDATE assignments SET status = ?1 WHERE assignment_id = ?2 AND status <> ?1",
            (collected.status, collected.assignment_id),
        )
        return "changed" if changed.rowcount else "known"
    catalog.executemany(
        "INSERT INTO answers (assignment_id, image_id, value, milliseconds) VALUES (?, ?, ?, ?)",
        [(collected.assignment_id, *answer) for answer in collected.answers],
    )
    store_choices(catalog, collected.assignment_id, collected.chosen)
    store_pair_answers(catalog, collected.assignment_id, collected.pairs)
    return "new"


def store_votes(
    catalog: sqlite3.Connection, batch: tuple[str, str, str], assignment_ids: Iterable[str], *, at: str
) -> int:
    """Make votes of assignments: a row per image that was seen; gives how many were new. Call inside a
    transaction.

    ``batch`` is (id, origin, description). Rejected assignments, those in which nothing was ticked and those
    from a sandbox are not votes, and a worker's second vote on the same image and class is not counted.
    """
    batch_id, origin, description = batch
    catalog.execute(
        "INSERT OR IGNORE INTO vote_batches (batch_id, origin, description, added_at) VALUES (?, ?, ?, ?)",
        (batch_id, origin, description, at),
    )
    stored = 0
    for assignment_id in assignment_ids:
        cursor = catalog.execute(
            """
            INSERT INTO votes (image_id, wnid, worker, selected, hit_id, submitted_at, control, batch_id)
            SELECT w.image_id, h.wnid, a.worker, w.value = 'yes', h.hit_id, a.submitted_at,
                iif(i.role IN ('positive', 'negative'), i.role, NULL), :batch
            FROM assignments a JOIN hits h USING (hit_id) JOIN answers w USING (assignment_id)
            JOIN hit_images i ON i.hit_id = a.hit_id AND i.image_id = w.image_id
            WHERE a.assignment_id = :assignment AND w.value <> 'unseen' AND a.explicit = 1
            AND a.status <> 'rejected' AND a.market <> 'sandbox' AND i.role <> 'attention'
            ON CONFLICT DO NOTHING
            """,
            {"assignment": assignment_id, "batch": batch_id},
        )
        stored += cursor.rowcount
        # of a choice among classes each class that was offered is a vote of its own
        cursor = catalog.execute(
            """
            INSERT INTO votes (image_id, wnid, worker, selected, hit_id, submitted_at, control, batch_id)
            SELECT w.image_id, o.wnid, a.worker, EXISTS (SELECT 1 FROM choices c
                WHERE c.assignment_id = a.assignment_id AND c.image_id = w.image_id AND c.wnid = o.wnid),
                a.hit_id, a.submitted_at, NULL, :batch
            FROM assignments a JOIN hits h USING (hit_id) JOIN hit_options o USING (hit_id)
            JOIN answers w USING (assignment_id)
            JOIN hit_images i ON i.hit_id = a.hit_id AND i.image_id = w.image_id
            WHERE a.assignment_id = :assignment AND o.wnid <> h.wnid AND w.value <> 'unseen' AND a.explicit = 1
            AND a.status <> 'rejected' AND a.market <> 'sandbox' AND i.role <> 'attention'
            ON CONFLICT DO NOTHING
            """,
            {"assignment": assignment_id, "batch": batch_id},
        )
        stored += cursor.rowcount
    return stored


def drop_rejected_votes(catalog: sqlite3.Connection) -> int:
    """Take back the votes of assignments that were rejected after they had been collected; gives how many.

    The answers stay, with the assignment's status as the reason why they are not votes.
    """
    return catalog.execute(
        "DELETE FROM votes WHERE EXISTS (SELECT 1 FROM assignments a WHERE a.hit_id = votes.hit_id"
        " AND a.worker = votes.worker AND a.status = 'rejected' AND a.market <> 'sandbox')"
    ).rowcount


def control_votes(catalog: sqlite3.Connection) -> pd.DataFrame:
    """Votes on controls, known pairs among them: worker, selected, control."""
    rows = catalog.execute(
        "SELECT worker, selected, control FROM (SELECT worker, selected, control, image_id, wnid FROM votes"
        " WHERE control IS NOT NULL UNION ALL SELECT worker, same, iif(control = 'same', 'positive', 'negative'),"
        f" image_a, image_b FROM ({PAIR_VOTES}) WHERE control IS NOT NULL) ORDER BY worker, image_id, wnid"
    ).fetchall()
    return pd.DataFrame([tuple(row) for row in rows], columns=["worker", "selected", "control"])


def undecided(catalog: sqlite3.Connection) -> list[sqlite3.Row]:
    """Collected assignments that are neither approved nor rejected: assignment_id, worker, market, reward
    (dollars), assignments (of the whole HIT)."""
    return catalog.execute(
        "SELECT a.assignment_id, a.worker, a.market, p.settings ->> 'reward' AS reward, h.assignments"
        " FROM assignments a JOIN hits h ON h.hit_id = a.hit_id"
        " JOIN publications p ON p.hit_id = a.hit_id AND p.market = a.market"
        " WHERE a.status = 'submitted' ORDER BY a.worker, a.assignment_id"
    ).fetchall()


def set_status(catalog: sqlite3.Connection, assignment_id: str, status: str) -> None:
    """Write down what was decided on a collected assignment."""
    catalog.execute("UPDATE assignments SET status = ? WHERE assignment_id = ?", (status, assignment_id))
