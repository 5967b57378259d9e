"""Taking, submitting and returning HITs. Each function is one short transaction's body
(``Database.write``)."""

from __future__ import annotations

import base64
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from newtest.catalog import leases, market, open_hits, owner
from newtest.catalog.asked import Kind, asked_of, kind_of
from newtest.catalog.crowd import hit_class
from newtest.catalog.leases import Lease
from newtest.catalog.market import HitType, MarketHit
from newtest.catalog.open_hits import OpenGroup, Seen
from newtest.crowd.answers import read_answer, to_xml

__all__ = [
    "MAX_LEASES",
    "Taken",
    "Work",
    "WorkList",
    "new_id",
    "overview",
    "submit_work",
    "take",
    "work_of",
]

MAX_GROUPS = 60
MAX_LEASES = 3
"""How many HITs a worker may hold at once; a hoarder would keep others from working."""


@dataclass(frozen=True)
class Work:
    """A lease with what is needed to show it."""

    lease: Lease
    hit: MarketHit
    hit_type: HitType
    wnid: str | None = None
    lemmas: str | None = None
    """JSON list of the class's names; None for a requester's own page."""
    kind: Kind = "select"


@dataclass(frozen=True)
class WorkList:
    """A worker's first page: what they hold, what they may take, how many they have done."""

    held: Sequence[Work]
    groups: Sequence[OpenGroup]
    done: int
    last: tuple[str, float] | None
    """The kind of what they did last, and when."""
    paused: bool = False
    """By the owner: nothing can be begun at the moment."""


@dataclass(frozen=True)
class Taken:
    """The assignment's id; or None, and why: "held" (the worker has begun as many as they may) or "taken" (there is
    none any more), "halted" (the owner has paused the work)."""

    assignment_id: str | None
    why: Literal["", "held", "taken", "halted"] = ""


def new_id() -> str:
    """An id of a HIT or an assignment as MTurk's look: 30 characters A-Z and 2-7, unguessable."""
    return "3" + base64.b32encode(secrets.token_bytes(18)).decode().rstrip("=")


def overview(catalog: sqlite3.Connection, worker: str, now: float, seen: Sequence[Seen] = ()) -> WorkList:
    """What a worker sees first. ``seen`` is what the same person has been shown in other studies."""
    leases.sweep(catalog, now)
    held = [work for lease in leases.lease_of(catalog, worker) if (work := _work(catalog, lease))]
    paused = owner.is_paused(catalog)
    barred = open_hits.barred_by(catalog, seen) if seen else ()
    groups = (
        [] if paused else open_hits.open_groups(catalog, worker, now=now, limit=MAX_GROUPS, barred=barred)
    )
    return WorkList(
        held, groups, leases.num_submitted(catalog, worker), open_hits.last_group(catalog, worker), paused
    )


def take(
    catalog: sqlite3.Connection,
    worker: str,
    group: str,
    now: float,
    seen: Sequence[Seen] = (),
    held_elsewhere: int = 0,
) -> Taken:
    """Lease the next HIT of a group to a worker, or say why not. ``seen`` and ``held_elsewhere`` are the same
    person's in other studies."""
    leases.sweep(catalog, now)
    if owner.is_paused(catalog):
        return Taken(None, "halted")
    if len(leases.lease_of(catalog, worker)) + held_elsewhere >= MAX_LEASES:
        return Taken(None, "held")
    barred = open_hits.barred_by(catalog, seen) if seen else ()
    market_hit_id = open_hits.next_open_hit(catalog, worker, group, now=now, barred=barred)
    if market_hit_id is None:
        return Taken(None, "taken")
    hit = market.find_hit(catalog, market_hit_id)
    assert hit is not None
    hit_type = market.find_hit_type(catalog, hit.hit_type_id)
    assert hit_type is not None
    ends = now + hit_type.duration
    if again := leases.renew_lapsed(catalog, worker, market_hit_id, now=now, lease_ends=ends):
        return Taken(again)
    lease = Lease(new_id(), market_hit_id, worker, "leased", now, ends)
    leases.insert_lease(catalog, lease)
    return Taken(lease.assignment_id)


def work_of(catalog: sqlite3.Connection, worker: str, assignment_id: str, now: float) -> Work | None:
    """A worker's own assignment, whatever its state; None when it is not theirs or does not exist."""
    leases.sweep(catalog, now)
    lease = leases.find_lease(catalog, assignment_id)
    return _work(catalog, lease) if lease is not None and lease.worker == worker else None


def submit_work(
    catalog: sqlite3.Connection,
    worker: str,
    assignment_id: str,
    fields: Sequence[tuple[str, str]],
    now: float,
) -> Literal["done", "late", "empty", "unknown"]:
    """Keep what a worker sent. ``empty``: nothing was ticked, not even "none of these"; nothing is kept
    then."""
    work = work_of(catalog, worker, assignment_id, now)
    if work is None:
        return "unknown"
    if work.hit.hit_id is not None and work.lease.answer is None:
        asked = asked_of(catalog, work.hit.hit_id)
        joined: dict[str, str] = {}
        for name, value in fields:
            joined[name] = f"{joined[name]}|{value}" if name in joined else value
        if not read_answer(joined, len(asked), options=len(asked.options), own=asked.own).explicit:
            return "empty"
    approve_at = now + work.hit_type.auto_approval
    kept = leases.submit(catalog, assignment_id, to_xml(fields), now=now, auto_approve_at=approve_at)
    return "done" if kept else "late"


def _work(catalog: sqlite3.Connection, lease: Lease) -> Work | None:
    hit = market.find_hit(catalog, lease.market_hit_id)
    hit_type = market.find_hit_type(catalog, hit.hit_type_id) if hit else None
    if hit is None or hit_type is None:
        return None
    row = hit_class(catalog, hit.hit_id) if hit.hit_id is not None else None
    if hit.hit_id is None or row is None:
        return Work(lease, hit, hit_type)
    return Work(lease, hit, hit_type, row["wnid"], row["lemmas"], kind_of(catalog, hit.hit_id))
