"""HITs that are open again, or for longer, or for more people: money that is committed, so the limit is asked first.

Call these in a transaction of their own: when the limit refuses, nothing of them holds.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from newtest.catalog import owner
from newtest.catalog.publications import reopen_publications
from newtest.crowd.ledger import check_committed

__all__ = ["committed", "extend_hits"]


def extend_hits(
    catalog: sqlite3.Connection,
    seconds: float,
    *,
    now: float,
    max_cost: Decimal | None,
    market_hit_id: str | None = None,
) -> int:
    """Let HITs (or one) end so much later; those that had ended begin anew. Gives how many.

    Raises UsageError when all that is open, owed and paid would then cost more than ``max_cost`` dollars.
    """
    extended = owner.extend_hits(catalog, seconds, now=now, market_hit_id=market_hit_id)
    committed(catalog, now=now, max_cost=max_cost)
    return extended


def committed(catalog: sqlite3.Connection, *, now: float, max_cost: Decimal | None) -> None:
    """HITs were opened, or opened again: their answers are collected, and the limit holds. Raises UsageError."""
    reopen_publications(catalog, now)
    check_committed(catalog, max_cost, now)
