"""What a reviewer does, as rows; and what would undo it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from newtest.catalog import duplicates, review, transaction
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

    Raises UsageError for images that are no candidates of the class and for a block without a reason.
    """
    if blocked and not reason.strip():
        raise UsageError("say why: a block needs a reason")
    if len(reason) > MAX_REASON or len(image_ids) > MAX_IMAGES:
        raise UsageError(f"at most {MAX_IMAGES} images at a time, and a reason of {MAX_REASON} characters")
    with transaction(study.catalog):
        images = review.class_images(study.catalog, wnid)
        known = set(images.loc[~images["reference"], "image_id"])
        if unknown := [image_id for image_id in image_ids if image_id not in known]:
            raise UsageError(f"{unknown[0]} is not a candidate of {wnid}")
        before: Before = []
        for image_id in image_ids:
            was, why = review.block_of(study.catalog, image_id, wnid)
            before.append({"image_id": image_id, "blocked": was, "reason": why})
        rows = [review.Block(i, wnid, blocked, reason.strip(), reviewer, now()) for i in image_ids]
        review.add_blocks(study.catalog, rows)
    return before


def restore_blocks(study: Study, wnid: str, before: Before, *, reviewer: str) -> None:
    """Append rows that say again what held before."""
    rows = [
        review.Block(
            str(b["image_id"]), wnid, bool(b["blocked"]), str(b["reason"]) or "undone", reviewer, now()
        )
        for b in before
    ]
    with transaction(study.catalog):
        review.add_blocks(study.catalog, rows)


def judge_pairs(study: Study, image_ids: Sequence[str], *, duplicate: bool, reviewer: str) -> Before:
    """Judge every pair among some images; gives each pair's verdict before. Raises UsageError for unknown images."""
    pairs = sorted({(min(a, b), max(a, b)) for a, b in combinations(image_ids, 2) if a != b})
    if not pairs or len(image_ids) > 50:
        raise UsageError("choose two images, or a few (at most 50) that are all of one photo")
    with transaction(study.catalog):
        if unknown := [i for i in image_ids if duplicates.sha256_of(study.catalog, i) is None]:
            raise UsageError(f"{unknown[0]} is not an image of this study")
        before: Before = [
            {"image_a": a, "image_b": b, "duplicate": review.verdict_of(study.catalog, a, b)}
            for a, b in pairs
        ]
        rows = [duplicates.Verdict(a, b, duplicate, reviewer, now()) for a, b in pairs]
        duplicates.add_verdicts(study.catalog, rows)
    return before


def restore_verdicts(study: Study, before: Before, *, reviewer: str) -> None:
    """Append rows that say again what held before; a pair without a verdict then has none again."""
    rows = []
    for state in before:
        was = None if state["duplicate"] is None else bool(state["duplicate"])
        rows.append(duplicates.Verdict(str(state["image_a"]), str(state["image_b"]), was, reviewer, now()))
    with transaction(study.catalog):
        duplicates.add_verdicts(study.catalog, rows)


def finish_class(study: Study, wnid: str, image_ids: Sequence[str], *, reviewer: str) -> None:
    """Record that these members of a class have been looked over."""
    with transaction(study.catalog):
        review.add_class_review(study.catalog, wnid, image_ids, reviewer=reviewer, given_at=now())
