"""Bonuses on Prolific, each paid once: what is about to be paid is written down first, in ``people.sqlite``.

Prolific's call that pays a batch is not idempotent and is carried out minutes later. So a batch whose payment was asked
for is never asked for again, not even where a run was killed before it heard the answer: such a batch is named, for a
person to look at Prolific's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from newtest.catalog.people import Bonus, bonuses, mark_bonuses, open_people, put_bonuses
from newtest.study import Study, now

__all__ = ["BonusPayer", "BonusesPaid", "bonuses_due", "bonuses_told", "pay_bonuses"]

MOST_AT_ONCE = 200
"""Prolific takes no more people in one request."""


class BonusPayer(Protocol):
    """Prolific's two calls: set a batch up, which pays nothing, and pay it."""

    def set_up_bonuses(self, study_id: str, amounts: Mapping[str, Decimal]) -> str: ...

    def pay_batch(self, batch: str) -> None: ...


@dataclass(frozen=True)
class BonusesPaid:
    """Dollars that this run asked Prolific to pay, and the batches of earlier runs of which nobody knows."""

    total: Decimal
    uncertain: tuple[str, ...]


def bonuses_due(study: Study, amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Those of the bonuses (submission id -> amount) whose payment was not asked for before."""
    if not amounts:
        return {}
    with open_people(study.root) as people:
        known = {one.submission for one in bonuses(people)}
    return {one: amount for one, amount in sorted(amounts.items()) if _key(study, one) not in known}


def pay_bonuses(
    study: Study, payer: BonusPayer, study_id: str, amounts: Mapping[str, Decimal]
) -> BonusesPaid:
    """Pay what is due, a batch at a time; an amount counts once per submission. Raises what the payer raises."""
    due = list(bonuses_due(study, amounts).items())
    if not amounts and not (study.root / "people.sqlite").exists():
        return BonusesPaid(Decimal(0), ())
    with open_people(study.root) as people:
        uncertain = sorted({one.batch for one in bonuses(people) if one.state == "paying"})
        for start in range(0, len(due), MOST_AT_ONCE):
            part = dict(due[start : start + MOST_AT_ONCE])
            batch = payer.set_up_bonuses(study_id, part)
            rows = [
                Bonus(_key(study, one), f"{amount:.2f}", batch, "paying", now())
                for one, amount in part.items()
            ]
            put_bonuses(people, rows)
            payer.pay_batch(batch)
            mark_bonuses(people, batch, "paid")
    return BonusesPaid(sum((amount for _, amount in due), Decimal(0)), tuple(uncertain))


def bonuses_told(study: Study) -> Decimal:
    """Dollars of all bonuses whose payment was asked for: what the ledger of a study has beside its assignments."""
    if not (study.root / "people.sqlite").exists():
        return Decimal(0)
    with open_people(study.root) as people:
        return sum((Decimal(one.amount) for one in bonuses(people)), Decimal(0))


def _key(study: Study, submission: str) -> str:
    return study.worker_key(f"submission:{submission}")
