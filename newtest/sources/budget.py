"""What a collection will ask of a source before it asks: so many calls, and the time that its limits make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Budget", "Limits", "budget_of"]


@dataclass(frozen=True)
class Limits:
    """``page_size`` results a call; ``rates``: so many calls in so many seconds, all of which hold."""

    page_size: int
    rates: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Budget:
    """At least ``calls`` calls, which take at least ``seconds`` by the source's limits."""

    calls: int
    seconds: float


def budget_of(limits: Limits, quota: int, queries: Sequence[int]) -> Budget:
    """The calls for classes of ``quota`` images each, which have so many ``queries`` each.

    Each query has to bring its even share, page by page. Where one brings fewer, others are asked for more: the true
    number may be larger, and smaller where a query has fewer results than its share.
    """
    calls = sum(
        count * math.ceil(math.ceil(quota / count) / limits.page_size) if quota >= count else quota
        for count in queries
        if count
    )
    waits = [(calls - 1) // number * seconds for number, seconds in limits.rates if calls]
    return Budget(calls, float(max(waits, default=0.0)))
