"""Exports of Label Studio are read: JSON, JSON-MIN and CSV give the same votes.

``EXPORT`` has the fields of Label Studio's JSON export. ``MINIMAL`` and ``TABLE`` are what label-studio-sdk 2.1.2
made of it: ``label_studio_sdk.converter.Converter(config, ...).convert(path, folder, "JSON_MIN", is_dir=False)``,
and "CSV"; recorded on 26 November 2026, with the labelling interface of docs/votes.md and a second control ``blurred``
of several choices. They are shortened by spaces alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newtest.catalog import transaction
from newtest.crowd.importers import read_external
from newtest.study import Study
from newtest.votes import import_votes

FISH = "n01443537"


def _choice(name: str, *choices: str) -> dict[str, Any]:
    value = {"choices": list(choices)}
    return {
        "id": "x",
        "from_name": name,
        "to_name": "image",
        "type": "choices",
        "value": value,
        "origin": "manual",
    }


def _annotation(
    number: int, who: object, *results: dict[str, Any], cancelled: bool = False
) -> dict[str, Any]:
    return {
        "id": number, "completed_by": who, "result": list(results), "was_cancelled": cancelled, "ground_truth": False,
        "created_at": f"2026-01-02T03:04:0{number}.123456Z", "updated_at": f"2026-01-02T03:05:0{number}.123456Z",
        "lead_time": 3.2, "parent_annotation": None,
    }  # fmt: skip


def _data(number: int) -> dict[str, str]:
    image = f"/data/local-files/?d=images/{number}"
    return {"image": image, "image_id": f"i{number}", "wnid": FISH, "class_name": "goldfish"}


EXPORT = [
    {"id": 1, "data": _data(0), "annotations": [
        _annotation(1, 7, _choice("shows", "yes"), _choice("blurred", "no")),
        _annotation(2, 8, _choice("shows", "no"), _choice("blurred", "a bit", "no")),
    ]},
    {"id": 2, "data": _data(1), "annotations": [
        _annotation(3, {"email": "x@example.org"}, _choice("shows", "yes")), _annotation(4, 7, cancelled=True),
    ]},
    {"id": 3, "data": _data(2), "annotations": []},
    {"id": 4, "data": _data(3), "annotations": [_annotation(5, 7, _choice("blurred", "yes"))]},
]  # fmt: skip

MINIMAL = r"""[
{"image": "\/data\/local-files\/?d=images\/0", "image_id": "i0", "wnid": "n01443537", "class_name": "goldfish", "id": 1,
 "shows": "no", "blurred": {"choices": ["a bit", "no"]}, "annotator": 8, "annotation_id": 2,
 "created_at": "2026-01-02T03:04:02.123456Z", "updated_at": "2026-01-02T03:05:02.123456Z", "lead_time": 3.2},
{"image": "\/data\/local-files\/?d=images\/0", "image_id": "i0", "wnid": "n01443537", "class_name": "goldfish", "id": 1,
 "shows": "yes", "blurred": "no", "annotator": 7, "annotation_id": 1,
 "created_at": "2026-01-02T03:04:01.123456Z", "updated_at": "2026-01-02T03:05:01.123456Z", "lead_time": 3.2},
{"image": "\/data\/local-files\/?d=images\/1", "image_id": "i1", "wnid": "n01443537", "class_name": "goldfish", "id": 2,
 "shows": "yes", "annotator": "x@example.org", "annotation_id": 3,
 "created_at": "2026-01-02T03:04:03.123456Z", "updated_at": "2026-01-02T03:05:03.123456Z", "lead_time": 3.2},
{"image": "\/data\/local-files\/?d=images\/2", "image_id": "i2", "wnid": "n01443537", "class_name": "goldfish", "id": 3,
 "annotator": null, "annotation_id": null, "created_at": null, "updated_at": null, "lead_time": null},
{"image": "\/data\/local-files\/?d=images\/3", "image_id": "i3", "wnid": "n01443537", "class_name": "goldfish", "id": 4,
 "blurred": "yes", "annotator": 7, "annotation_id": 5,
 "created_at": "2026-01-02T03:04:05.123456Z", "updated_at": "2026-01-02T03:05:05.123456Z", "lead_time": 3.2}
]"""

TABLE = (
    '"annotation_id","annotator","blurred","class_name","created_at","id","image","image_id","lead_time","shows",'
    '"updated_at","wnid"\n'
    '2,"8","{""choices"":[""a bit"",""no""]}","goldfish","2026-01-02T03:04:02.123456Z",1,'
    '"/data/local-files/?d=images/0","i0",3.2,"no","2026-01-02T03:05:02.123456Z","n01443537"\n'
    '1,"7","no","goldfish","2026-01-02T03:04:01.123456Z",1,"/data/local-files/?d=images/0","i0",3.2,"yes",'
    '"2026-01-02T03:05:01.123456Z","n01443537"\n'
    '3,"x@example.org","","goldfish","2026-01-02T03:04:03.123456Z",2,"/data/local-files/?d=images/1","i1",3.2,"yes",'
    '"2026-01-02T03:05:03.123456Z","n01443537"\n'
    '"","","","goldfish","",3,"/data/local-files/?d=images/2","i2","","","","n01443537"\n'
    '5,"7","yes","goldfish","2026-01-02T03:04:05.123456Z",4,"/data/local-files/?d=images/3","i3",3.2,"",'
    '"2026-01-02T03:05:05.123456Z","n01443537"\n'
)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with Study(tmp_path / "study", create=True) as made:
        with transaction(made.catalog) as catalog:
            catalog.execute("INSERT INTO classes VALUES (?, '[\"goldfish\"]', '', '[]', 'test')", (FISH,))
            for n in range(4):
                catalog.execute(
                    "INSERT INTO images (image_id, source, source_id) VALUES (?, 'folder', ?)",
                    (f"i{n}", f"{n}.jpg"),
                )
                catalog.execute("INSERT INTO candidates VALUES (?, ?)", (f"i{n}", FISH))
        yield made


def test_json_json_min_and_csv_give_the_same_votes(study: Study, tmp_path: Path) -> None:
    whole, minimal, table = tmp_path / "export.json", tmp_path / "min.json", tmp_path / "export.csv"
    whole.write_text(json.dumps(EXPORT))
    minimal.write_text(MINIMAL)
    table.write_text(TABLE)
    votes = {path: read_external(study, path, "label-studio") for path in (whole, minimal, table)}
    for found in votes.values():
        rows = found.frame.sort_values(["image_id", "worker_id"])
        assert rows[["image_id", "worker_id", "selected", "submitted_at"]].values.tolist() == [
            ["i0", "label-studio:7", 1, "2026-01-02T03:04:01Z"],
            ["i0", "label-studio:8", 0, "2026-01-02T03:04:02Z"],
            ["i1", "label-studio:x@example.org", 1, "2026-01-02T03:04:03Z"],
        ]
        assert found.left_out["no answer to 'shows'"] == found.left_out["a task that nobody annotated"] == 1
    assert votes[whole].left_out["the task was skipped"] == 1  # the converter drops it, without a word
    added = [import_votes(study, found).added for found in votes.values()]
    assert added == [3, 0, 0]
