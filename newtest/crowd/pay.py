"""Proposals to approve or reject submitted work. They are written for a person to read; nothing acts on its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol

import pandas as pd

from newtest.catalog import leases, publications, transaction
from newtest.errors import UsageError
from newtest.study import Study
from newtest.votes.quality import ControlCounts, QualityRule, assess, control_counts

__all__ = ["LocalPayer", "Payer", "act_on", "propose", "read_proposals"]

COLUMNS = ("assignment_id", "worker", "market", "proposal", "reason", "reward")
THANKS = "Thank you."
DECIDED = {"approve": "approved", "reject": "rejected"}


class Payer(Protocol):
    """Where decisions go: our own server's market, or MTurk's protocol."""

    def approve(self, assignment_id: str, feedback: str) -> None: ...

    def reject(self, assignment_id: str, feedback: str) -> None: ...


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
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable table of proposals ({error})") from error
    if not {"assignment_id", "market", "proposal", "reason"} <= set(table.columns):
        raise UsageError(f"{path}: the columns assignment_id, market, proposal and reason are wanted")
    strange = sorted(set(table["proposal"]) - {"approve", "reject", ""})
    if strange:
        raise UsageError(f"{path}: a proposal is approve, reject or empty (leave alone); got {strange[0]!r}")
    return table


def act_on(study: Study, table: pd.DataFrame, payer: Payer) -> int:
    """Carry out proposals that a person has read; gives how many. What is decided already is left alone."""
    open_ids = {row["assignment_id"] for row in publications.undecided(study.catalog)}
    done = 0
    columns = (table[name].astype(str) for name in ("assignment_id", "proposal", "reason"))
    for assignment_id, proposal, reason in zip(*columns, strict=True):
        if assignment_id not in open_ids or not proposal:
            continue
        if proposal == "approve":
            payer.approve(assignment_id, THANKS)
        else:
            payer.reject(assignment_id, reason)
        with transaction(study.catalog):
            publications.set_status(study.catalog, assignment_id, DECIDED[proposal])
            publications.drop_rejected_votes(study.catalog)
        done += 1
    return done


class LocalPayer:
    """The Payer of our own server's market."""

    def __init__(self, catalog: sqlite3.Connection, clock: float) -> None:
        self._catalog, self._clock = catalog, clock

    def approve(self, assignment_id: str, feedback: str) -> None:
        self._decide(assignment_id, "approved", feedback)

    def reject(self, assignment_id: str, feedback: str) -> None:
        self._decide(assignment_id, "rejected", feedback)

    def _decide(self, assignment_id: str, state: str, feedback: str) -> None:
        with transaction(self._catalog):
            leases.decide(self._catalog, assignment_id, state, feedback=feedback, at=self._clock)
