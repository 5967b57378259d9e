"""The money of a study in one place: what is planned, open, owed and paid. Decimal dollars, exact."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from newtest.catalog.money import last_plan, money_rows, paces, planned_money
from newtest.crowd.costs import CostConfig, cents, hit_cost, hourly_median

__all__ = ["Amount", "Ledger", "hourly_warning", "ledger"]

KINDS: dict[str, Literal["local", "mturk"]] = {"live": "mturk", "local": "local"}


@dataclass(frozen=True)
class Amount:
    """Assignments and what they come to; ``fees`` is None where a market's are not known to us."""

    assignments: int = 0
    reward: Decimal = Decimal(0)
    fees: Decimal | None = Decimal(0)

    def __add__(self, other: Amount) -> Amount:
        fees = None if self.fees is None or other.fees is None else self.fees + other.fees
        return Amount(self.assignments + other.assignments, self.reward + other.reward, fees)

    @property
    def total(self) -> Decimal:
        """Dollars in cents, with the fees that are known."""
        return cents(self.reward) + cents(self.fees or Decimal(0))


@dataclass(frozen=True)
class Ledger:
    """Where each assignment's money stands. Rejected work costs nothing; a sandbox pays nobody.

    planned: HITs that are not published (fees not counted: the market is not chosen yet). open: published, nobody has
    done it yet. owed: submitted, not decided. paid: approved. open + owed + paid + rejected + given_up is all that was
    published: ``given_up`` are those of HITs that are over.
    """

    planned: Amount
    open: Amount
    owed: Amount
    paid: Amount
    rejected: Amount
    given_up: Amount

    @property
    def published(self) -> Amount:
        """All that was ever published."""
        return self.open + self.owed + self.paid + self.rejected + self.given_up


def ledger(catalog: sqlite3.Connection) -> Ledger:
    """The ledger of a study."""
    sums = {name: Amount() for name in ("open", "owed", "paid", "rejected", "given_up")}
    for row in money_rows(catalog):
        rest = row.asked - row.submitted - row.approved - row.rejected
        counts = {
            "owed": row.submitted,
            "paid": row.approved,
            "rejected": row.rejected,
            "given_up" if row.closed else "open": max(rest, 0),
        }
        for name, count in counts.items():
            sums[name] += _amount(row.market, row.reward, row.asked, count)
    planned = _sum(Amount(n, Decimal(reward) * n) for n, reward in planned_money(catalog))
    return Ledger(planned, **sums)


def hourly_warning(catalog: sqlite3.Connection) -> str:
    """A sentence when the median pay per hour of the work so far is below the plan's minimum; else ""."""
    least, median = last_plan(catalog).get("min_hourly"), hourly_median(paces(catalog))
    if least is None or median is None or median >= Decimal(least):
        return ""
    return f"the median pay so far is ${median} per hour, below the minimum of ${least} that the plan states"


def _amount(market: str, reward: str, asked: int, count: int) -> Amount:
    kind = KINDS.get(market)
    fees = None
    if kind is not None:
        fees = hit_cost(asked, CostConfig(Decimal(reward), kind))[1] / asked * count
    return Amount(count, Decimal(reward) * count, fees if count else Decimal(0))


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())
