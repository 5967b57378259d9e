from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from newtest.catalog import transaction
from newtest.study import Study
from newtest.votes.workers import agreement_of, exclude_flagged, side_by_side, worker_table

WNID = "n01443537"


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Study]:
    """Four good workers and one who ticks at random, on 40 images and 20 controls."""
    draws = np.random.default_rng(3)
    with Study(tmp_path / "study", create=True) as study, transaction(study.catalog):
        catalog = study.catalog
        catalog.execute("INSERT INTO classes VALUES (?, '[\"goldfish\"]', '', '[]', 'x')", (WNID,))
        catalog.execute("INSERT INTO vote_batches VALUES ('b', 'imported', 'x', 'now')")
        for n in range(60):
            catalog.execute(
                "INSERT INTO images (image_id, source, source_id) VALUES (?, 'x', ?)", (f"i{n:02}", f"{n}")
            )
            catalog.execute("INSERT INTO candidates VALUES (?, ?)", (f"i{n:02}", WNID))
            control = "positive" if n < 10 else "negative" if n < 20 else None
            truth = n % 2 if control is None else int(n < 10)
            for worker in ("ann", "bea", "cyd", "dan", "rnd"):
                right = draws.random() < (0.5 if worker == "rnd" else 0.95)
                row = (f"i{n:02}", WNID, worker, truth if right else 1 - truth, control)
                catalog.execute("INSERT INTO votes VALUES (?, ?, ?, ?, NULL, NULL, ?, 'b')", row)
    with Study(tmp_path / "study") as study:
        yield study


def test_the_table_flags_who_ticks_at_random_and_nobody_else(judged: Study) -> None:
    table = worker_table(judged)
    assert table["worker"].iloc[0] == "rnd"
    assert table["flagged"].to_list() == [True, False, False, False, False]
    assert set(table["controls"]) == {20}
    good = table.set_index("worker").loc[["ann", "bea", "cyd", "dan"]]
    assert good["ds_sensitivity"].min() > 0.8
    assert good["ds_specificity"].min() > 0.8
    assert agreement_of(judged) > 0.3


def test_excluded_votes_stay_and_counts_stand_side_by_side(judged: Study) -> None:
    assert "kept_shown" not in side_by_side(judged).columns
    assert exclude_flagged(judged, worker_table(judged)) == 1
    assert exclude_flagged(judged, worker_table(judged)) == 0
    assert "controls: selected" in worker_table(judged)["excluded"].iloc[0]
    table = side_by_side(judged)
    assert set(table["num_shown"]) == {5}
    assert set(table["kept_shown"]) == {4}
    assert (table["kept_selected"] <= table["num_selected"]).all()
    assert judged.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 300


def test_a_study_without_votes_has_an_empty_table(tmp_path: Path) -> None:
    with Study(tmp_path / "study", create=True) as study:
        assert worker_table(study).empty
