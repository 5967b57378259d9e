"""Verdicts: close is what a distance says, duplicate is what a person says, or a rule that the user set.

Identical bytes need no person. Any other automatic verdict needs a radius that the user names; there is no default.
Verdicts are only ever added; the latest one of a pair counts, and a rule never overrules a person.
"""

from __future__ import annotations

from collections.abc import Iterable

from newtest.catalog import duplicates as rows
from newtest.catalog import transaction
from newtest.duplicates.scan import BYTES, HASH
from newtest.errors import UsageError
from newtest.study import Study, now

__all__ = ["IDENTICAL", "judge", "judge_automatically"]

IDENTICAL = "automatic:identical-bytes"
STRICTEST_USEFUL = 16
"""An automatic radius above this (of 144 bits) would take mere likeness for identity."""


def judge(study: Study, pairs: Iterable[tuple[str, str]], *, duplicate: bool, reviewer: str) -> int:
    """Record a person's verdict on pairs of image ids, in either order; returns how many.

    Raises UsageError for a pair of an image with itself, an empty name, or a name that a rule would have.
    """
    if not reviewer.strip() or reviewer.startswith("automatic:"):
        raise UsageError(f"a reviewer's name is required, got {reviewer!r}")
    given_at, verdicts = now(), []
    for a, b in pairs:
        if a == b:
            raise UsageError(f"image {a} cannot be a duplicate of itself")
        verdicts.append(rows.Verdict(min(a, b), max(a, b), duplicate, reviewer, given_at))
    with transaction(study.catalog):
        rows.add_verdicts(study.catalog, verdicts)
    return len(verdicts)


def judge_automatically(study: Study, *, radius: int | None = None) -> dict[str, int]:
    """Call identical bytes duplicates and, where ``radius`` is given, pairs whose hash distance is at most that.

    Only pairs that nobody has judged get a verdict. Returns rule -> number of new verdicts. Raises UsageError for a
    radius that is not strict.
    """
    if radius is not None and not 0 <= radius <= STRICTEST_USEFUL:
        raise UsageError(
            f"an automatic radius must be 0 to {STRICTEST_USEFUL} bits, got {radius}: let people judge the rest"
        )
    rules = [(IDENTICAL, BYTES, 0.0)]
    if radius is not None:
        rules.append((f"automatic:{HASH}<={radius}", HASH, float(radius)))
    given_at, counts = now(), {}
    with study.exclusive("dedup"), transaction(study.catalog):
        for rule, metric, limit in rules:
            fresh = rows.unjudged(study.catalog, metric, limit)
            rows.add_verdicts(study.catalog, [rows.Verdict(a, b, True, rule, given_at) for a, b in fresh])
            counts[rule] = len(fresh)
    return counts
