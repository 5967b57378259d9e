"""The crowd server's own market: HIT types, HITs, and the request tokens that make creating one idempotent.

Times are seconds since 1970 on the server's clock. Leases and answers are in ``newtest.catalog.leases``.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "HitType",
    "MarketHit",
    "change_hit",
    "counts_of",
    "find_call",
    "find_hit",
    "find_hit_type",
    "insert_hit",
    "list_hits",
    "planned_assignments",
    "planned_hit",
    "remember_call",
    "remember_request",
    "request_hit",
    "store_hit_type",
    "store_template",
    "template_text",
]


@dataclass(frozen=True)
class HitType:
    """How a HIT is described and paid. ``reward`` in dollars as a decimal string; times in seconds."""

    hit_type_id: str
    title: str
    description: str
    keywords: str
    reward: str
    duration: int
    auto_approval: int


@dataclass(frozen=True)
class MarketHit:
    """A HIT on our market: one of the plan (``hit_id`` and a template), or a requester's own ``question``."""

    market_hit_id: str
    hit_type_id: str
    hit_id: str | None
    template_id: str | None
    question: str | None
    annotation: str | None
    max_assignments: int
    created_at: float
    expires_at: float
    deleted: bool = False


_COLUMNS = (
    "market_hit_id, hit_type_id, hit_id, template_id, question, annotation, max_assignments, created_at, expires_at,"
    " deleted"
)


def store_hit_type(catalog: sqlite3.Connection, hit_type: HitType) -> None:
    """Keep a HIT type; the same description is the same type."""
    catalog.execute(
        "INSERT OR IGNORE INTO market_hit_types VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            hit_type.hit_type_id, hit_type.title, hit_type.description, hit_type.keywords, hit_type.reward,
            hit_type.duration, hit_type.auto_approval,
        ),
    )  # fmt: skip


def find_hit_type(catalog: sqlite3.Connection, hit_type_id: str) -> HitType | None:
    """A HIT type by its id."""
    row = catalog.execute("SELECT * FROM market_hit_types WHERE hit_type_id = ?", (hit_type_id,)).fetchone()
    return None if row is None else HitType(*row)


def store_template(catalog: sqlite3.Connection, text: str) -> str:
    """Keep a template's text; gives its id."""
    template_id = hashlib.sha256(text.encode()).hexdigest()
    catalog.execute("INSERT OR IGNORE INTO market_templates VALUES (?, ?)", (template_id, text))
    return template_id


def template_text(catalog: sqlite3.Connection, template_id: str) -> str:
    """The text of a template that was stored."""
    row = catalog.execute(
        "SELECT text FROM market_templates WHERE template_id = ?", (template_id,)
    ).fetchone()
    return str(row[0])


def insert_hit(catalog: sqlite3.Connection, hit: MarketHit) -> None:
    """Open a HIT. Raises sqlite3.IntegrityError when the planned HIT is open already."""
    catalog.execute(
        f"INSERT INTO market_hits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            hit.market_hit_id, hit.hit_type_id, hit.hit_id, hit.template_id, hit.question, hit.annotation,
            hit.max_assignments, hit.created_at, hit.expires_at, int(hit.deleted),
        ),
    )  # fmt: skip


def find_hit(catalog: sqlite3.Connection, market_hit_id: str) -> MarketHit | None:
    """A HIT by its id, deleted ones too."""
    row = catalog.execute(
        f"SELECT {_COLUMNS} FROM market_hits WHERE market_hit_id = ?", (market_hit_id,)
    ).fetchone()
    return None if row is None else _hit(row)


def planned_hit(catalog: sqlite3.Connection, hit_id: str) -> str | None:
    """The market's id of a HIT of the plan; None when it is not open here."""
    row = catalog.execute("SELECT market_hit_id FROM market_hits WHERE hit_id = ?", (hit_id,)).fetchone()
    return None if row is None else str(row[0])


def planned_assignments(catalog: sqlite3.Connection, hit_id: str) -> int:
    """How many people the plan needs for a HIT."""
    return int(catalog.execute("SELECT assignments FROM hits WHERE hit_id = ?", (hit_id,)).fetchone()[0])


def list_hits(catalog: sqlite3.Connection, *, after: tuple[float, str] | None, limit: int) -> list[MarketHit]:
    """Up to ``limit`` HITs that are not deleted, oldest first, after a (created_at, id)."""
    rows = catalog.execute(
        f"SELECT {_COLUMNS} FROM market_hits WHERE deleted = 0 AND (created_at, market_hit_id) > (?, ?)"
        " ORDER BY created_at, market_hit_id LIMIT ?",
        (*(after or (-1.0, "")), limit),
    )
    return [_hit(row) for row in rows]


def change_hit(
    catalog: sqlite3.Connection,
    market_hit_id: str,
    *,
    expires_at: float | None = None,
    more_assignments: int = 0,
    delete: bool = False,
) -> None:
    """Change when a HIT ends, how many may do it, or whether it is there at all."""
    catalog.execute(
        "UPDATE market_hits SET expires_at = coalesce(?, expires_at), max_assignments = max_assignments + ?,"
        " deleted = max(deleted, ?) WHERE market_hit_id = ?",
        (expires_at, more_assignments, int(delete), market_hit_id),
    )


def counts_of(catalog: sqlite3.Connection, market_hit_id: str) -> Mapping[str, int]:
    """State of an assignment -> how many of a HIT's are in it."""
    rows = catalog.execute(
        "SELECT state, count(*) FROM market_assignments WHERE market_hit_id = ? GROUP BY state",
        (market_hit_id,),
    )
    return {row[0]: row[1] for row in rows}


def request_hit(catalog: sqlite3.Connection, request_token: str, *, since: float) -> str | None:
    """The HIT that a UniqueRequestToken made at or after ``since``."""
    row = catalog.execute(
        "SELECT market_hit_id FROM market_requests WHERE request_token = ? AND made_at >= ?",
        (request_token, since),
    ).fetchone()
    return None if row is None else str(row[0])


def remember_request(
    catalog: sqlite3.Connection, request_token: str, market_hit_id: str, *, at: float
) -> None:
    """Bind a UniqueRequestToken to what it made."""
    catalog.execute(
        "INSERT OR REPLACE INTO market_requests VALUES (?, ?, ?)", (request_token, market_hit_id, at)
    )


def find_call(catalog: sqlite3.Connection, call_id: str) -> tuple[float, str | None] | None:
    """(when it was made, its answer) of a signed call that is remembered."""
    row = catalog.execute("SELECT made_at, answer FROM market_calls WHERE call_id = ?", (call_id,)).fetchone()
    return None if row is None else (float(row[0]), row[1])


def remember_call(catalog: sqlite3.Connection, call_id: str, *, at: float, answer: str | None = None) -> None:
    """Remember a signed call, or the answer of one that is known; what was made more than a day before is forgotten."""
    catalog.execute("DELETE FROM market_calls WHERE made_at < ?", (at - 86_400,))
    catalog.execute(
        "INSERT INTO market_calls VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET answer = excluded.answer",
        (call_id, at, answer),
    )


def _hit(row: sqlite3.Row) -> MarketHit:
    return MarketHit(**{**dict(row), "deleted": bool(row["deleted"])})
