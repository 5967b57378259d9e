"""What Prolific's pages take for paying: lists of submissions to approve, to reject with a reason, and bonuses.

A submission is approved when its worker's work is proposed to be approved, and rejected when most of it is not. A bonus
is a person's id and an amount, one per line, as Prolific's bulk bonus payments take it. The formats follow Prolific's
help pages and API reference as they were known in November 2026; they were NOT verified against Prolific itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pandas as pd

from newtest.crowd.costs import cents
from newtest.crowd.people import people
from newtest.errors import UsageError
from newtest.outputs import claim_folder, write_made
from newtest.spreadsheets import guarded
from newtest.study import Study

__all__ = ["Decisions", "decisions", "write_decisions"]

LEAST_REASON = 100
"""Prolific needs a message of at least this many characters to the person whose work is rejected."""


@dataclass(frozen=True)
class Decisions:
    """Submission ids to approve, submission id -> reason, person -> bonus in the study's currency; ``unknown`` counts
    workers who did not come from the recruiting site, or were forgotten."""

    approve: tuple[str, ...]
    reject: Mapping[str, str]
    bonus: Mapping[str, Decimal]
    unknown: int
    submission_of: Mapping[str, str] = field(default_factory=dict)
    """Person -> the submission that a bonus belongs to."""

    @property
    def bonus_of_submission(self) -> dict[str, Decimal]:
        """Submission -> bonus: how the API pays it, once."""
        return {self.submission_of[person]: amount for person, amount in self.bonus.items()}


def decisions(study: Study, proposals: pd.DataFrame) -> Decisions:
    """What a table of proposals (see ``newtest.crowd.pay``) comes to, a submission. An optional column ``bonus`` holds
    an amount an assignment. Raises UsageError for a bonus that is not an amount."""
    latest = {one.worker: one for one in people(study)}
    approve: list[str] = []
    reject: dict[str, str] = {}
    bonus: dict[str, Decimal] = {}
    unknown = 0
    submissions: dict[str, str] = {}
    for worker, rows in proposals.groupby("worker", sort=True):
        person = latest.get(str(worker))
        if person is None:
            unknown += 1
            continue
        words = rows["proposal"].tolist()
        if words.count("reject") * 2 > len(words):
            reject[person.submission] = _reason(rows.loc[rows["proposal"] == "reject", "reason"].iloc[0])
        elif "approve" in words:
            approve.append(person.submission)
        if "bonus" in rows.columns and (amount := sum((_amount(cell) for cell in rows["bonus"]), Decimal(0))):
            bonus[person.person] = cents(amount)
            submissions[person.person] = person.submission
    return Decisions(
        tuple(sorted(approve)),
        dict(sorted(reject.items())),
        dict(sorted(bonus.items())),
        unknown,
        dict(sorted(submissions.items())),
    )


def write_decisions(found: Decisions, folder: Path) -> None:
    """``approve.csv`` (a submission a line), ``reject.csv`` (submission, reason) and ``bonus.csv`` (person,amount)."""
    claim_folder(folder)
    write_made(folder / "approve.csv", "".join(f"{one}\n" for one in found.approve))
    table = pd.DataFrame(
        {"submission_id": list(found.reject), "reason": [guarded(text) for text in found.reject.values()]}
    )
    write_made(folder / "reject.csv", table.to_csv(index=False, lineterminator="\n"))
    write_made(folder / "bonus.csv", "".join(f"{one},{amount}\n" for one, amount in found.bonus.items()))


def _reason(text: str) -> str:
    """A reason that is long enough for Prolific."""
    if len(text) >= LEAST_REASON:
        return text
    return (
        f"{text}. This is about images whose answer is known, which were among those of your tasks; if you think that "
        "this is wrong, please write to us."
    )


def _amount(cell: object) -> Decimal:
    text = "" if cell is None or cell != cell else str(cell).strip().lstrip("$\u00a3")
    if not text:
        return Decimal(0)
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise UsageError(f"a bonus of {text!r} is not an amount of money") from error
    if not 0 <= value < 10_000:
        raise UsageError(f"a bonus of {text!r} is not an amount of money")
    return value
