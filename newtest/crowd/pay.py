"""Proposals to approve or reject submitted work. They are written for a person to read; nothing acts on its own."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol

import pandas as pd

from newtest.catalog import leases, make_durable, publications, transaction
from newtest.crowd.costs import CostConfig, cents, check_limit, hit_cost
from newtest.errors import NotFoundError, UsageError
from newtest.spreadsheets import read_sheet
from newtest.study import Study
from newtest.votes.quality import ControlCounts, QualityRule, assess, control_counts

__all__ = ["Acted", "LocalPayer", "Payer", "act_on", "propose", "read_proposals", "to_be_paid"]

COLUMNS = ("assignment_id", "worker", "market", "proposal", "reason", "reward")
THANKS = "Thank you."
DECIDED = {"approve": "approved", "reject": "rejected"}


class Payer(Protocol):
    """Where decisions go: our own server's market, or MTurk's protocol.

    Both methods give the status that holds then. What was decided before (by a stopped run, or by itself in
    time) is not decided again.
    """

    def approve(self, assignment_id: str, feedback: str) -> str: ...

    def reject(self, assignment_id: str, feedback: str) -> str: ...


@dataclass(frozen=True)
class Acted:
    """How many proposals hold now, and the assignments that had been decided otherwise before."""

    done: int
    otherwise: tuple[str, ...] = ()


def propose(study: Study, votes: pd.DataFrame, rule: QualityRule | None = None) -> pd.DataFrame:
    """A row for each collected assignment that nobody decided on: what to do, and why.

    ``votes`` has the columns worker, selected, control. Columns of the result: assignment_id, worker, market,
    proposal ('approve' or 'reject'), reason, reward (dollars). Only work of a worker whose answers to controls are
    clearly poor is proposed for rejection, never work that merely disagrees with others.
    """
    counts = control_counts(votes)
    rows = []
    for row in publications.undecided(study.catalog):
        worker = row["worker"]
        known = (
            ControlCounts(*map(int, counts.loc[worker]))
            if worker in counts.index
            else ControlCounts(0, 0, 0, 0)
        )
        found = assess(known, rule)
        proposal = "reject" if found.flagged else "approve"
        rows.append((row["assignment_id"], worker, row["market"], proposal, found.reason, row["reward"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read_proposals(path: Path) -> pd.DataFrame:
    """Proposals as a person left them. Raises UsageError for another table, or another word than approve or
    reject."""
    try:
        table = read_sheet(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable table of proposals ({error})") from error
    if not {"assignment_id", "market", "proposal", "reason"} <= set(table.columns):
        raise UsageError(
            f"{path}: the columns assignment_id, market, proposal and reason are required; "
            f"it has {', '.join(map(str, table.columns))[:300]}"
        )
    strange = sorted(set(table["proposal"]) - {"approve", "reject", ""})
    if strange:
        raise UsageError(f"{path}: a proposal is approve, reject or empty (leave alone); got {strange[0]!r}")
    return table


def to_be_paid(study: Study, table: pd.DataFrame) -> tuple[int, Decimal]:
    """How many assignments ``act_on`` would approve, and the dollars by the catalog, with the fees of their markets."""
    wanted = set(table.loc[table["proposal"] == "approve", "assignment_id"])
    rows = [row for row in publications.undecided(study.catalog) if row["assignment_id"] in wanted]
    reward = fees = Decimal(0)
    for row in rows:
        kind: Literal["local", "mturk"] = "local" if row["market"] == "local" else "mturk"
        whole = hit_cost(row["assignments"], CostConfig(Decimal(row["reward"]), kind))
        reward, fees = reward + whole[0] / row["assignments"], fees + whole[1] / row["assignments"]
    return len(rows), cents(reward) + cents(fees)


def act_on(study: Study, table: pd.DataFrame, payer: Payer, *, max_cost: Decimal | None = None) -> Acted:
    """Carry out proposals that a person has read. What is decided already is left alone.

    Raises UsageError, and decides nothing, when the approvals cost more than ``max_cost`` dollars, fees included.
    """
    check_limit(to_be_paid(study, table)[1], max_cost)
    make_durable(study.catalog)
    open_ids = {row["assignment_id"] for row in publications.undecided(study.catalog)}
    done, otherwise = 0, []
    columns = (table[name].astype(str) for name in ("assignment_id", "proposal", "reason"))
    for assignment_id, proposal, reason in zip(*columns, strict=True):
        if assignment_id not in open_ids or not proposal:
            continue
        approve = proposal == "approve"
        status = payer.approve(assignment_id, THANKS) if approve else payer.reject(assignment_id, reason)
        with transaction(study.catalog):
            publications.set_status(study.catalog, assignment_id, status)
            publications.drop_rejected_votes(study.catalog)
        if status == DECIDED[proposal]:
            done += 1
        else:
            otherwise.append(assignment_id)
    return Acted(done, tuple(otherwise))


class LocalPayer:
    """The Payer of our own server's market."""

    def __init__(self, catalog: sqlite3.Connection, clock: float) -> None:
        self._catalog, self._clock = catalog, clock

    def approve(self, assignment_id: str, feedback: str) -> str:
        return self._decide(assignment_id, "approved", feedback)

    def reject(self, assignment_id: str, feedback: str) -> str:
        return self._decide(assignment_id, "rejected", feedback)

    def _decide(self, assignment_id: str, state: str, feedback: str) -> str:
        with transaction(self._catalog):
            leases.sweep(self._catalog, self._clock)
            lease = leases.find_lease(self._catalog, assignment_id)
            if lease is None:
                raise NotFoundError(f"{assignment_id}: this study's market has no such assignment")
            if lease.state != "submitted":
                return lease.state
            leases.decide(self._catalog, assignment_id, state, feedback=feedback, at=self._clock)
        return state
