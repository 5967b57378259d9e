"""Votes from MTurk's files and from Label Studio; the same votes whichever way they came."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from crowd_study import GOLDFISH, crowd
from test_crowd_server import begin, send

from newtest.catalog.quality import class_names, pairs, vote_table
from newtest.crowd.annotators import collect
from newtest.crowd.answers import to_xml
from newtest.crowd.importers import export_votes, read_external, read_hits
from newtest.crowd.local import LocalAnnotator
from newtest.errors import VotesError
from newtest.study import Study
from newtest.votes import import_votes


def images_of(study: Study, count: int = 4) -> list[str]:
    rows = study.catalog.execute(
        "SELECT image_id FROM candidates WHERE wnid = ? ORDER BY image_id", (GOLDFISH,)
    )
    return [row[0] for row in rows][:count]


def hits_file(path: Path, images: list[str]) -> Path:
    record = {"hit_id": "3HIT", "wnid": GOLDFISH, "images_all": images, "images_pos_control": images[:1]}
    path.write_text(json.dumps([record]))
    return path


def assignment(worker: str, selected: str, status: str = "Approved") -> dict[str, Any]:
    return {
        "AssignmentId": f"A{worker}", "HITId": "3HIT", "WorkerId": worker, "AssignmentStatus": status,
        "SubmitTime": "2018-10-24T20:11:37Z", "Answer": to_xml([("selected", selected), ("unseen", "4")]),
    }  # fmt: skip


def test_the_same_votes_come_from_csv_and_json(study: Study, tmp_path: Path) -> None:
    images = images_of(study)
    hits = hits_file(tmp_path / "hits.json", images)
    listed = tmp_path / "answers.json"
    listed.write_text(json.dumps([
        {"NumResults": 1, "Assignments": [assignment("W1", "1|3"), assignment("W3", "1", "Rejected")]},
        {"Assignment": assignment("W2", "2"), "HIT": {"HITId": "3HIT"}},
    ]))  # fmt: skip
    from_json = read_external(study, listed, "mturk-json", hits)
    batch = tmp_path / "batch.csv"
    with open(batch, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(
            ["HITId", "WorkerId", "AssignmentStatus", "SubmitTime", "Answer.selected", "Answer.unseen"]
        )
        writer.writerow(["3HIT", "W1", "Approved", "2018-10-24T20:11:37Z", "1|3", "4"])
        writer.writerow(["3HIT", "W3", "Rejected", "2018-10-24T20:11:37Z", "1", "4"])
        writer.writerow(["3HIT", "W2", "Submitted", "2018-10-24T20:11:37Z", images[1], images[3]])
    from_csv = read_external(study, batch, "mturk-csv", hits)
    pd.testing.assert_frame_equal(from_json, from_csv)
    assert from_json["selected"].to_list() == [1, 0, 1, 0, 1, 0]
    assert set(from_json["control"].dropna()) == {"positive"}
    assert import_votes(study, from_json).added == 6
    assert import_votes(study, from_csv).added == 0
    stored = study.catalog.execute("SELECT DISTINCT worker FROM votes").fetchall()
    assert all(len(row[0]) == 32 for row in stored)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        (["Input.wnid", "Input.images"], lambda i: [GOLDFISH, " ".join(i)]),
        (["Input.wnid", "Input.image_1", "Input.image_2"], lambda i: [GOLDFISH, *i[:2]]),
    ],
)
def test_a_batch_that_names_its_images_needs_no_table_of_hits(
    study: Study,
    tmp_path: Path,
    header: list[str],
    cells: Any,
) -> None:
    batch = tmp_path / "batch.csv"
    with open(batch, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["HITId", "WorkerId", "AssignmentStatus", "Answer.selected", *header])
        writer.writerow(["3X", "W1", "Approved", "1", *cells(images_of(study, 2))])
    assert read_external(study, batch, "mturk-csv")["selected"].to_list() == [1, 0]


def test_what_cannot_be_read_is_said(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("", "[", "[1]", '{"Assignments": [{"HITId": "3HIT"}]}', json.dumps(assignment("W", "1"))):
        path.write_text(text)
        with pytest.raises(VotesError):
            read_external(study, path, "mturk-json")
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    path.write_text(
        json.dumps({**assignment("W", "1"), "Answer": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'})
    )
    with pytest.raises(VotesError, match="document type"):
        read_external(study, path, "mturk-json", hits)
    hits.write_text('[{"hit_id": "x"}]')
    with pytest.raises(VotesError, match="images_all"):
        read_external(study, path, "mturk-json", hits)


def test_a_hit_that_nobody_did_is_no_reason_to_read_nothing(study: Study, tmp_path: Path) -> None:
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"NumResults": 0, "Assignments": []}, assignment("W", "1")]))
    assert len(read_external(study, path, "mturk-json", hits)) == 3
    for odd in ({"Assignments": 7}, {"HIT": 7}, {**assignment("W", "1"), "Answer": None}):
        path.write_text(json.dumps(odd))
        with pytest.raises(VotesError):
            read_external(study, path, "mturk-json", hits)


def test_a_table_that_is_no_batch_is_said_to_be_none(study: Study, tmp_path: Path) -> None:
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    batch = tmp_path / "batch.csv"
    batch.write_text("HITId,AssignmentStatus,Answer.selected\n3HIT,Approved,1\n")
    with pytest.raises(VotesError, match="column WorkerId is missing"):
        read_external(study, batch, "mturk-csv", hits)
    batch.write_text("HITId,WorkerId,AssignmentStatus,Answer.selected\n3HIT,W,Approved,1,stray,cells\n")
    assert read_external(study, batch, "mturk-csv", hits)["selected"].to_list() == [1, 0, 0, 0]


def test_the_archives_of_2018_are_tables_of_hits(data: Path) -> None:
    hits = [read_hits(path) for path in sorted((data / "imagenetv2/hits").glob("*submitted*.json"))]
    assert [len(table) for table in hits] == [4, 73, 101]
    shown = next(iter(hits[0].values()))
    assert len(shown.images) == 48
    assert shown.controls.count("positive") == shown.controls.count("negative") == 3


def test_label_studio_gets_tasks_and_gives_votes(study: Study, tmp_path: Path) -> None:
    tasks = export_votes(pairs(study.catalog), class_names(study.catalog), "http://x/")
    assert len(tasks) == 56
    assert tasks[0]["data"]["class_name"] in ("goldfish", "tench")
    result = [{"type": "choices", "from_name": "shows", "to_name": "image", "value": {"choices": ["Yes"]}}]
    for n, task in enumerate(tasks[:3]):
        task["annotations"] = [
            {"completed_by": {"email": "a@x.org"}, "result": result, "was_cancelled": n == 2},
            {"completed_by": 7, "result": [{"value": {"choices": ["no"]}}]},
            {"completed_by": 8, "result": []},
        ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    votes = read_external(study, path, "label-studio")
    assert votes["selected"].to_list() == [1, 0, 1, 0, 0]
    assert import_votes(study, votes).added == 5
    path.write_text('[{"data": {}}]')
    with pytest.raises(VotesError, match="task without"):
        read_external(study, path, "label-studio")


def test_exported_votes_can_be_imported_elsewhere(study: Study, tmp_path: Path) -> None:
    with crowd(study) as server:
        send(str(begin(server, server.invite("ann"))), 1)
        collect(study, LocalAnnotator(server.clock))
    table = vote_table(study.catalog)
    assert len(table) == 12
    assert set(table["origin"]) == {"local"}
    file = tmp_path / "votes.csv"
    table.to_csv(file, index=False)
    before = study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0]
    study.catalog.execute("DELETE FROM votes")
    assert import_votes(study, file).added == before
