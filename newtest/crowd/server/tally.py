"""Workers' answers to controls, counted as they come in: for the owner's page, before anything is
collected."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from newtest.catalog import leases
from newtest.catalog.asked import Asked, asked_of
from newtest.crowd.answers import from_xml, read_answer
from newtest.errors import SourceError
from newtest.votes.quality import ControlCounts

__all__ = ["ControlTally"]


class ControlTally:
    """Counts on controls and attention checks per worker; each call reads only what it has not read before.

    What that is goes by ids, not by times: a clock that was put back would hide what comes in after it.
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._known: set[str] = set()
        self.checks: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        """Worker -> attention checks passed, of how many."""

    def update(self, catalog: sqlite3.Connection) -> Mapping[str, ControlCounts]:
        """Worker -> counts of all answers that are in the catalog by now."""
        asked = lru_cache(maxsize=64)(lambda hit_id: asked_of(catalog, hit_id))
        fresh = set(leases.planned_answer_ids(catalog)) - self._known
        for assignment_id in sorted(fresh):
            hit_id, lease = leases.planned_answer(catalog, assignment_id)
            self._add(lease.worker, lease.answer or "", asked(hit_id))
        self._known |= fresh
        return {worker: ControlCounts(*counts) for worker, counts in self._counts.items()}

    def _add(self, worker: str, answer: str, asked: Asked) -> None:
        try:
            fields = from_xml(answer)
        except SourceError:
            return
        images = read_answer(fields, len(asked), options=len(asked.options), own=asked.own).images
        counts = self._counts[worker]
        for role, image in zip(asked.roles, images, strict=True):
            if role == "attention":  # it says what to do, whether or not the picture was looked at
                self.checks[worker][0] += image.value == "yes"
                self.checks[worker][1] += 1
            if role in ("positive", "negative") and image.value != "unseen":
                first = 0 if role == "positive" else 2
                counts[first] += image.value == "yes"
                counts[first + 1] += 1
