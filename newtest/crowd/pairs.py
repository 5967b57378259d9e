"""Near-duplicates judged by people: close pairs that nobody has judged become HITs, and votes become verdicts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from newtest.catalog.asked import HitPair, PairCount, known_pairs, pair_counts, pairs_in_need
from newtest.catalog.duplicates import Verdict, add_verdicts, latest_verdicts
from newtest.config import fingerprint
from newtest.crowd.hits import Hit, PlanConfig
from newtest.crowd.plans import HitPlan
from newtest.draws import generator

__all__ = ["CROWD", "judge_pairs", "make_pair_plan", "verdict_on"]

CROWD = "crowd:"
"""The reviewer of verdicts that a majority of votes gives."""

Judged = tuple[str, str, str]
"""(wnid, image_a, image_b)."""


def make_pair_plan(
    catalog: sqlite3.Connection,
    config: PlanConfig,
    *,
    votes: int | None = None,
    wnids: Sequence[str] | None = None,
    max_hits: int | None = None,
) -> HitPlan:
    """HITs for every close pair that nobody has judged and that has fewer than ``votes`` votes (given or underway).

    ``images`` of the plan are pairs here. A HIT holds pairs of any classes; known pairs (judged by a person) are its
    controls, ``positive`` that are one photo and ``negative`` that are not, where there are such.
    """
    need = [
        (one.wnid, one.image_a, one.image_b)
        for one in pairs_in_need(catalog, votes or config.assignments)
        if wnids is None or one.wnid in wnids
    ]
    generator(config.seed, "pairs").shuffle(need)
    known = known_pairs(catalog)
    steps = range(0, len(need), config.candidates)
    hits = [_hit(need[start : start + config.candidates], known, config) for start in steps]
    kept = hits if max_hits is None else hits[:max_hits]
    left = sum(pair.control is None for hit in hits[len(kept) :] for pair in hit.pairs)
    short = config.positive + config.negative > 0 and not known
    warnings = (
        ["no pair was judged by a person yet, so there are no controls: newtest review"] if short else []
    )
    return HitPlan(config, kept, left=left, warnings=warnings if kept else [])


def _hit(asked: Sequence[Judged], known: Sequence[HitPair], config: PlanConfig) -> Hit:
    pairs = [HitPair(a, b) for _, a, b in asked]
    key = fingerprint(config.seed, "pairs", sorted(asked), config.assignments)
    for control, count in (("same", config.positive), ("different", config.negative)):
        of = [pair for pair in known if pair.control == control]
        generator(config.seed, "pair controls", key, control).shuffle(of)
        pairs += of[:count]
    generator(config.seed, "order", key).shuffle(pairs)
    images = sorted({image for pair in pairs for image in (pair.image_a, pair.image_b)})
    wnid = min(asked)[0]
    return Hit(
        key[:32], wnid, tuple((image, "pair") for image in images), config.assignments, pairs=tuple(pairs)
    )


def verdict_on(count: PairCount) -> bool | None:
    """What a majority says of a pair; None while votes may come, and for a tie."""
    if not count.over or 2 * count.num_same == count.num_shown:
        return None
    return 2 * count.num_same > count.num_shown


def judge_pairs(catalog: sqlite3.Connection, *, at: str) -> int:
    """Make verdicts of votes on pairs, once all that were planned are in; gives how many are new.

    What a person or a rule has said stands. A majority's verdict is replaced when further votes (or rejected work)
    change it, and taken back by a tie. Call inside a transaction.
    """
    standing = {
        (str(row.image_a), str(row.image_b)): (bool(row.duplicate), str(row.reviewer))
        for row in latest_verdicts(catalog).itertuples()
    }
    new = []
    counts = pair_counts(catalog)
    for pair in sorted(standing.keys() - {(count.image_a, count.image_b) for count in counts}):
        if standing[pair][1].startswith(CROWD):  # every vote was rejected, or deleted with its person
            new.append(Verdict(*pair, None, f"{CROWD}0 of 0", at))
    for count in counts:
        said, by = standing.get((count.image_a, count.image_b), (None, CROWD))
        verdict = verdict_on(count)
        if by.startswith(CROWD) and verdict is not said and (count.over or said is not None):
            by = f"{CROWD}{count.num_same} of {count.num_shown}"
            new.append(Verdict(count.image_a, count.image_b, verdict, by, at))
    add_verdicts(catalog, new)
    return len(new)
