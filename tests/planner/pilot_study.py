"""Pilots for the planner's tests: tables of counts, and a study that holds such votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from newtest.catalog import transaction
from newtest.planner import Pilot, pilot_of
from newtest.records import image_id_of
from newtest.study import Study, now

__all__ = ["CLOSED", "counts", "pilot", "study_with_votes"]

CLOSED = ((4.0, 1.5), (2.0, 2.0))
"""Beta distributions of true frequencies: originals, candidates."""


def counts(
    random: np.random.Generator, letter: str, classes: int, images: int, votes: int, beta: tuple[float, float]
) -> pd.DataFrame:
    """image_id, wnid, num_selected, num_shown, and the column ``true``."""
    true = random.beta(*beta, size=classes * images)
    return pd.DataFrame(
        {
            "image_id": [f"{letter}{at:05d}" for at in range(len(true))],
            "wnid": [f"n{at:08d}" for at in np.repeat(np.arange(classes), images)],
            "num_selected": random.binomial(votes, true),
            "num_shown": votes,
            "true": true,
        }
    )


def pilot(seed: int = 0, *, classes: int = 10, images: int = 40, votes: int = 10) -> Pilot:
    """A pilot of the closed form: ``images`` candidates and as many originals per class."""
    random = np.random.default_rng(seed)
    tables = [
        counts(random, letter, classes, images, votes, beta)
        for letter, beta in zip("oc", CLOSED, strict=True)
    ]
    originals, candidates = (table.drop(columns="true") for table in tables)
    return pilot_of(candidates, originals)


def study_with_votes(folder: Path, *, votes: int = 10) -> Study:
    """Four classes of 30 candidates and 24 originals; ``votes`` imported counts on each, none for 0."""
    random = np.random.default_rng(5)
    study = Study(folder, create=True)
    with study, transaction(study.catalog) as catalog:
        catalog.execute("INSERT INTO references_ VALUES ('val', 'made', 'x', ?)", (now(),))
        catalog.execute("INSERT INTO vote_batches VALUES ('b', 'imported', 'x', ?)", (now(),))
        for wnid in ("bee", "cat", "dog", "owl"):
            catalog.execute("INSERT INTO classes VALUES (?, '[]', '', '[]', 'test')", (wnid,))
            for kind, each in (("c", 30), ("o", 24)):
                for at in range(each):
                    image = image_id_of("folder", f"{wnid}{kind}{at}")
                    catalog.execute(
                        "INSERT INTO images (image_id, source, source_id) VALUES (?, 'folder', ?)",
                        (image, f"{wnid}{kind}{at}"),
                    )
                    if kind == "c":
                        catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image, wnid))
                        catalog.execute(
                            "INSERT INTO files (image_id, state, sha256, num_bytes, attempts, fetched_at)"
                            " VALUES (?, 'ok', ?, 1, 1, ?)",
                            (image, f"{at:02x}" * 32, now()),
                        )
                    else:
                        catalog.execute("INSERT INTO reference_members VALUES ('val', ?, ?)", (image, wnid))
                    if votes:
                        selected = int(random.binomial(votes, random.beta(*CLOSED[kind == "c"])))
                        catalog.execute(
                            "INSERT INTO vote_counts VALUES (?, ?, ?, ?, 'b')", (image, wnid, selected, votes)
                        )
    return study
