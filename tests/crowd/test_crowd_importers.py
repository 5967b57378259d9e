"""Votes from MTurk's files and from Label Studio; the same votes whichever way they came."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import PIL.Image
import pytest
from crowd_study import GOLDFISH, crowd
from test_crowd_server import begin, send

from newtest.catalog.quality import vote_table
from newtest.crowd.annotators import collect
from newtest.crowd.answers import to_xml
from newtest.crowd.external import iso_date
from newtest.crowd.importers import External, read_external
from newtest.crowd.label_studio import Question
from newtest.crowd.label_studio_tasks import label_studio_tasks
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.mturk_files import read_hits
from newtest.errors import VotesError
from newtest.study import Study
from newtest.votes import import_votes

REJECTED = "the assignment is Rejected, not Submitted or Approved"


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
    from_json = read_external(study, listed, "mturk-json", External(hits))
    batch = tmp_path / "batch.csv"
    with open(batch, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(
            ["HITId", "WorkerId", "AssignmentStatus", "SubmitTime", "Answer.selected", "Answer.unseen"]
        )
        writer.writerow(["3HIT", "W1", "Approved", "2018-10-24T20:11:37Z", "1|3", "4"])
        writer.writerow(["3HIT", "W3", "Rejected", "2018-10-24T20:11:37Z", "1", "4"])
        writer.writerow(["3HIT", "W2", "Submitted", "2018-10-24T20:11:37Z", images[1], images[3]])
    from_csv = read_external(study, batch, "mturk-csv", External(hits))
    pd.testing.assert_frame_equal(from_json.frame, from_csv.frame)
    assert from_json.frame["selected"].to_list() == [1, 0, 1, 0, 1, 0]
    assert set(from_json.frame["control"].dropna()) == {"positive"}
    assert from_json.left_out == from_csv.left_out == {REJECTED: 1, "the worker had not seen the image": 2}
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
    assert read_external(study, batch, "mturk-csv").frame["selected"].to_list() == [1, 0]


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
        read_external(study, path, "mturk-json", External(hits))
    hits.write_text('[{"hit_id": "x"}]')
    with pytest.raises(VotesError, match="images_all"):
        read_external(study, path, "mturk-json", External(hits))


def test_a_hit_that_nobody_did_is_no_reason_to_read_nothing(study: Study, tmp_path: Path) -> None:
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"NumResults": 0, "Assignments": []}, assignment("W", "1")]))
    assert len(read_external(study, path, "mturk-json", External(hits)).frame) == 3
    for odd in ({"Assignments": 7}, {"HIT": 7}, {**assignment("W", "1"), "Answer": None}):
        path.write_text(json.dumps(odd))
        with pytest.raises(VotesError):
            read_external(study, path, "mturk-json", External(hits))


def test_a_table_that_is_no_batch_is_said_to_be_none(study: Study, tmp_path: Path) -> None:
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    batch = tmp_path / "batch.csv"
    batch.write_text("HITId,AssignmentStatus,Answer.selected\n3HIT,Approved,1\n")
    with pytest.raises(VotesError, match="column WorkerId is missing"):
        read_external(study, batch, "mturk-csv", External(hits))
    batch.write_text("HITId,WorkerId,AssignmentStatus,Answer.selected\n3HIT,W,Approved,1,stray,cells\n")
    assert read_external(study, batch, "mturk-csv", External(hits)).frame["selected"].to_list() == [
        1,
        0,
        0,
        0,
    ]


def test_the_archives_of_2018_are_tables_of_hits(data: Path) -> None:
    hits = [read_hits(path) for path in sorted((data / "imagenetv2/hits").glob("*submitted*.json"))]
    assert [len(table) for table in hits] == [4, 73, 101]
    shown = next(iter(hits[0].values()))
    assert len(shown.images) == 48
    assert shown.controls.count("positive") == shown.controls.count("negative") == 3


def label_tasks(study: Study) -> list[dict[str, Any]]:
    return json.loads(json.dumps(label_studio_tasks(study).tasks))


def test_label_studio_gets_tasks_that_show_their_pictures_and_gives_votes(
    study: Study, tmp_path: Path
) -> None:
    study.catalog.execute(
        "UPDATE files SET state = 'failed', sha256 = NULL WHERE image_id = ?", images_of(study)[:1]
    )
    made = label_studio_tasks(study, "http://x/")
    assert list(made.left_out) == images_of(study)[:1]
    tasks = label_tasks(study)
    assert len(tasks) == 55
    assert tasks[0]["data"]["class_name"] in ("goldfish", "tench")
    for task in made.tasks:
        with PIL.Image.open(study.root / task["data"]["image"].removeprefix("http://x/")) as picture:
            assert picture.format == "JPEG"
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
    assert votes.frame["selected"].to_list() == [1, 0, 1, 0, 0]
    assert votes.left_out == {
        "a task that nobody annotated": 52, "no answer to 'shows'": 3, "the task was skipped": 1
    }  # fmt: skip
    assert import_votes(study, votes).added == 5
    path.write_text('[{"data": {}}]')
    with pytest.raises(VotesError, match="task without"):
        read_external(study, path, "label-studio")


def chosen(control: str, *choices: str) -> dict[str, Any]:
    return {"from_name": control, "to_name": "image", "type": "choices", "value": {"choices": list(choices)}}


def exported(study: Study, path: Path, *annotations: dict[str, Any]) -> Path:
    """One task, annotated by several."""
    task = label_tasks(study)[0]
    task["annotations"] = [{"completed_by": n, **one} for n, one in enumerate(annotations, 1)]
    path.write_text(json.dumps([task]))
    return path


def test_the_control_decides_or_is_asked_for(study: Study, tmp_path: Path) -> None:
    both = {"result": [chosen("blurred", "no"), chosen("shows", "yes")]}
    path = exported(study, tmp_path / "x.json", both)
    assert read_external(study, path, "label-studio").frame["selected"].to_list() == [1]
    path = exported(study, path, {"result": [chosen("blurred", "no"), chosen("fish", "yes")]})
    with pytest.raises(VotesError, match=r"'blurred', 'fish' all have answers of yes or no.*`control`"):
        read_external(study, path, "label-studio")
    for control, selected in (("blurred", 0), ("fish", 1)):
        asked = External(question=Question(control))
        assert read_external(study, path, "label-studio", asked).frame["selected"].to_list() == [selected]
    with pytest.raises(
        VotesError, match=r"no annotation answers a control 'bird'; answered are 'blurred', 'fish'"
    ):
        read_external(study, path, "label-studio", External(question=Question("bird")))


def test_other_choices_copies_and_changes_are_read_or_counted(study: Study, tmp_path: Path) -> None:
    path = exported(
        study,
        tmp_path / "x.json",
        {"result": [chosen("shows", "unsure")]},
        {"result": [chosen("shows", "yes", "no")]},
        {"completed_by": 9, "result": [chosen("shows", "no")], "created_at": "2026-01-02T00:00:00Z"},
        {"completed_by": 9.0, "result": [chosen("shows", "yes")], "created_at": "2026-01-03T00:00:00Z"},
        {"completed_by": {"id": 10}, "result": [chosen("shows", "yes")], "parent_annotation": 3},
        {"completed_by": None, "result": [chosen("shows", "yes")]},
    )
    votes = read_external(study, path, "label-studio")
    assert votes.frame[["worker_id", "selected"]].values.tolist() == [
        ["label-studio:9", 1], ["label-studio:10", 1]
    ]  # fmt: skip
    assert votes.left_out == {
        "a second answer of the same person on the same image": 1,
        "an annotation without the person who made it": 1,
        "another choice than yes and no: 'unsure'": 1,
        "both yes and no": 1,
    }
    assert votes.warnings == ("1 x an annotation is a copy of another one, and counts as its owner's vote",)
    asked = External(question=Question(yes=("yes", "Unsure")))
    assert read_external(study, path, "label-studio", asked).frame["selected"].to_list() == [1, 1, 1]


def batch(path: Path, images: list[str], rows: list[list[str]], *columns: str) -> Path:
    """A batch of MTurk's console; each row holds the answer's cells."""
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        head = ["HITId", "WorkerId", "AssignmentStatus", "SubmitTime", "Input.wnid", "Input.images"]
        writer.writerow([*head, *columns])
        for n, row in enumerate(rows):
            start = ["3X", f"W{n}", "Approved", "Wed Oct 24 13:11:37 PDT 2018", GOLDFISH, " ".join(images)]
            writer.writerow([*start, *row])
    return path


@pytest.mark.parametrize(
    "cell", ["1|3", "1,3", "1;3", "1 3", "1, 3", "1 | 3", '["1", "3"]', "i0|i2", "i2,i0"]
)
def test_ticked_boxes_are_read_whatever_is_between_them(study: Study, tmp_path: Path, cell: str) -> None:
    images = images_of(study, 3)
    for n, image in enumerate(images):
        cell = cell.replace(f"i{n}", image)
    path = batch(tmp_path / "b.csv", images, [[cell]], "Answer.selected")
    votes = read_external(study, path, "mturk-csv")
    assert votes.frame["selected"].to_list() == [1, 0, 1]
    assert set(votes.frame["submitted_at"]) == {"2018-10-24T20:11:37Z"}


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ({"selected": "1,3"}, [1, 0, 1]),
        ({"selected": ["1", 3]}, [1, 0, 1]),
        ({"selected": {"1": True, "2": False, "3": True}}, [1, 0, 1]),
        ({"1": {"on": True}, "2": {"on": False}, "3": {"on": True}}, [1, 0, 1]),
        ({"image_1": True, "image_2": False, "image_3": True}, [1, 0, 1]),
        ({"none": {"on": True}, "selected": ""}, [0, 0, 0]),
    ],
)
def test_answers_of_form_elements_are_read(
    study: Study, tmp_path: Path, fields: dict[str, Any], selected: list[int]
) -> None:
    images = images_of(study, 3)
    path = batch(tmp_path / "b.csv", images, [[json.dumps([fields])]], "Answer.taskAnswers")
    assert read_external(study, path, "mturk-csv").frame["selected"].to_list() == selected
    hits = hits_file(tmp_path / "hits.json", images)
    answer = {**assignment("W", ""), "Answer": to_xml([("taskAnswers", json.dumps([fields]))])}
    (tmp_path / "a.json").write_text(json.dumps(answer))
    from_json = read_external(study, tmp_path / "a.json", "mturk-json", External(hits))
    assert from_json.frame["selected"].to_list() == selected


def test_a_column_for_each_checkbox_is_read(study: Study, tmp_path: Path) -> None:
    images = images_of(study, 2)
    path = batch(
        tmp_path / "b.csv",
        images,
        [["true", "false"], ["false", "false"]],
        "Answer.1.on",
        f"Answer.{images[1]}.on",
    )
    votes = read_external(study, path, "mturk-csv")
    assert votes.frame["selected"].to_list() == [1, 0]
    assert votes.left_out == {'nothing was ticked, not even "none of these"': 1}


def test_every_answer_without_a_vote_is_counted_with_its_reason(study: Study, tmp_path: Path) -> None:
    images = images_of(study, 3)
    cells = ["1", "1,4", "first", "", "1|1"]
    path = batch(tmp_path / "b.csv", images, [[cell] for cell in cells], "Answer.selected")
    votes = read_external(study, path, "mturk-csv")
    assert votes.frame["worker_id"].unique().tolist() == ["mturk:W0", "mturk:W4"]
    assert votes.left_out == {
        'nothing was ticked, not even "none of these"': 1,
        "the answer cannot be read: an answer names an image that its HIT did not show": 2,
    }
    path = batch(path, images, [["[1"]], "Answer.taskAnswers")
    with pytest.raises(
        VotesError, match=r"no vote in it \(1 x the answer cannot be read: .*taskAnswers is not JSON"
    ):
        read_external(study, path, "mturk-csv")
    path = batch(path, ["2", "1"], [["2"]], "Answer.selected")
    with pytest.raises(VotesError, match="'2' is the number of one image and the id of another"):
        read_external(study, path, "mturk-csv")
    path = batch(path, images, [["true"]], "Answer.image_0")
    with pytest.raises(VotesError, match="counts images from 0"):
        read_external(study, path, "mturk-csv")


def test_a_second_answer_of_a_person_is_counted_and_no_error(study: Study, tmp_path: Path) -> None:
    images = images_of(study, 2)
    first = batch(tmp_path / "a.csv", images, [["1"]], "Answer.selected")
    assert import_votes(study, read_external(study, first, "mturk-csv")).added == 2
    again = batch(tmp_path / "b.csv", images, [["2"], ["1"]], "Answer.selected")
    report = import_votes(study, read_external(study, again, "mturk-csv"))
    assert (report.rows, report.added, report.known) == (2, 2, 0)
    assert report.left_out == {"the same person has another vote on the image, from an earlier import": 2}


@pytest.mark.parametrize(
    ("pages", "warned"),
    [
        ([{"NextToken": "x"}], True),
        ([{"NextToken": "x"}, {}], False),
        ([{}], False),
    ],
)
def test_a_next_token_says_that_more_pages_exist(
    study: Study, tmp_path: Path, pages: list[dict[str, str]], warned: bool
) -> None:
    hits = hits_file(tmp_path / "hits.json", images_of(study))
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps([{**page, "Assignments": [assignment(f"W{n}", "1")]} for n, page in enumerate(pages)])
    )
    votes = read_external(study, path, "mturk-json", External(hits))
    assert bool(votes.warnings) is warned
    assert not warned or "NextToken, as of 3HIT: MTurk had more answers than the file" in votes.warnings[0]


@pytest.mark.parametrize(
    ("date", "iso"),
    [
        ("Wed Oct 24 13:11:37 PDT 2018", "2018-10-24T20:11:37Z"),
        ("Tue Jan 02 03:04:05 PST 2018", "2018-01-02T11:04:05Z"),
        ("2018-10-24 20:11:37+00:00", "2018-10-24T20:11:37Z"),
        (1540411897.0, "2018-10-24T20:11:37Z"),
        ("yesterday", None),
        ("Wed Oct 24 13:11:37 XYZ 2018", None),
    ],
)
def test_the_dates_of_mturks_console_and_command_line_are_read(date: object, iso: str | None) -> None:
    assert iso_date(date) == iso


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


@pytest.mark.parametrize(("mark", "encoding"), [(";", "utf-8"), ("\t", "utf-16"), (",", "utf-16-le")])
def test_results_that_went_through_a_spreadsheet_are_read(
    study: Study, tmp_path: Path, mark: str, encoding: str
) -> None:
    path = batch(tmp_path / "b.csv", images_of(study, 2), [["1"], ["2"]], "Answer.selected")
    path.write_bytes(path.read_text().replace(",", mark).encode(encoding))
    assert read_external(study, path, "mturk-csv").frame["selected"].to_list() == [1, 0, 0, 1]


def test_a_person_by_number_and_by_object_is_one(study: Study, tmp_path: Path) -> None:
    """``person-7`` of the shared cases: the number, and the same with an address beside it."""
    added = []
    for who in (7, {"id": 7, "email": "x@example.org"}, "7", 7.0):
        path = exported(study, tmp_path / "x.json", {"completed_by": who, "result": [chosen("shows", "yes")]})
        added.append(import_votes(study, read_external(study, path, "label-studio")).added)
    assert added == [1, 0, 0, 0]
