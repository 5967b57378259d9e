"""What a plan costs in money and hours, before anybody is asked. Money is Decimal dollars throughout."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from newtest.crowd.hits import Hit
from newtest.errors import UsageError

__all__ = [
    "Cost",
    "CostConfig",
    "cents",
    "check_limit",
    "fee_rate",
    "hit_cost",
    "hourly_median",
    "plan_cost",
    "split_saving",
    "total_of",
]

CENT = Decimal("0.01")


@dataclass(frozen=True)
class CostConfig:
    """A reward per HIT and the pace that hours are estimated with."""

    reward: Decimal = Decimal("0.10")
    """Dollars for one assignment; the 2018 study paid ten cents for 48 images."""
    market: Literal["local", "mturk"] = "local"
    seconds_per_image: float = 1.5
    """The pace of an attentive worker, stated with the hours: 48 images in 72 seconds."""


@dataclass(frozen=True)
class Cost:
    """The sums of a plan. ``hours`` are of work, all people together."""

    hits: int
    assignments: int
    votes: int
    hours: float
    reward: Decimal
    fees: Decimal
    hourly: Decimal
    """What a worker earns in an hour at the stated pace."""

    @property
    def total(self) -> Decimal:
        return self.reward + self.fees


def fee_rate(market: str, assignments: int) -> Decimal:
    """MTurk's share of the reward: 20 %, and another 20 % from ten assignments per HIT up; our own server takes
    none."""
    if market == "local":
        return Decimal(0)
    return Decimal("0.40") if assignments >= 10 else Decimal("0.20")


def hit_cost(assignments: int, config: CostConfig) -> tuple[Decimal, Decimal]:
    """(reward, fees) of one HIT; a fee is at least a cent an assignment."""
    rate = fee_rate(config.market, assignments)
    fee = max((config.reward * rate).quantize(Decimal("0.0001"), ROUND_HALF_UP), CENT) if rate else Decimal(0)
    return config.reward * assignments, fee * assignments


def cents(amount: Decimal) -> Decimal:
    """An exact amount as it is shown and charged: in cents, half a cent up. Sums are rounded once, at their end."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def total_of(hits: Iterable[tuple[int, str]], market: str) -> Decimal:
    """Dollars, fees included, of HITs given by (assignments, reward in dollars) on a market, in cents.

    A market whose fees are not known to us is estimated with MTurk's.
    """
    kind: Literal["local", "mturk"] = "local" if market == "local" else "mturk"
    each = [hit_cost(assignments, CostConfig(Decimal(reward), kind)) for assignments, reward in hits]
    reward, fees = (sum(part, Decimal(0)) for part in zip(*each, strict=True)) if each else (Decimal(0),) * 2
    return cents(reward) + cents(fees)


def check_limit(total: Decimal, max_cost: Decimal | None, *, what: str = "this costs") -> None:
    """The one check before money is committed, on every market. Raises UsageError above the limit."""
    if max_cost is not None and total > max_cost:
        raise UsageError(
            f"{what} ${total}, more than the limit of ${max_cost} (`max_cost`): nothing was published or paid"
        )


def hourly_median(rows: Iterable[tuple[str, float | None]]) -> Decimal | None:
    """The median pay in dollars per hour of assignments given by (reward in dollars, seconds); None without any.

    Assignments whose time is not known, or is zero, say nothing.
    """
    paces = [float(reward) * 3600 / seconds for reward, seconds in rows if seconds and seconds > 0]
    return cents(Decimal(statistics.median(paces))) if paces else None


def split_saving(hits: Sequence[Hit], config: CostConfig) -> Decimal:
    """What publishing each HIT twice, with nine assignments and with the rest, would save in MTurk's fees."""
    saved = Decimal(0)
    for hit in hits:
        rest = hit.assignments - 9
        if 0 < rest < 10:
            whole, parts = hit_cost(hit.assignments, config), (hit_cost(9, config), hit_cost(rest, config))
            saved += whole[1] - parts[0][1] - parts[1][1]
    return saved.quantize(CENT, ROUND_HALF_UP)


def plan_cost(hits: Sequence[Hit], config: CostConfig) -> Cost:
    """The cost of publishing all of these HITs."""
    costs = [hit_cost(hit.assignments, config) for hit in hits]
    shown = sum(hit.size * hit.assignments for hit in hits)
    hours = shown * config.seconds_per_image / 3600
    reward = sum((paid for paid, _ in costs), Decimal(0))
    return Cost(
        hits=len(hits),
        assignments=sum(hit.assignments for hit in hits),
        votes=shown,
        hours=hours,
        reward=cents(reward),
        fees=cents(sum((fee for _, fee in costs), Decimal(0))),
        hourly=(reward / Decimal(str(hours)) if hours else Decimal(0)).quantize(CENT, ROUND_HALF_UP),
    )
