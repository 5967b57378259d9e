"""Which rule dropped each row, a byte per row: what an audit may make its strata of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from newtest.errors import UsageError
from newtest.pool.filtering.apply import FilterPlan, Pattern
from newtest.pool.filtering.filters import Mask

__all__ = ["MOST_RULES", "NONE_KEEPS", "names_of", "which_rule"]

MOST_RULES = 254
NONE_KEEPS = "no rule keeps it"
"""Under "or" a row goes where every rule drops it; only rules that always count drop it alone."""


def names_of(plan: FilterPlan) -> list[str]:
    """What the bytes from 1 on stand for. Raises UsageError for more rules than a byte can tell."""
    if len(plan.rules) > MOST_RULES:
        raise UsageError(f"`say_why` tells at most {MOST_RULES} rules apart, and there are {len(plan.rules)}")
    return [*(rule.name for rule in plan.rules), *([NONE_KEEPS] if plan.combine == "or" else [])]


def which_rule(plan: FilterPlan, pattern: Pattern, stays: Mask) -> npt.NDArray[np.uint8]:
    """Shape (n,): 0 for a row that stays, else the number of the first rule asked that dropped it, from 1 on."""
    found = np.zeros(len(stays), np.uint8)
    asked = sorted(enumerate(plan.rules), key=lambda each: max(f.cost for f in each[1].filters))
    for bit, rule in reversed(asked):  # the first one asked is written last
        if plan.combine == "and" or rule.always:
            found[(pattern >> bit & 1).astype(np.bool_)] = bit + 1
    found[stays] = 0
    found[~stays & (found == 0)] = len(plan.rules) + 1
    return found
