from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import here

from newtest.catalog import transaction
from newtest.catalog.status import stages
from newtest.study import Study

SETUP = """
INSERT INTO classes VALUES ('n1', '["a"]', '', '[]', 'x');
INSERT INTO images (image_id, source, source_id) VALUES
    ('a', 'flickr', '1'), ('b', 'flickr', '2'), ('c', 'flickr', '3'), ('r', 'reference:val', 'r');
INSERT INTO candidates VALUES ('a', 'n1'), ('b', 'n1'), ('c', 'n1');
INSERT INTO files VALUES ('a', 'ok', 'aa', 1, 'PNG', 1, 1, NULL, NULL, 1, 't'),
    ('b', 'failed', NULL, NULL, NULL, NULL, NULL, 'http', 'x', 1, 't'),
    ('r', 'failed', NULL, NULL, NULL, NULL, NULL, 'http', 'x', 1, 't');
INSERT INTO references_ VALUES ('val', 'o', 'f', 't');
INSERT INTO reference_members VALUES ('val', 'r', 'n1');
INSERT INTO vote_batches VALUES ('s', 'simulated', 'd', 't');
INSERT INTO votes VALUES ('a', 'n1', 'w', 1, NULL, NULL, NULL, 's');
INSERT INTO hits VALUES ('h', 'n1', 10, '{}', 't'), ('later', 'n1', 10, '{}', 't');
INSERT INTO publications VALUES ('h', 'live', 'token', '{"reward": "0.10"}', 'm', 't', 't', NULL);
INSERT INTO assignments VALUES ('1', 'h', 'live', 'w1', 'submitted', 't', 't', 1, 't'),
    ('2', 'h', 'live', 'w2', 'approved', 't', 't', 1, 't'), ('3', 'h', 'live', 'w3', 'rejected', 't', 't', 1, 't');
INSERT INTO neighbours VALUES ('a', 'b', 'x', 1), ('a', 'b', 'y', 2), ('b', 'c', 'x', 1);
INSERT INTO verdicts VALUES (1, 'a', 'b', 1, 'me', 't');
"""


def test_each_stage_says_what_is_done_missing_failed_and_spent(tmp_path: Path) -> None:
    with Study(tmp_path, create=True) as study:
        with transaction(study.catalog):
            for statement in SETUP.split(";\n"):
                study.catalog.execute(statement)
        found = {row.stage: (row.done, row.missing, row.failed) for row in stages(study.catalog)}
    assert found["fetch"] == (1, 1, 1)  # the reference's failure is not the pool's
    assert found["annotate"] == (2, 8, 1)
    assert found["votes"] == (1, 2, 0)
    assert found["dedup"] == (0, 1, 0) and found["review"] == (1, 1, 0)
    ended = here("status", "--json", cwd=tmp_path)
    told = {row["stage"]: row for row in json.loads(ended.stdout)}
    assert {stage: row["done"] for stage, row in told.items()} == {s: d for s, (d, _, _) in found.items()}
    # Two assignments of ten cents that were not rejected; ten a HIT were asked for: MTurk takes 40 %.
    assert (told["annotate"]["reward"], told["annotate"]["fees"]) == (0.2, 0.08)
    assert "fees" not in told["fetch"]
    assert told["reference"]["remark"] == "images of the originals; 1 have no bytes"
    table = here("status", cwd=tmp_path).stdout
    assert "SIMULATED" in table and "1 planned HITs are not published" in table
    assert table.split("\n")[0].split() == ["stage", "done", "missing", "failed", "reward", "fees"]
    assert "$0.20" in table and "$0.08" in table


@pytest.mark.parametrize(
    ("market", "dollars"),
    [("live", (0.2, 0.08)), ("local", (0.2, 0.0)), ("sandbox", (0.0, 0.0)), ("http://x", (0.2, None))],
)
def test_what_people_cost_is_that_of_the_market(
    tmp_path: Path, market: str, dollars: tuple[float, float | None]
) -> None:
    with Study(tmp_path, create=True) as study, transaction(study.catalog):
        for statement in SETUP.split(";\n"):
            study.catalog.execute(statement.replace("'live'", f"'{market}'"))
    ended = here("status", "--json", cwd=tmp_path)
    (told,) = (row for row in json.loads(ended.stdout) if row["stage"] == "annotate")
    assert (told["reward"], told["fees"]) == dollars
