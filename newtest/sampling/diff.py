"""What changed between two revisions: the images that left and came, why, and the classes to review again."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from newtest.catalog import revisions
from newtest.errors import NotFoundError
from newtest.study import Study

__all__ = ["Difference", "diff_revisions"]


@dataclass(frozen=True)
class Difference:
    """``changes``: wnid, image_id, change ("removed" or "added"), reason; sorted by (wnid, change, image_id).

    ``reason`` says why a removed image is not in the second revision: the reason of its exclusion there, "not
    drawn" when it was eligible, "not a candidate" when its class or the image was not in that pool.
    ``changed_classes`` are those whose members differ: the only ones a reviewer sees again (Recht et al.
    2019).
    """

    changes: pd.DataFrame
    kept: int

    @property
    def changed_classes(self) -> list[str]:
        return sorted(set(self.changes["wnid"]))


def diff_revisions(study: Study, first: str, second: str) -> Difference:
    """Compare two revisions of a study. Raises UsageError for a revision that is not there."""
    before, after = _members(study, first), _members(study, second)
    why = revisions.exclusions_of(study.catalog, second)
    reasons = dict(zip(zip(why["wnid"], why["image_id"], strict=True), why["reason"], strict=True))
    pool = revisions.candidate_pairs(study.catalog)
    candidates = set(zip(pool["wnid"], pool["image_id"], strict=True))

    def reason(pair: tuple[str, str]) -> str:
        return str(reasons.get(pair, "not drawn" if pair in candidates else "not a candidate"))

    rows = [(*pair, "removed", reason(pair)) for pair in before - after]
    rows += [(*pair, "added", "") for pair in after - before]
    ordered = sorted(rows, key=lambda row: (row[0], row[2] != "removed", row[1]))
    return Difference(
        pd.DataFrame(ordered, columns=["wnid", "image_id", "change", "reason"]), len(before & after)
    )


def _members(study: Study, name: str) -> set[tuple[str, str]]:
    if revisions.find(study.catalog, name) is None:
        known = ", ".join(revisions.names(study.catalog)) or "none"
        raise NotFoundError(f"there is no revision {name!r}; the study has {known}")
    members = revisions.members_of(study.catalog, name)
    return set(zip(members["wnid"], members["image_id"], strict=True))
