"""What waits for a reviewer: close pairs nobody has judged, and classes of a revision whose members changed."""

from __future__ import annotations

from dataclasses import dataclass

from newtest.catalog import review, revisions
from newtest.duplicates import unreviewed_pairs
from newtest.errors import NotFoundError
from newtest.study import Study

__all__ = ["Progress", "pair_queue", "revision_progress"]


@dataclass(frozen=True)
class Progress:
    """A class of a revision: how many members, and who looked over exactly these (None: nobody)."""

    wnid: str
    members: int
    reviewer: str | None


def revision_progress(study: Study, revision: str) -> list[Progress]:
    """One entry per class of the revision, by wnid.

    A class whose members were looked over in an earlier revision, and are the same, needs nobody again (Recht et al.
    2019). Raises UsageError for a revision that is not there.
    """
    if revisions.find(study.catalog, revision) is None:
        known = ", ".join(revisions.names(study.catalog)) or "none"
        raise NotFoundError(f"there is no revision {revision!r}; the study has {known}")
    members = revisions.members_of(study.catalog, revision)
    done = review.reviewed(study.catalog)
    return [
        Progress(str(wnid), len(rows), done.get((str(wnid), review.members_hash(rows["image_id"].tolist()))))
        for wnid, rows in members.groupby("wnid", sort=True)
    ]


def pair_queue(study: Study) -> list[tuple[str, str]]:
    """The close pairs that nobody has judged. Those with the smallest share of their metric's span come first: the
    surest are done soonest.
    """
    pairs = unreviewed_pairs(study)
    if pairs.empty:
        return []
    span = pairs.groupby("metric")["distance"].transform("max").clip(lower=1e-12)
    best = (
        pairs.assign(share=pairs["distance"] / span).groupby(["image_a", "image_b"], sort=True)["share"].min()
    )
    return [(str(a), str(b)) for a, b in best.sort_values(kind="stable").index]
