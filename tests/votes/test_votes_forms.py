"""One person, one image, whatever program wrote the file: numbers, Unicode, separators, encodings."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from votes_studies import make_study

from newtest.errors import VotesError
from newtest.study import Study
from newtest.votes import import_votes

ROW = {"image_id": "a", "wnid": "n1", "worker_id": "7", "selected": 1}
LARGE = 2**53 + 1


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with make_study(tmp_path / "s", [("a", "n1"), ("b", "n1"), ("7", "n1")]) as opened:
        yield opened


def _files(folder: Path, worker: object) -> Iterator[Path]:
    """The same vote in the formats that can hold the worker's id so."""
    rows = [{**ROW, "worker_id": worker}]
    (folder / "v.csv").write_text(f"image_id,wnid,worker_id,selected\na,n1,{worker},1\n")
    yield folder / "v.csv"
    pa.parquet.write_table(pa.Table.from_pylist(rows), folder / "v.parquet")
    yield folder / "v.parquet"
    (folder / "v.jsonl").write_text(json.dumps(rows[0]) + "\n")
    yield folder / "v.jsonl"


@pytest.mark.parametrize(
    "same", [(7, 7.0, "7", " 7 ", "7.00"), ("Jos\u00e9", "Jose\u0301"), (LARGE, str(LARGE), f"{LARGE}.0")]
)
def test_one_person_is_one_in_every_format(study: Study, tmp_path: Path, same: tuple[object, ...]) -> None:
    added = [import_votes(study, path).added for worker in same for path in _files(tmp_path, worker)]
    assert added == [1] + [0] * (3 * len(same) - 1)
    stored = study.catalog.execute("SELECT worker FROM votes").fetchall()
    expected = unicodedata.normalize("NFC", str(same[0]))
    assert [row[0] for row in stored] == [study.worker_key(expected)]


def test_neighbours_above_two_to_the_53_stay_apart_where_others_are_missing(
    study: Study, tmp_path: Path
) -> None:
    """With a missing number in the column pandas makes floats of whole numbers, and two people one."""
    rows = [{**ROW, "worker_id": LARGE - 1, "hit_id": LARGE}, {**ROW, "worker_id": LARGE, "hit_id": None}]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "v.parquet")
    assert import_votes(study, tmp_path / "v.parquet").added == 2
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert import_votes(study, tmp_path / "v.jsonl").added == 0
    assert study.catalog.execute("SELECT max(hit_id) FROM votes").fetchone()[0] == str(LARGE)


@pytest.mark.parametrize(
    ("worker", "why"),
    [
        (2.0**53, "may be rounded"),
        (np.float32(2**24 + 1), "may be rounded"),
        (7.5, "a whole number is required"),
        ("1.2E+17", "spreadsheet rounded"),
        ([7], r"is \[7\], a text"),
    ],
)
def test_an_id_that_was_rounded_or_is_none_is_refused(study: Study, worker: object, why: str) -> None:
    with pytest.raises(VotesError, match=f"votes, row 1: worker_id .*{why}"):
        import_votes(study, pd.DataFrame([{**ROW, "worker_id": worker}]))


def test_images_named_by_numbers_and_by_another_unicode_form_are_found(study: Study) -> None:
    study.catalog.execute(
        "INSERT INTO images (image_id, source, source_id) VALUES ('z', 'folder', ?)", ("Cafe\u0301.jpg",)
    )
    study.catalog.execute("INSERT INTO candidates VALUES ('z', 'n1')")
    frame = pd.DataFrame([{**ROW, "image_id": 7.0}, {**ROW, "image_id": "Caf\u00e9.jpg"}])
    assert import_votes(study, frame).added == 2
    assert [row[0] for row in study.catalog.execute("SELECT image_id FROM votes")] == ["7", "z"]


TABLE = 'image_id,wnid,worker_id,selected\na,n1,"w,1;\t",1\nb,n1,é,0\n'


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_spreadsheet_exports_are_read_in_every_form(
    study: Study, tmp_path: Path, mark: str, encoding: str
) -> None:
    lines = [line.split(",") for line in TABLE.replace("w,1", "w%1").splitlines()]
    text = "\r\n".join(mark.join(cells).replace("%", ",") for cells in lines) + "\r\n"
    path = tmp_path / "v.csv"
    for start in ("", f"sep={mark}\r\n"):
        path.write_bytes((start + text).encode(encoding))
        assert import_votes(study, path).rows == 2
    assert study.catalog.execute("SELECT count(DISTINCT worker) FROM votes").fetchone()[0] == 2
    path.write_bytes(text.replace("selected", "chosen").encode(encoding))
    with pytest.raises(
        VotesError, match=r"'selected' is missing;.*the file has 'image_id', 'wnid', 'worker_id', 'chosen'"
    ):
        import_votes(study, path)
    path.write_bytes(text.replace(f"{mark}0", f"{mark}maybe").encode(encoding))
    with pytest.raises(VotesError, match=r"v.csv, line 3: selected is 'maybe'"):
        import_votes(study, path)


def test_identical_rows_of_a_longer_export_are_skipped_without_a_hit_too(study: Study) -> None:
    first = pd.DataFrame([ROW])
    import_votes(study, first)
    report = import_votes(study, pd.DataFrame([ROW, ROW, {**ROW, "image_id": "b"}]))
    assert (report.rows, report.added, report.known) == (3, 1, 2)
    with pytest.raises(VotesError, match="row 2: the same worker has voted on image a"):
        import_votes(study, pd.DataFrame([{**ROW, "worker_id": 8}, {**ROW, "selected": 0}]))


def test_rows_in_are_rows_added_known_and_skipped_over_many_chunks(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of three rows: the same as one of all."""
    for name in ("newtest.votes.tables.ROWS", "newtest.catalog.vote_stage.CHUNK"):
        monkeypatch.setattr(name, 3)
    rows = [{**ROW, "worker_id": n % 7, "image_id": "ab"[n % 2], "selected": n % 2} for n in range(30)]
    rows.append({**ROW, "image_id": "gone"})
    with pytest.raises(VotesError, match=r"1 of 31 rows are about pairs.* such as gone \(n1, row 31\)"):
        import_votes(study, pd.DataFrame(rows))
    from newtest.votes import ImportConfig

    report = import_votes(study, pd.DataFrame(rows), ImportConfig(skip_unknown=True))
    assert (report.rows, report.added, report.known, report.skipped) == (31, 14, 16, 1)
    rows[20]["selected"] = 1 - rows[20]["selected"]
    with pytest.raises(
        VotesError, match=r"row 21: the same worker has voted before on image a|row \d+: the same worker"
    ):
        import_votes(study, pd.DataFrame(rows[:-1]))
