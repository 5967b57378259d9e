"""One line a stage: how much is done, missing, failed, spent."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["StageStatus", "stages"]


@dataclass(frozen=True)
class StageStatus:
    """``spent`` is money in US dollars, None where the stage costs none."""

    stage: str
    done: int
    missing: int
    failed: int
    spent: float | None = None
    remark: str = ""


def stages(catalog: sqlite3.Connection) -> list[StageStatus]:
    """The stages in the order of the work."""

    def count(sql: str) -> int:
        return int(catalog.execute(sql).fetchone()[0])

    searched = count("SELECT count(*) FROM searches WHERE state IN ('done', 'enough')")
    open_ = count("SELECT count(*) FROM searches WHERE state = 'open'")
    failed = count("SELECT count(*) FROM searches WHERE state = 'failed'")
    fetchable = count("SELECT count(*) FROM images WHERE source NOT LIKE 'reference:%'")
    fetched = count(
        "SELECT count(*) FROM files f JOIN images USING (image_id) WHERE state = 'ok' AND source NOT LIKE 'reference:%'"
    )
    broken = count("SELECT count(*) FROM files WHERE state <> 'ok'")
    pairs = count("SELECT count(*) FROM candidates")
    voted = count(
        "SELECT count(*) FROM candidates c"
        " WHERE EXISTS (SELECT 1 FROM votes v WHERE v.image_id = c.image_id AND v.wnid = c.wnid)"
        " OR EXISTS (SELECT 1 FROM vote_counts v WHERE v.image_id = c.image_id AND v.wnid = c.wnid)"
    )
    simulated = count("SELECT count(*) FROM vote_batches WHERE origin = 'simulated'")
    return [
        StageStatus("classes", count("SELECT count(*) FROM classes"), 0, 0),
        StageStatus("searches", searched, open_, failed),
        StageStatus("candidates", pairs, 0, 0, remark="pairs of image and class"),
        StageStatus("files", fetched, fetchable - fetched - broken, broken),
        StageStatus(
            "reference",
            count("SELECT count(*) FROM reference_members"),
            0,
            0,
            remark="images of the originals",
        ),
        StageStatus(
            "votes", voted, pairs - voted, 0, remark="SIMULATED votes are among them" if simulated else ""
        ),
        StageStatus("near-duplicates", count("SELECT count(DISTINCT image_id) FROM compared"), 0, 0),
        StageStatus("revisions", count("SELECT count(*) FROM revisions"), 0, 0),
        StageStatus("releases", count("SELECT count(*) FROM releases"), 0, 0),
    ]
