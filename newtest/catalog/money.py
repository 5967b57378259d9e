"""What is planned, published and done costs: the facts that bills and the ledger are made of."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = [
    "MoneyRow",
    "last_plan",
    "money_rows",
    "paces",
    "planned_money",
    "planned_rewards",
    "reprice",
]


@dataclass(frozen=True)
class MoneyRow:
    """A published HIT: dollars an assignment, how many it asked for, how many are in each state, and whether it is
    over."""

    market: str
    reward: str
    asked: int
    submitted: int
    approved: int
    rejected: int
    closed: bool


def money_rows(catalog: sqlite3.Connection) -> list[MoneyRow]:
    """Every publication whose HIT is open or was, sandboxes left out."""
    counts = ", ".join(
        "(SELECT count(*) FROM assignments a WHERE a.hit_id = p.hit_id AND a.market = p.market"
        f" AND a.status = '{status}')"
        for status in ("submitted", "approved", "rejected")
    )
    rows = catalog.execute(
        f"SELECT p.market, p.settings ->> 'reward', h.assignments, {counts}, p.closed_at IS NOT NULL"
        " FROM publications p JOIN hits h USING (hit_id)"
        " WHERE p.market_hit_id IS NOT NULL AND p.market <> 'sandbox' ORDER BY p.market, p.hit_id"
    )
    return [MoneyRow(row[0], str(row[1]), row[2], row[3], row[4], row[5], bool(row[6])) for row in rows]


def planned_money(catalog: sqlite3.Connection) -> list[tuple[int, str]]:
    """(assignments, dollars an assignment) of the planned HITs that no market has, sandboxes aside."""
    rows = catalog.execute(
        "SELECT assignments, coalesce(plan ->> 'reward', '0.10') FROM hits h WHERE NOT EXISTS"
        " (SELECT 1 FROM publications p WHERE p.hit_id = h.hit_id AND p.market <> 'sandbox'"
        " AND p.market_hit_id IS NOT NULL) ORDER BY hit_id"
    )
    return [(row[0], str(row[1])) for row in rows]


def planned_rewards(catalog: sqlite3.Connection) -> dict[str, str]:
    """Planned HIT -> dollars an assignment by its plan; plans of old studies do not say it."""
    rows = catalog.execute("SELECT hit_id, plan ->> 'reward' FROM hits WHERE plan ->> 'reward' IS NOT NULL")
    return {row[0]: str(row[1]) for row in rows}


def last_plan(catalog: sqlite3.Connection) -> dict[str, str | None]:
    """What the plan that was made last says of money: reward and min_hourly, each where it is said."""
    row = catalog.execute(
        "SELECT plan ->> 'reward' AS reward, plan ->> 'min_hourly' AS min_hourly FROM hits"
        " ORDER BY planned_at DESC, hit_id LIMIT 1"
    ).fetchone()
    return (
        {} if row is None else {name: row[name] for name in ("reward", "min_hourly") if row[name] is not None}
    )


def reprice(catalog: sqlite3.Connection, reward: str) -> int:
    """Give the HITs that are planned and not published another reward; gives how many had a different one."""
    return catalog.execute(
        "UPDATE hits SET plan = json_set(plan, '$.reward', ?1) WHERE (plan ->> 'reward') IS NOT ?1"
        " AND NOT EXISTS (SELECT 1 FROM publications p WHERE p.hit_id = hits.hit_id AND p.market <> 'sandbox')",
        (reward,),
    ).rowcount


def paces(catalog: sqlite3.Connection) -> list[tuple[str, float | None]]:
    """(reward in dollars, seconds of work or None) of every assignment that was not rejected; a sandbox pays nobody."""
    rows = catalog.execute(
        "SELECT p.settings ->> 'reward', (julianday(a.submitted_at) - julianday(a.accepted_at)) * 86400.0"
        " FROM assignments a JOIN publications p USING (hit_id, market)"
        " WHERE a.status <> 'rejected' AND a.market <> 'sandbox'"
    )
    return [(str(row[0]), row[1]) for row in rows]
