"""The money of a study in one place: what is planned, open, owed and paid. Decimal dollars, exact."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal

from newtest.catalog.money import last_plan, money_rows, paces, planned_money
from newtest.crowd.costs import CostConfig, cents, check_limit, hit_cost, hourly_median

__all__ = ["Amount", "Ledger", "by_market", "check_committed", "earned_by_market", "hourly_warning", "ledger"]

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

    planned: Amount = field(default_factory=Amount)
    open: Amount = field(default_factory=Amount)
    owed: Amount = field(default_factory=Amount)
    paid: Amount = field(default_factory=Amount)
    rejected: Amount = field(default_factory=Amount)
    given_up: Amount = field(default_factory=Amount)

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def published(self) -> Amount:
        """All that was ever published."""
        return self.committed + self.rejected + self.given_up

    @property
    def committed(self) -> Amount:
        """What is spent, or will be if all that is open is done: open, owed and paid."""
        return self.open + self.earned

    @property
    def earned(self) -> Amount:
        """What was done and not rejected: owed and paid."""
        return self.owed + self.paid


def ledger(catalog: sqlite3.Connection, now: float | None = None) -> Ledger:
    """The ledger of a study, over all markets, with what is planned; ``now`` is in seconds since 1970."""
    planned = sum((Amount(n, Decimal(reward) * n) for n, reward in planned_money(catalog)), Amount())
    return sum(by_market(catalog, now).values(), Ledger(planned))


def by_market(
    catalog: sqlite3.Connection, now: float | None = None, *, revision: str | None = None
) -> dict[str, Ledger]:
    """Market -> what was published there, by name; of the HITs that showed a revision's members, where one is named."""
    books: dict[str, Ledger] = {}
    for row in money_rows(catalog, time.time() if now is None else now, revision):
        kinds = (row.open, row.submitted, row.approved, row.rejected, row.given_up)
        amounts = (_amount(row.market, row.reward, row.asked, count) for count in kinds)
        books[row.market] = books.get(row.market, Ledger()) + Ledger(Amount(), *amounts)
    return dict(sorted(books.items()))


def earned_by_market(catalog: sqlite3.Connection, revision: str) -> dict[str, Amount]:
    """Market -> what was earned by showing a revision's members: what a dataset's card tells."""
    books = by_market(catalog, revision=revision)
    return {market: book.earned for market, book in books.items() if book.earned.assignments}


def check_committed(catalog: sqlite3.Connection, max_cost: Decimal | None, now: float | None = None) -> None:
    """Refuse a state in which all that is open, owed and paid costs more than a limit; call it within the transaction
    that commits the money. Raises UsageError."""
    if max_cost is not None:
        check_limit(
            ledger(catalog, now).committed.total, max_cost, what="all that is open, owed and paid would cost"
        )


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
