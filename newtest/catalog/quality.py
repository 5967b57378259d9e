"""What is needed to judge workers, and the list of those who are left out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.catalog.classes import lemmas_of
from newtest.catalog.frames import read_frame

__all__ = [
    "CONTROLS",
    "VoteCodes",
    "assignment_rows",
    "class_names",
    "exclude",
    "excluded",
    "include",
    "pairs",
    "vote_codes",
    "vote_table",
    "votes_never_in_view",
]


CONTROLS = {None: 0, "positive": 1, "negative": 2}
CHUNK = 100_000


@dataclass(frozen=True)
class VoteCodes:
    """Single votes as numbers, one entry per vote, by (image_id, wnid, worker): what millions of them need little
    memory for. ``workers`` are sorted; ``question`` numbers the pairs of image and class; ``control`` is a value of
    CONTROLS.
    """

    workers: Sequence[str]
    worker: npt.NDArray[np.int32]
    question: npt.NDArray[np.int32]
    selected: npt.NDArray[np.int8]
    control: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.worker)


def vote_codes(catalog: sqlite3.Connection) -> VoteCodes:
    """Single votes by people. Simulated ones only where nothing else is there."""
    people = catalog.execute(
        "SELECT 1 FROM votes JOIN vote_batches USING (batch_id) WHERE origin <> 'simulated' LIMIT 1"
    ).fetchone()
    real = "WHERE batch_id NOT IN (SELECT batch_id FROM vote_batches WHERE origin = 'simulated')"
    cursor = catalog.cursor()
    cursor.row_factory = None
    cursor.execute(
        f"SELECT image_id, wnid, worker, selected, control FROM votes {real if people else ''}"
        " ORDER BY image_id, wnid, worker"
    )
    numbers: dict[str, int] = {}
    parts: list[npt.NDArray[np.int32]] = []
    last, question = ("", ""), -1
    while rows := cursor.fetchmany(CHUNK):
        part = np.empty((4, len(rows)), dtype=np.int32)
        for place, (image_id, wnid, worker, selected, control) in enumerate(rows):
            if (image_id, wnid) != last:
                last, question = (image_id, wnid), question + 1
            part[:, place] = (numbers.setdefault(worker, len(numbers)), question, selected, CONTROLS[control])
        parts.append(part)
    whole = np.concatenate(parts, axis=1) if parts else np.empty((4, 0), dtype=np.int32)
    names = np.array(list(numbers), dtype=object)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    return VoteCodes(
        names[order].tolist(),
        rank[whole[0]],
        whole[1],
        whole[2].astype(np.int8),
        whole[3].astype(np.int8),
    )


def assignment_rows(catalog: sqlite3.Connection) -> pd.DataFrame:
    """Collected assignments: worker, seconds (float, may be NaN), images seen, selected."""
    rows = catalog.execute(
        "SELECT a.worker, (julianday(a.submitted_at) - julianday(a.accepted_at)) * 86400.0 AS seconds,"
        " sum(w.value <> 'unseen') AS images, sum(w.value = 'yes') AS selected"
        " FROM assignments a JOIN answers w USING (assignment_id)"
        " WHERE a.market <> 'sandbox' GROUP BY a.assignment_id ORDER BY a.assignment_id"
    ).fetchall()
    frame = pd.DataFrame([tuple(row) for row in rows], columns=["worker", "seconds", "images", "selected"])
    return frame.astype({"seconds": float, "images": int, "selected": int})


def votes_never_in_view(catalog: sqlite3.Connection) -> int:
    """How many votes are about images that the worker's browser never had in view (0 milliseconds). Since such images
    give no vote ("not seen") these are older ones."""
    row = catalog.execute(
        "SELECT count(*) FROM votes v JOIN assignments a ON a.worker = v.worker AND a.hit_id = v.hit_id"
        " JOIN answers w ON w.assignment_id = a.assignment_id AND w.image_id = v.image_id"
        " WHERE w.milliseconds = 0 AND a.market <> 'sandbox'"
    ).fetchone()
    return int(row[0])


def exclude(catalog: sqlite3.Connection, workers: Iterable[tuple[str, str]], *, at: str) -> int:
    """Leave workers (key, reason) out of filtered counts; their votes stay. Gives how many are new."""
    return sum(
        catalog.execute(
            "INSERT OR IGNORE INTO excluded_workers VALUES (?, ?, ?)", (worker, reason, at)
        ).rowcount
        for worker, reason in workers
    )


def include(catalog: sqlite3.Connection, worker: str) -> bool:
    """Take a worker back in; False when they were not excluded."""
    return catalog.execute("DELETE FROM excluded_workers WHERE worker = ?", (worker,)).rowcount == 1


def excluded(catalog: sqlite3.Connection) -> dict[str, str]:
    """Worker -> the reason why they are left out."""
    rows = catalog.execute("SELECT worker, reason FROM excluded_workers ORDER BY worker")
    return {row[0]: row[1] for row in rows}


def vote_table(catalog: sqlite3.Connection) -> pd.DataFrame:
    """Every single vote: image_id, wnid, worker_id (the keyed hash), selected, hit_id, submitted_at, control, origin,
    excluded (the reason why the worker is left out, or missing), consent (the version of the text that the worker
    agreed to last, or missing)."""
    columns = (
        "image_id", "wnid", "worker_id", "hit_id", "submitted_at", "control", "origin", "excluded", "consent"
    )  # fmt: skip
    return read_frame(
        catalog,
        "SELECT v.image_id, v.wnid, v.worker, v.hit_id, v.submitted_at, v.control, b.origin, x.reason,"
        " (SELECT version FROM consents_given g WHERE g.worker = v.worker ORDER BY given_at DESC, version LIMIT 1),"
        " v.selected"
        " FROM votes v JOIN vote_batches b USING (batch_id) LEFT JOIN excluded_workers x USING (worker)"
        " ORDER BY v.image_id, v.wnid, v.worker",
        {**dict.fromkeys(columns, "text"), "selected": "integer"},
    )


def pairs(catalog: sqlite3.Connection) -> pd.DataFrame:
    """The pairs of image and class that can be voted on: image_id, wnid."""
    return read_frame(
        catalog,
        "SELECT image_id, wnid FROM candidates UNION SELECT image_id, wnid FROM reference_members"
        " UNION SELECT image_id, wnid FROM second_labels",
        {"image_id": "text", "wnid": "text"},
    )


def class_names(catalog: sqlite3.Connection) -> dict[str, str]:
    """wnid -> the class's first name."""
    return {row[0]: lemmas_of(*row)[0] for row in catalog.execute("SELECT wnid, lemmas FROM classes")}
