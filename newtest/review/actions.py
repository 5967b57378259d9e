"""What a reviewer does, as rows; and what would undo it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from newtest.catalog import duplicates, review, revisions, transaction
from newtest.errors import UsageError
from newtest.study import Study, now

__all__ = [
    "MAX_REASON",
    "REASONS",
    "block",
    "finish_class",
    "judge_pairs",
    "restore_blocks",
    "restore_verdicts",
]

REASONS = ("wrong class", "not a photograph", "near-duplicate", "offensive", "private", "poor quality")
MAX_REASON = 200
MAX_IMAGES = 500
Before = list[dict[str, object]]


def block(
    study: Study, wnid: str, image_ids: Sequence[str], *, blocked: bool, reason: str, reviewer: str
) -> Before:
    """Block images for a class, or let them in again; gives their state before, for ``restore_blocks``.

    Raises UsageError for images that are not candidates of the class and for a block without a reason.
    """
    if blocked and not reason.strip():
        raise UsageError("say why: a block needs a reason")
    if len(reason) > MAX_REASON or len(image_ids) > MAX_IMAGES:
        raise UsageError(f"at most {MAX_IMAGES} images at a time, and a reason of {MAX_REASON} characters")
    with transaction(study.catalog) as catalog:
        images = review.class_images(catalog, wnid)
        known = set(images.loc[~images["reference"], "image_id"])
        if unknown := [image_id for image_id in image_ids if image_id not in known]:
            raise UsageError(f"{unknown[0]} is not a candidate of {wnid}")
        before: Before = []
        for image_id in dict.fromkeys(image_ids):
            was = review.block_of(catalog, image_id, wnid)
            review.add_blocks(
                catalog, [review.Block(image_id, wnid, blocked, reason.strip(), reviewer, now())]
            )
            row = review.block_of(catalog, image_id, wnid).row
            before.append(
                {"image_id": image_id, "row": row, "blocked": bool(was.value), "reason": was.reason}
            )
    return before


def restore_blocks(study: Study, wnid: str, before: Before, *, reviewer: str) -> Before:
    """Append rows that say again what held before, and give those states.

    Not for an image that somebody has blocked or let in since: the later word stands.
    """
    with transaction(study.catalog) as catalog:
        open_ = [b for b in before if review.block_of(catalog, str(b["image_id"]), wnid).row == b["row"]]
        rows = [
            review.Block(
                str(b["image_id"]), wnid, bool(b["blocked"]), str(b["reason"]) or "undone", reviewer, now()
            )
            for b in open_
        ]
        review.add_blocks(catalog, rows)
    return open_


def judge_pairs(study: Study, image_ids: Sequence[str], *, duplicate: bool, reviewer: str) -> Before:
    """Judge every pair among some images; gives each pair's verdict before, and whose it was.

    A pair that another has judged meanwhile gets a second row; the latest counts. Raises UsageError for unknown images.
    """
    pairs = sorted({(min(a, b), max(a, b)) for a, b in combinations(image_ids, 2) if a != b})
    if not pairs or len(image_ids) > 50:
        raise UsageError("choose two images, or a few (at most 50) that are all of one photo")
    with transaction(study.catalog) as catalog:
        if unknown := [i for i in image_ids if duplicates.sha256_of(catalog, i) is None]:
            raise UsageError(f"{unknown[0]} is not an image of this study")
        before: Before = []
        for a, b in pairs:
            was = review.verdict_of(catalog, a, b)
            duplicates.add_verdicts(catalog, [duplicates.Verdict(a, b, duplicate, reviewer, now())])
            row = review.verdict_of(catalog, a, b).row
            before.append(
                {"image_a": a, "image_b": b, "row": row, "duplicate": was.value, "reviewer": was.reviewer}
            )
    return before


def restore_verdicts(study: Study, before: Before, *, reviewer: str) -> Before:
    """Append rows that say again what held before, and give those states; a pair without a verdict has none again.

    Not for a pair that somebody has judged since: the later word stands.
    """
    with transaction(study.catalog) as catalog:
        open_ = [
            b for b in before
            if review.verdict_of(catalog, str(b["image_a"]), str(b["image_b"])).row == b["row"]
        ]  # fmt: skip
        for b in open_:
            was = None if b["duplicate"] is None else bool(b["duplicate"])
            verdict = duplicates.Verdict(str(b["image_a"]), str(b["image_b"]), was, reviewer, now())
            duplicates.add_verdicts(catalog, [verdict])
    return open_


def finish_class(study: Study, revision: str, wnid: str, *, reviewer: str) -> int:
    """Record that a revision's members of a class have been looked over; gives their number. Raises UsageError."""
    members = revisions.members_of(study.catalog, revision)
    image_ids = members.loc[members["wnid"] == wnid, "image_id"].tolist()
    if not image_ids:
        raise UsageError(f"{revision} has no members of class {wnid}")
    with transaction(study.catalog):
        review.add_class_review(study.catalog, wnid, image_ids, reviewer=reviewer, given_at=now())
    return len(image_ids)
