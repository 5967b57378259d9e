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


@dataclass(frozen=True, order=True)
class MoneyRow:
    """HITs of one kind: dollars per assignment, how many each asked for, and how many assignments of them all are in
    each state. ``open``: somebody may do it or is doing it; ``given_up``: nobody did it, and the HIT is over."""

    market: str
    reward: str
    asked: int
    submitted: int
    approved: int
    rejected: int
    open: int
    given_up: int


def money_rows(catalog: sqlite3.Connection, now: float, revision: str | None = None) -> list[MoneyRow]:
    """Everything that is published or was, sandboxes left out; of the HITs that showed a revision's members only, where
    one is named. ``now`` is in seconds since 1970.

    What our own server shows is read from its market, to the moment, HITs of requesters included; what other markets
    show is what was collected.
    """
    values = {"now": now, "revision": revision}
    rows = [*catalog.execute(_OWN, values), *catalog.execute(_OTHERS, values)]
    return sorted(MoneyRow(row[0], str(row[1]), *map(int, tuple(row)[2:])) for row in rows)


_SHOWED = """
    SELECT h.hit_id FROM hits h JOIN hit_images i USING (hit_id)
        JOIN revision_members r ON r.image_id = i.image_id AND r.wnid = h.wnid WHERE r.revision = :revision
"""

_OWN = f"""
WITH counts AS (
    SELECT market_hit_id, count(*) FILTER (WHERE state = 'submitted') AS submitted,
        count(*) FILTER (WHERE state = 'approved') AS approved, count(*) FILTER (WHERE state = 'rejected') AS rejected,
        count(*) FILTER (WHERE state = 'leased') AS leased
    FROM market_assignments GROUP BY market_hit_id
), hits_of_ours AS (
    SELECT t.reward, m.max_assignments AS asked, coalesce(submitted, 0) AS submitted, coalesce(approved, 0) AS approved,
        coalesce(rejected, 0) AS rejected, coalesce(leased, 0) AS leased,
        m.deleted OR m.expires_at <= :now OR p.closed_at IS NOT NULL AS over
    FROM market_hits m JOIN market_hit_types t USING (hit_type_id) LEFT JOIN counts c USING (market_hit_id)
        LEFT JOIN publications p ON p.hit_id = m.hit_id AND p.market = 'local'
    WHERE (:revision IS NULL OR m.hit_id IN ({_SHOWED}))
        AND NOT EXISTS (SELECT 1 FROM publications o WHERE o.market_hit_id = m.market_hit_id AND o.market <> 'local')
)
SELECT 'local', reward, asked, sum(submitted), sum(approved), sum(rejected),
    sum(leased + iif(over, 0, asked - submitted - approved - rejected - leased)),
    sum(iif(over, asked - submitted - approved - rejected - leased, 0))
FROM hits_of_ours GROUP BY reward, asked
"""

_OTHERS = f"""
WITH counts AS (
    SELECT hit_id, market, count(*) FILTER (WHERE status = 'submitted') AS submitted,
        count(*) FILTER (WHERE status = 'approved') AS approved, count(*) FILTER (WHERE status = 'rejected') AS rejected
    FROM assignments GROUP BY hit_id, market
), published AS (
    SELECT p.market, p.settings ->> 'reward' AS reward, h.assignments AS asked, coalesce(submitted, 0) AS submitted,
        coalesce(approved, 0) AS approved, coalesce(rejected, 0) AS rejected, p.closed_at IS NOT NULL AS over
    FROM publications p JOIN hits h USING (hit_id) LEFT JOIN counts c USING (hit_id, market)
    WHERE (p.market_hit_id IS NOT NULL OR c.hit_id IS NOT NULL) AND p.market <> 'sandbox'
        AND NOT (p.market = 'local' AND EXISTS (SELECT 1 FROM market_hits m WHERE m.hit_id = p.hit_id))
        AND (:revision IS NULL OR p.hit_id IN ({_SHOWED}))
)
SELECT market, reward, asked, sum(submitted), sum(approved), sum(rejected),
    sum(iif(over, 0, max(asked - submitted - approved - rejected, 0))),
    sum(iif(over, max(asked - submitted - approved - rejected, 0), 0))
FROM published GROUP BY market, reward, asked
"""


def planned_money(catalog: sqlite3.Connection) -> list[tuple[int, str]]:
    """(assignments, dollars per assignment) of the planned HITs that no market has, sandboxes aside."""
    rows = catalog.execute(
        "SELECT assignments, coalesce(plan ->> 'reward', '0.10') FROM hits h WHERE NOT EXISTS"
        " (SELECT 1 FROM publications p WHERE p.hit_id = h.hit_id AND p.market <> 'sandbox'"
        " AND p.market_hit_id IS NOT NULL) ORDER BY hit_id"
    )
    return [(row[0], str(row[1])) for row in rows]


def planned_rewards(catalog: sqlite3.Connection) -> dict[str, str]:
    """Planned HIT -> dollars per assignment by its plan; plans of old studies do not say it."""
    rows = catalog.execute("SELECT hit_id, plan ->> 'reward' FROM hits WHERE plan ->> 'reward' IS NOT NULL")
    return {row[0]: str(row[1]) for row in rows}


def last_plan(catalog: sqlite3.Connection) -> dict[str, str | None]:
    """What the plan that was made last says of money: reward and min_hourly, each where the plan has it."""
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
