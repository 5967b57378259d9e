from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from votes_studies import make_study

from newtest.catalog.quality import vote_table
from newtest.errors import UsageError, VotesError
from newtest.study import Study
from newtest.votes import ImportConfig, frequencies, import_votes, simulate_votes


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with make_study(tmp_path / "s", [("a", "n1"), ("b", "n1"), ("b", "n2")], [("r", "n1")]) as opened:
        yield opened


def _rows(study: Study) -> list[tuple[object, ...]]:
    sql = "SELECT image_id, wnid, selected, hit_id, submitted_at, control FROM votes ORDER BY 1, 2, worker"
    return [tuple(row) for row in study.catalog.execute(sql)]


VOTES = "image_id,wnid,worker_id,selected\na,n1,w1,1\na,n1,w2,0\nb,n1,w1,1\nr,n1,w1,1\n"


def _csv(folder: Path, text: str, name: str = "votes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_three_formats_and_a_frame_give_the_same_votes(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image_id": ["a", "a", "b"],
            "wnid": "n1",
            "worker_id": ["w1", "w2", "w1"],
            "selected": [1, 0, 1],
            "hit_id": ["h1", None, "h2"],
            "submitted_at": ["2026-01-02T03:04:05+02:00", None, "2026-01-02"],
            "control": [None, "positive", None],
            "remark": "left alone",
        }
    )
    frame.to_csv(tmp_path / "v.csv", index=False)
    frame.to_parquet(tmp_path / "v.parquet", index=False)
    frame.to_json(tmp_path / "v.jsonl", orient="records", lines=True)
    stored = []
    for place, source in enumerate(
        [frame, *(tmp_path / f"v.{suffix}" for suffix in ("csv", "parquet", "jsonl"))]
    ):
        with make_study(tmp_path / str(place), [("a", "n1"), ("b", "n1")]) as study:
            assert import_votes(study, source).added == 3
            stored.append(sorted(_rows(study), key=repr))
    assert stored[0] == sorted(
        [
            ("a", "n1", 1, "h1", "2026-01-02T01:04:05Z", None),
            ("a", "n1", 0, None, None, "positive"),
            ("b", "n1", 1, "h2", "2026-01-02T00:00:00Z", None),
        ],
        key=repr,
    )
    assert all(other == stored[0] for other in stored)


def test_worker_ids_are_hashed_with_the_studys_key(study: Study, tmp_path: Path) -> None:
    import_votes(study, _csv(tmp_path, VOTES))
    workers = {row[0] for row in study.catalog.execute("SELECT worker FROM votes")}
    assert workers == {study.worker_key("w1"), study.worker_key("w2")}
    assert b"w1" not in (study.root / "study.key").read_bytes()


def test_a_file_imported_twice_adds_nothing_in_whatever_order_or_format(study: Study, tmp_path: Path) -> None:
    first = import_votes(study, _csv(tmp_path, VOTES))
    header, *lines = VOTES.splitlines()
    again = import_votes(study, _csv(tmp_path, "\n".join([header, *reversed(lines)]), "again.csv"))
    assert (first.added, again.added, again.known) == (4, 0, 4)
    assert again.batch_id == first.batch_id
    assert study.catalog.execute("SELECT count(*) FROM vote_batches").fetchone()[0] == 1


def test_counts_from_elsewhere_are_pooled_with_votes_and_with_each_other(
    study: Study, tmp_path: Path
) -> None:
    import_votes(study, _csv(tmp_path, VOTES))
    counts = _csv(tmp_path, "image_id,wnid,num_selected,num_shown\na,n1,7,10\nb,n2,0,5\n", "counts.csv")
    others = ImportConfig(add_counts=True)
    assert import_votes(study, counts, others).form == "counts"
    assert import_votes(study, counts).added == 0
    more = _csv(tmp_path, "image_id,wnid,num_selected,num_shown\nb,n2,5,5\n", "more.csv")
    import_votes(study, more, others)
    table = frequencies(study).set_index(["image_id", "wnid"])
    assert table.loc[("a", "n1"), ["num_selected", "num_shown"]].tolist() == [8, 12]
    assert table.loc[("b", "n2"), ["num_selected", "num_shown"]].tolist() == [5, 10]


def test_people_are_not_counted_twice_unless_they_are_said_to_be_others(study: Study, tmp_path: Path) -> None:
    """A longer export of the same counts, or the counts of votes that are there, must not look like more people."""
    counts = "image_id,wnid,num_selected,num_shown\na,n1,7,10\n"
    import_votes(study, _csv(tmp_path, counts))
    with pytest.raises(
        VotesError, match=r"line 2: image a has votes for class n1 .* \(1 such rows\).*`add_counts`"
    ):
        import_votes(study, _csv(tmp_path, counts + "b,n2,0,5\n", "longer.csv"))
    import_votes(study, _csv(tmp_path, "image_id,wnid,worker_id,selected\nb,n2,w1,1\n", "votes.csv"))
    with pytest.raises(VotesError, match="image b has votes for class n2 from an earlier import"):
        import_votes(study, _csv(tmp_path, "image_id,wnid,num_selected,num_shown\nb,n2,1,1\n", "sums.csv"))
    assert frequencies(study)["num_shown"].tolist() == [10, 1]


def test_images_may_be_named_as_their_source_names_them(study: Study, tmp_path: Path) -> None:
    import_votes(study, _csv(tmp_path, VOTES.replace("\nr,", "\nr.jpg,")))
    assert frequencies(study)["image_id"].tolist() == ["a", "b", "r"]
    both = "image_id,wnid,num_selected,num_shown\na,n1,1,2\na.jpg,n1,1,2\n"
    with pytest.raises(VotesError, match=r"both.csv, line 3: there were counts before for image a, class n1"):
        import_votes(study, _csv(tmp_path, both, "both.csv"))


def test_a_name_that_two_sources_use_is_refused(study: Study, tmp_path: Path) -> None:
    study.catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('z', 'flickr', 'a.jpg')")
    with pytest.raises(VotesError, match=r"line 2: 'a.jpg' names 2 images of different sources"):
        import_votes(study, _csv(tmp_path, VOTES.replace("\na,", "\na.jpg,")))


HEADER = "image_id,wnid,worker_id,selected,submitted_at,control\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image_id,wnid,selected\na,n1,1\n",
            "column 'worker_id' is missing; votes need image_id, wnid, worker_id",
        ),
        ("image_id,wnid,num_shown\na,n1,1\n", "column 'num_selected' is missing"),
        ("", "Empty CSV|column 'image_id' is missing"),
        (
            "image_id,wnid,worker_id,selected,num_selected,num_shown\na,n1,w,1,1,1\n",
            "columns of single votes and of counts",
        ),
        ("image_id,wnid,worker_id,selected,selected\na,n1,w,1,1\n", "two columns are called 'selected'"),
        (
            HEADER + "a,n1,w1,1,,\na,n1,w2,yes,,\nb,n1,w2,2,,\n",
            r"line 3: selected is 'yes', 0 or 1 is required \(and 1 more",
        ),
        (HEADER + "a,n1,w1,2,,\n", "line 2: selected is '2', 0 or 1 is required"),
        (HEADER + "a,n1,w1,1.0,,\n", "line 2: selected is '1.0', 0 or 1 is required"),
        (HEADER + "a,n1,w1,,,\n", "line 2: selected is '', 0 or 1 is required"),
        (HEADER + "a,n1,w1,1,,\n\na,n1,  ,1,,\n", "line 4: worker_id is empty"),
        (HEADER + 'a,n1,"w\n1",1,,\n,n1,w2,1,,\n', "line 4: image_id is empty"),
        (
            HEADER + "a,n1,w1,1,,\na,n1,w1,0,,\n",
            "line 3: the same worker has voted before on image a, class n1; keep",
        ),
        (HEADER + "a,n1,w1,1,0001-01-01T00:00:00+05:00,\n", "line 2: submitted_at is '0001-01-01T00"),
        (
            HEADER + "a,n1,w1,1,yesterday,\n",
            "line 2: submitted_at is 'yesterday', an ISO 8601 date is required",
        ),
        (
            HEADER + "a,n1,w1,1,,maybe\n",
            "line 2: control is 'maybe'; positive, negative or nothing is required",
        ),
        (
            HEADER + "a,n1,w1,1,,\nx,n1,w1,1,,\na,n2,w1,1,,\n",
            r"2 of 3 rows are about pairs.*x \(n1, line 3\), a \(n2, line 4\)",
        ),
        (HEADER + "a,n1,w1\n", "not a CSV file that can be read: .*Expected 6 columns, got 3"),
        ("image_id,wnid,num_selected,num_shown\n", "votes.csv: there are no rows in it"),
        (
            "image_id,wnid,num_selected,num_shown\na,n1,5,1000000001\n",
            "line 2: num_shown is 1000000001; at most 1,000,000 can be",
        ),
        (
            "image_id,wnid,num_selected,num_shown\na,n1,5,4\n",
            "line 2: num_selected is 5, more than num_shown",
        ),
        (
            "image_id,wnid,num_selected,num_shown\na,n1,0,0\n",
            "line 2: num_shown is 0; at least 1 is required",
        ),
        ("image_id,wnid,num_selected,num_shown\na,n1,-1,4\n", "line 2: num_selected is -1, below 0"),
        (
            "image_id,wnid,num_selected,num_shown\na,n1,0.5,1\n",
            "line 2: num_selected is '0.5', a whole number is required",
        ),
        (
            "image_id,wnid,num_selected,num_shown\na,n1,1,1\na,n1,1,2\n",
            "line 3: there were counts before for image a",
        ),
    ],
)
def test_what_cannot_be_is_named_with_its_line_and_nothing_is_stored(
    study: Study, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(VotesError, match=message):
        import_votes(study, _csv(tmp_path, text))
    for table in ("votes", "vote_counts", "vote_batches"):
        assert study.catalog.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_rows_of_parquet_and_lines_of_json_are_named_too(study: Study, tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_id": ["a", "b"], "wnid": "n1", "worker_id": "w", "selected": [1.0, 0.5]})
    frame.to_parquet(tmp_path / "v.parquet")
    with pytest.raises(VotesError, match=r"v.parquet, row 2: selected is 0.5, 0 or 1 is required"):
        import_votes(study, tmp_path / "v.parquet")
    line = '{"image_id": "a", "wnid": "n1", "worker_id": "w", "selected": %s}\n'
    with pytest.raises(
        VotesError, match=r"v.jsonl, line 3: selected is '\"no\"|v.jsonl, line 3: selected is 'no'"
    ):
        import_votes(study, _csv(tmp_path, line % 1 + "\n" + line % '"no"', "v.jsonl"))
    with pytest.raises(VotesError, match=r"v.jsonl, line 2: not JSON"):
        import_votes(study, _csv(tmp_path, line % 1 + "{", "v.jsonl"))
    with pytest.raises(VotesError, match=r"v.jsonl, line 1: an object is required"):
        import_votes(study, _csv(tmp_path, "[1]\n", "v.jsonl"))


def test_files_that_are_none_are_said_to_be_none(study: Study, tmp_path: Path) -> None:
    with pytest.raises(VotesError, match="there is no such file"):
        import_votes(study, tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"unknown format of votes '.txt'; known are csv, parquet, jsonl"):
        import_votes(study, _csv(tmp_path, VOTES, "votes.txt"))
    with pytest.raises(VotesError, match="not a Parquet file"):
        import_votes(study, _csv(tmp_path, VOTES, "votes.parquet"))
    (tmp_path / "latin.csv").write_bytes(VOTES.replace("w1", "wé").encode("latin-1"))
    with pytest.raises(VotesError, match=r"latin.csv: not a CSV file that can be read"):
        import_votes(study, tmp_path / "latin.csv")
    assert import_votes(study, _csv(tmp_path, VOTES, "v.txt"), ImportConfig(format_name="csv")).added == 4


def test_unknown_images_can_be_skipped_and_come_in_later(study: Study, tmp_path: Path) -> None:
    path = _csv(tmp_path, VOTES + "x,n1,w1,1\n")
    report = import_votes(study, path, ImportConfig(skip_unknown=True))
    assert (report.added, report.known, report.skipped) == (4, 0, 1)
    study.catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('x', 'folder', 'x')")
    study.catalog.execute("INSERT INTO candidates VALUES ('x', 'n1')")
    report = import_votes(study, path)
    assert (report.added, report.known, report.skipped) == (1, 4, 0)


def test_a_worker_votes_once_on_a_pair_over_all_imports(study: Study, tmp_path: Path) -> None:
    import_votes(study, _csv(tmp_path, VOTES))
    other = "image_id,wnid,worker_id,selected\nb,n2,w1,1\na,n1,w2,1\n"
    with pytest.raises(
        VotesError,
        match=r"other.csv, line 3: the same worker has voted on image a for class n1 in an earlier",
    ):
        import_votes(study, _csv(tmp_path, other, "other.csv"))
    assert len(_rows(study)) == 4


def test_what_was_exported_comes_back_as_the_same_people(study: Study, tmp_path: Path) -> None:
    """An export holds keyed hashes: hashed once more they would be other people, and every vote would count twice."""
    import_votes(study, _csv(tmp_path, "image_id,wnid,worker_id,selected,hit_id\na,n1,w1,1,h\na,n1,w2,0,h\n"))
    table = vote_table(study.catalog)
    assert import_votes(study, table).added == 0
    more = pd.concat([table, table.assign(image_id="b").head(1)])
    assert import_votes(study, more).added == 1
    assert frequencies(study)["num_shown"].tolist() == [2, 1]


def test_simulated_votes_never_become_peoples(study: Study, tmp_path: Path) -> None:
    simulate_votes(study)
    frequencies(study).to_csv(tmp_path / "frequencies.csv", index=False)
    vote_table(study.catalog).to_csv(tmp_path / "votes.csv", index=False)
    with make_study(tmp_path / "other", [("a", "n1"), ("b", "n1"), ("b", "n2")], [("r", "n1")]) as other:
        for into in (study, other):
            for name in ("frequencies", "votes"):
                with pytest.raises(
                    VotesError, match=rf"{name}\.csv, line 2: the votes are SIMULATED, no person"
                ):
                    import_votes(into, tmp_path / f"{name}.csv")
        assert frequencies(other).empty


def test_a_longer_export_of_the_same_hits_adds_what_is_new(study: Study, tmp_path: Path) -> None:
    header = "image_id,wnid,worker_id,selected,hit_id\n"
    import_votes(study, _csv(tmp_path, header + "a,n1,w1,1,h1\n"))
    report = import_votes(study, _csv(tmp_path, header + "a,n1,w1,1,h1\nb,n1,w1,0,h2\n", "week2.csv"))
    assert (report.added, report.known) == (1, 1)
    with pytest.raises(VotesError, match="the same worker has voted"):
        import_votes(study, _csv(tmp_path, header + "a,n1,w1,0,h1\n", "changed.csv"))


def test_negative_controls_are_stored_and_never_counted(study: Study, tmp_path: Path) -> None:
    text = "image_id,wnid,worker_id,selected,control\nr,n2,w1,1,negative\nr,n1,w1,1,positive\n"
    import_votes(study, _csv(tmp_path, text))
    assert len(_rows(study)) == 2
    assert frequencies(study)[["image_id", "wnid"]].values.tolist() == [["r", "n1"]]
    with pytest.raises(VotesError, match="1 of 1 rows are about pairs"):
        import_votes(study, _csv(tmp_path, text.splitlines()[0] + "\nx,n2,w1,1,negative\n", "x.csv"))
