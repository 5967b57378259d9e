"""Who looks at which pairs: reviewers who work at the same time get different ones.

Held in memory by the server and for minutes only. It spreads people over the queue and promises nothing: when all that
waits is with others, it is handed out again, and the catalog keeps every verdict (the latest counts).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

__all__ = ["HandingOut", "Pair"]

SECONDS = 300.0
"""How long pairs are kept for a reviewer who does nothing."""

Pair = tuple[str, str]


class HandingOut:
    """Pairs and who has them. Methods may be called from several threads; each is one step."""

    def __init__(self, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._held: dict[Pair, tuple[str, float]] = {}
        self._later: dict[str, set[Pair]] = {}

    def take(self, reviewer: str, waiting: Sequence[Pair], limit: int) -> list[Pair]:
        """Up to ``limit`` of the waiting pairs, in their order, for this reviewer; gives up what they had before.

        First those that nobody else has; then those that this reviewer put off; then those that others have.
        """
        with self._lock:
            now = self._clock()
            self._held = {p: held for p, held in self._held.items() if held[0] != reviewer and held[1] > now}
            put_off = self._later.get(reviewer, set())
            free = [pair for pair in waiting if pair not in self._held]
            chosen = [pair for pair in free if pair not in put_off][:limit]
            if not chosen:
                self._later.pop(reviewer, None)
                chosen = (free or list(waiting))[:limit]
            self._held.update((pair, (reviewer, now + self._seconds)) for pair in chosen)
            return chosen

    def renew(self, reviewer: str) -> None:
        """The reviewer is still there: keep what they have."""
        with self._lock:
            until = self._clock() + self._seconds
            for pair, (holder, _) in self._held.items():
                if holder == reviewer:
                    self._held[pair] = (holder, until)

    def put_off(self, reviewer: str, pairs: Iterable[Pair]) -> None:
        """Show these to the reviewer after all others, and let others have them meanwhile."""
        with self._lock:
            for pair in pairs:
                self._later.setdefault(reviewer, set()).add(pair)
                if self._held.get(pair, ("", 0.0))[0] == reviewer:
                    del self._held[pair]
