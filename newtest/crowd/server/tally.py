"""Workers' answers to controls, counted as they come in: for the owner's page, before anything is
collected."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from newtest.catalog import leases
from newtest.catalog.crowd import hit_images
from newtest.crowd.answers import from_xml, read_answer
from newtest.errors import SourceError
from newtest.votes.quality import ControlCounts

__all__ = ["ControlTally"]


class ControlTally:
    """Counts on controls a worker; each call reads only what it has not read before.

    What that is goes by ids, not by times: a clock that was put back would hide what comes in after it.
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._known: set[str] = set()

    def update(self, catalog: sqlite3.Connection) -> Mapping[str, ControlCounts]:
        """Worker -> counts of all answers that are in the catalog by now."""
        roles = lru_cache(maxsize=64)(lambda hit_id: [i.role for i in hit_images(catalog, hit_id)])
        fresh = set(leases.planned_answer_ids(catalog)) - self._known
        for assignment_id in sorted(fresh):
            hit_id, lease = leases.planned_answer(catalog, assignment_id)
            self._add(lease.worker, lease.answer or "", [role for role in roles(hit_id) if role != "example"])
        self._known |= fresh
        return {worker: ControlCounts(*counts) for worker, counts in self._counts.items()}

    def _add(self, worker: str, answer: str, roles: list[str]) -> None:
        try:
            images = read_answer(from_xml(answer), len(roles)).images
        except SourceError:
            return
        counts = self._counts[worker]
        for role, image in zip(roles, images, strict=True):
            if role in ("positive", "negative") and image.value != "unseen":
                first = 0 if role == "positive" else 2
                counts[first] += image.value == "yes"
                counts[first + 1] += 1
