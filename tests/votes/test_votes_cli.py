from __future__ import annotations

import json
import subprocess
from pathlib import Path

import commands
from votes_studies import make_study


def _newtest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.newtest(*arguments)


def test_a_bad_file_is_one_sentence_and_exit_code_1_and_leaves_the_good_one_alone(tmp_path: Path) -> None:
    make_study(tmp_path / "s", [("a", "n1"), ("b", "n1")]).close()
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("image_id,wnid,worker_id,selected\na,n1,w1,1\n")
    bad.write_text("image_id,wnid,worker_id,selected\nb,n1,w1,1\nb,n1,w2,maybe\n")
    both = _newtest("votes", "import", str(good), str(bad), "--study", str(tmp_path / "s"))
    assert both.returncode == 1
    assert (
        f"newtest: {bad}, line 3: selected is 'maybe', 0 or 1 is required; nothing was imported"
        in both.stderr
    )
    table = _newtest("frequencies", "--json", "--study", str(tmp_path / "s"))
    rows = json.loads(table.stdout)
    assert [(row["image_id"], row["num_selected"], row["num_shown"]) for row in rows] == [("a", 1, 1)]
    wrong = _newtest("frequencies", "--out", str(tmp_path / "f.txt"), "--study", str(tmp_path / "s"))
    assert (wrong.returncode, "are written as .csv or .parquet" in wrong.stderr) == (2, True)


def test_votes_that_are_all_alike_have_no_agreement_and_valid_json(tmp_path: Path) -> None:
    make_study(tmp_path / "s", [("a", "n1")]).close()
    (tmp_path / "v.csv").write_text("image_id,wnid,worker_id,selected\na,n1,w1,1\na,n1,w2,1\n")
    assert (
        _newtest("votes", "import", str(tmp_path / "v.csv"), "--study", str(tmp_path / "s")).returncode == 0
    )
    shown = _newtest("votes", "quality", "--json", "--study", str(tmp_path / "s"))
    assert shown.returncode == 0, shown.stderr
    said = json.loads(shown.stdout)
    assert said["alpha"] is None
    assert {row["sensitivity"] for row in said["workers"]} == {None}, "nobody saw a control"
    assert "nan" not in shown.stdout.lower()


def test_counts_of_other_people_are_added_when_said_so(tmp_path: Path) -> None:
    make_study(tmp_path / "s", [("a", "n1")]).close()
    (tmp_path / "one.csv").write_text("image_id,wnid,num_selected,num_shown\na,n1,1,4\n")
    (tmp_path / "two.csv").write_text("image_id,wnid,num_selected,num_shown\na,n1,2,4\n")
    command = [
        "votes",
        "import",
        str(tmp_path / "one.csv"),
        str(tmp_path / "two.csv"),
        "--study",
        str(tmp_path / "s"),
    ]
    refused = _newtest(*command)
    assert refused.returncode == 1
    assert "two.csv, line 2: image a has votes for class n1" in refused.stderr
    assert _newtest(*command, "--add-counts").returncode == 0
    (row,) = json.loads(_newtest("frequencies", "--json", "--study", str(tmp_path / "s")).stdout)
    assert (row["num_selected"], row["num_shown"]) == (3, 8)


def test_rows_of_unknown_images_are_told(tmp_path: Path) -> None:
    make_study(tmp_path / "s", [("a", "n1")]).close()
    (tmp_path / "v.csv").write_text("image_id,wnid,worker_id,selected\na,n1,w1,1\nghost,n1,w2,1\n")
    done = _newtest(
        "votes", "import", str(tmp_path / "v.csv"), "--skip-unknown", "--json", "--study", str(tmp_path / "s")
    )
    assert f"{tmp_path / 'v.csv'}: 1 rows left out: the study does not know their images" in done.stderr
    assert json.loads(done.stdout)[0]["skipped"] == 1
