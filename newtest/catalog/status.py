"""One line per stage: how much is done, missing, failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["StageStatus", "stages"]

_POOL = "source NOT LIKE 'reference:%'"
_VOTED = (
    "EXISTS (SELECT 1 FROM votes v WHERE v.image_id = c.image_id AND v.wnid = c.wnid)"
    " OR EXISTS (SELECT 1 FROM vote_counts v WHERE v.image_id = c.image_id AND v.wnid = c.wnid)"
)


@dataclass(frozen=True)
class StageStatus:
    """How much of a stage's work is done, is still to do, and has failed; ``remark`` says what is counted."""

    stage: str
    done: int
    missing: int
    failed: int
    remark: str = ""


def stages(catalog: sqlite3.Connection) -> list[StageStatus]:
    """The stages in the order of the work."""

    def count(sql: str) -> int:
        return int(catalog.execute(f"SELECT count(*) FROM {sql}").fetchone()[0])

    return [
        StageStatus("classes", count("classes"), 0, 0),
        *_collected(count),
        StageStatus("reference", count("reference_members"), 0, 0, remark=_originals(count)),
        _annotated(catalog, count),
        _voted(count),
        *_judged(count),
        StageStatus("sample", count("revisions"), 0, 0, remark="revisions"),
        StageStatus("release", count("releases"), 0, 0),
    ]


Count = Callable[[str], int]


def _originals(count: Count) -> str:
    """They may be known by their ids alone; people can be shown only those whose bytes are here."""
    lacking = count(
        "reference_members m WHERE NOT EXISTS"
        " (SELECT 1 FROM files f WHERE f.image_id = m.image_id AND f.state = 'ok')"
    )
    return "images of the originals" + (f"; {lacking} have no bytes" if lacking else "")


def _collected(count: Count) -> list[StageStatus]:
    fetchable = count(f"images WHERE {_POOL}")
    fetched, broken = (
        count(f"files JOIN images USING (image_id) WHERE state {state} AND {_POOL}")
        for state in ("= 'ok'", "<> 'ok'")
    )
    return [
        StageStatus(
            "collect",
            count("searches WHERE state IN ('done', 'enough')"),
            count("searches WHERE state = 'open'"),
            count("searches WHERE state = 'failed'"),
            remark=f"searches; {count('candidates')} candidates (pairs of image and class)",
        ),
        StageStatus(
            "fetch",
            fetched,
            fetchable - fetched - broken,
            broken,
            remark="images" + ("; newtest fetch gets the missing" if fetched < fetchable else ""),
        ),
    ]


def _annotated(catalog: sqlite3.Connection, count: Count) -> StageStatus:
    """Assignments of published HITs; what they cost is in ``newtest.catalog.releases.rewards``."""
    row = catalog.execute(
        "SELECT sum(h.assignments), sum((SELECT count(*) FROM assignments a"
        " WHERE a.hit_id = p.hit_id AND a.market = p.market AND a.status <> 'rejected'))"
        " FROM publications p JOIN hits h USING (hit_id) WHERE p.published_at IS NOT NULL"
    ).fetchone()
    asked, answered = int(row[0] or 0), int(row[1] or 0)
    rejected = count("assignments WHERE status = 'rejected'")
    planned = count("hits WHERE hit_id NOT IN (SELECT hit_id FROM publications)")
    remark = "assignments" + (f"; {planned} planned HITs are not published" if planned else "")
    return StageStatus("annotate", answered, max(asked - answered, 0), rejected, remark)


def _voted(count: Count) -> StageStatus:
    voted = count(f"candidates c WHERE {_VOTED}")
    simulated = count("vote_batches WHERE origin = 'simulated'")
    remark = "candidates; SIMULATED votes are among them" if simulated else "candidates"
    return StageStatus("votes", voted, count("candidates") - voted, 0, remark=remark)


def _judged(count: Count) -> list[StageStatus]:
    """Images compared with others, and close pairs that somebody judged."""
    compared = count("(SELECT DISTINCT image_id FROM compared)")
    waiting = count(
        "files JOIN images USING (image_id) WHERE state = 'ok'"
        " AND NOT EXISTS (SELECT 1 FROM compared c WHERE c.image_id = files.image_id)"
    )
    pairs = count("(SELECT DISTINCT image_a, image_b FROM neighbours)")
    open_pairs = count(
        "(SELECT DISTINCT image_a, image_b FROM neighbours n WHERE NOT EXISTS"
        " (SELECT 1 FROM verdicts v WHERE v.image_a = n.image_a AND v.image_b = n.image_b))"
    )
    return [
        StageStatus("dedup", compared, waiting, 0, remark="images compared"),
        StageStatus("review", pairs - open_pairs, open_pairs, 0, remark="close pairs judged"),
    ]
