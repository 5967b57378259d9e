"""What an audit is to sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from newtest.errors import UsageError

__all__ = ["MOST_ITEMS", "RULE", "AuditConfig"]

MOST_ITEMS = 10_000
"""Items of a page: people look over a few hundred."""
RULE = "rule"
"""``by`` this, the strata are the rules of a filter that dropped the rows."""


@dataclass(frozen=True)
class AuditConfig:
    """``size`` items in proportion to the strata, at least one of each; or ``per_stratum`` of each.

    ``by`` is a column of texts, whose values are the strata, or of numbers, which are cut at ``edges`` or into
    ``bins`` of about equally many rows; "" makes one stratum. ``dropped`` takes the rows that a subset leaves out.
    """

    by: str = ""
    bins: int = 5
    edges: tuple[float, ...] = ()
    size: int = 300
    per_stratum: int | None = None
    dropped: bool = False
    seed: int = 0
    question: str = "Is something wrong with this picture or its caption?"

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST_ITEMS:
            raise UsageError(f"`size` and `per_stratum` are from 1 to {MOST_ITEMS:,}, not {self.most:,}")
        if not 1 <= self.bins <= 50:
            raise UsageError(f"`bins` is from 1 to 50, not {self.bins}")
        rising = all(a < b for a, b in pairwise(self.edges))
        if not rising or not all(map(math.isfinite, self.edges)):
            raise UsageError(f"`edges` must be numbers that rise, not {', '.join(map(str, self.edges))}")
        if self.edges and not self.by:
            raise UsageError("`edges` cut a column of numbers; name it as `by`")
        if self.by == RULE and not self.dropped:
            raise UsageError("`by` rule needs `dropped`: rules have dropped no row that stays")
        if not self.question.strip():
            raise UsageError("`question` must not be empty")

    @property
    def most(self) -> int:
        """The most items that one stratum can bring."""
        return self.size if self.per_stratum is None else self.per_stratum
