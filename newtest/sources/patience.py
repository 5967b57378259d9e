"""Trying again: how long to wait for a source that is busy, and when to give up for this run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from newtest.errors import SourceUnavailable
from newtest.sources.allowance import LONGEST_WAIT

__all__ = ["Busy", "Patience", "patiently"]

T = TypeVar("T")


class Busy(Exception):  # a state of the other side, not an error of ours
    """One try failed in a way that another may not. ``wait``: seconds that it asked for, if it did."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        self.reason, self.wait = reason, wait
        super().__init__(reason)


@dataclass(frozen=True)
class Patience:
    """``tries`` in all, the first wait in seconds (doubled each time), the longest wait."""

    tries: int = 4
    first_wait: float = 1.0
    longest_wait: float = LONGEST_WAIT


def patiently(ask: Callable[[], T], patience: Patience, name: str, say: Callable[[str], None]) -> T:
    """The answer of ``ask``, tried again while it raises Busy. Raises SourceUnavailable when patience ends."""
    for attempt in range(1, patience.tries + 1):
        try:
            return ask()
        except Busy as busy:
            wait = max(busy.wait or 0.0, patience.first_wait * 2 ** (attempt - 1))
            if attempt == patience.tries or wait > patience.longest_wait:
                asked = f" and asks for {wait:.0f} seconds of rest" if wait > patience.longest_wait else ""
                raise SourceUnavailable(
                    f"{name}: {busy.reason}{asked} (tried {attempt} times); what was collected is kept, "
                    "run the same command again later"
                ) from busy
            say(f"{name}: {busy.reason}; trying again in {wait:.0f} s")
            time.sleep(wait)
    raise AssertionError("a patience has at least one try")
