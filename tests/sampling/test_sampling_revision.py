from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from commands import here, python

from newtest.catalog import transaction
from newtest.catalog.revisions import exclusions_of, find, members_of, names
from newtest.errors import SamplingError, StudyError, UsageError
from newtest.sampling import Origin, SamplingConfig, diff_revisions, sample_study
from newtest.study import Study
from newtest.votes import ImportConfig, import_votes

CLASSES = ("n1", "n2", "n3")
CONFIG = SamplingConfig(per_class=10)


def _study(root: Path) -> Study:
    """Three classes of 110 candidates (10 of each k of 10) and 33 originals (3 of each k of 10)."""
    study = Study(root, create=True)
    counts = []
    with transaction(study.catalog) as catalog:
        catalog.execute("INSERT INTO references_ VALUES ('original', 'test', 'f', '2026-11-01T00:00:00Z')")
        for wnid in CLASSES:
            catalog.execute("INSERT INTO classes VALUES (?, '[]', '', '[]', 'test')", (wnid,))
            for prefix, source, each in (("c", "folder", 10), ("r", "reference:original", 3)):
                for index in range(11 * each):
                    image = f"{prefix}{wnid}{index:03d}"
                    catalog.execute(
                        "INSERT INTO images (image_id, source, source_id) VALUES (?, ?, ?)",
                        (image, source, image),
                    )
                    catalog.execute(
                        "INSERT INTO files (image_id, state, sha256, attempts, fetched_at)"
                        " VALUES (?, 'ok', ?, 1, '')",
                        (image, image),
                    )
                    if prefix == "c":
                        catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image, wnid))
                    else:
                        catalog.execute(
                            "INSERT INTO reference_members VALUES ('original', ?, ?)", (image, wnid)
                        )
                    counts.append((image, wnid, index // each, 10))
        catalog.execute("INSERT INTO reference_members VALUES ('original', 'rn1000', 'n9')")
    columns = ["image_id", "wnid", "num_selected", "num_shown"]
    import_votes(study, pd.DataFrame(counts, columns=columns))
    return study


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with _study(tmp_path / "s") as opened:
        yield opened


def _block(study: Study, image: str, *, blocked: int = 1, wnid: str | None = None) -> None:
    columns = "image_id, wnid, blocked, reason, reviewer, given_at"
    row = (image, wnid, blocked, "wrong", "me", "now")
    study.catalog.execute(f"INSERT INTO blocks ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)


def test_a_revision_stores_what_it_was_drawn_from(study: Study) -> None:
    drawn = sample_study(study, CONFIG, name="a-0")
    assert drawn.name == "a-0"
    # 6 originals in four bins and 9 in the last: 1.82 and 2.73 of 10, and the larger remainders are the four.
    assert drawn.drawn.to_numpy().tolist() == [[2, 2, 2, 2, 2]] * 3
    stored = find(study.catalog, "a-0")
    assert stored is not None
    assert json.loads(stored.config)["strategy"] == "matched-frequency"
    assert (stored.reference, stored.parent, stored.simulated, stored.incomplete) == (
        "original",
        None,
        False,
        False,
    )
    assert json.loads(stored.summary)["histogram"]["drawn"] == [2] * 15
    assert members_of(study.catalog, "a-0").equals(drawn.members.drop(columns="bin"))


def test_the_same_again_changes_nothing_and_other_inputs_need_another_name(study: Study) -> None:
    first = sample_study(study, CONFIG, name="a-0")
    row = study.catalog.execute("SELECT * FROM revisions").fetchall()
    assert sample_study(study, CONFIG, name="a-0").members.equals(first.members)
    assert study.catalog.execute("SELECT * FROM revisions").fetchall() == row
    with pytest.raises(
        SamplingError, match=r"'a-0' exists and was drawn from something else \(its config differs\)"
    ):
        sample_study(study, SamplingConfig(seed=1), name="a-0")
    import_votes(
        study,
        pd.DataFrame([("cn1000", "n1", 1, 1)], columns=["image_id", "wnid", "num_selected", "num_shown"]),
        ImportConfig(add_counts=True),
    )
    with pytest.raises(SamplingError, match="its votes hash differs"):
        sample_study(study, CONFIG, name="a-0")
    _block(study, "cn1000")
    with pytest.raises(SamplingError, match=r"its (votes|pool) hash differs"):
        sample_study(study, CONFIG, name="a-0")


def test_without_a_name_the_inputs_name_it(study: Study) -> None:
    first, second = sample_study(study, CONFIG), sample_study(study, SamplingConfig(seed=1))
    assert first.name.startswith("matched-frequency-")
    assert len({first.name, second.name, sample_study(study, CONFIG).name}) == 2
    assert sorted(names(study.catalog)) == sorted([first.name, second.name])


def test_a_child_replaces_what_was_blocked_and_nothing_else(study: Study) -> None:
    parent = sample_study(study, CONFIG, name="a-0")
    gone = parent.members[parent.members["wnid"] == "n2"]["image_id"].tolist()[:2]
    for image in gone:
        _block(study, image)
    child = sample_study(study, SamplingConfig(seed=5), name="a-1", origin=Origin(parent="a-0"))
    difference = diff_revisions(study, "a-0", "a-1")
    assert difference.changed_classes == ["n2"]
    assert difference.kept == 28
    removed = difference.changes[difference.changes["change"] == "removed"]
    assert removed["image_id"].tolist() == gone
    assert removed["reason"].tolist() == ["blocked", "blocked"]
    assert (difference.changes["change"] == "added").sum() == 2
    assert child.drawn.equals(parent.drawn)
    assert set(exclusions_of(study.catalog, "a-1")["reason"]) == {"blocked"}
    assert diff_revisions(study, "a-0", "a-0").changes.empty
    with pytest.raises(UsageError, match="there is no revision 'b'; the study has a-0, a-1"):
        diff_revisions(study, "a-0", "b")


def test_blocks_hold_for_a_class_or_for_all_and_can_be_taken_back(study: Study) -> None:
    study.catalog.execute("INSERT INTO candidates VALUES ('cn1000', 'n2')")
    everything = SamplingConfig(strategy="all", min_votes=0)

    def blocked() -> list[str]:
        excluded = sample_study(study, everything).exclusions
        return sorted(excluded[excluded["reason"] == "blocked"]["wnid"])

    _block(study, "cn1000", wnid="n2")
    assert blocked() == ["n2"]
    _block(study, "cn1000")
    assert blocked() == ["n1", "n2"]
    _block(study, "cn1000", blocked=0)
    assert blocked() == ["n2"]
    _block(study, "cn1000", blocked=0, wnid="n2")
    assert blocked() == []


def test_verdicts_and_open_pairs_keep_images_out(study: Study) -> None:
    verdict = (
        "INSERT INTO verdicts (image_a, image_b, duplicate, reviewer, given_at) VALUES (?, ?, ?, 'me', 'now')"
    )
    study.catalog.execute(verdict, ("cn1000", "cn1001", 1))
    study.catalog.execute(verdict, ("cn1002", "rn1000", 1))
    study.catalog.execute(verdict, ("cn1003", "cn1004", 0))
    study.catalog.execute("INSERT INTO neighbours VALUES ('cn1005', 'cn1006', 'phash', 3)")
    study.catalog.execute("INSERT INTO neighbours VALUES ('cn1003', 'cn1004', 'phash', 3)")
    excluded = sample_study(study, SamplingConfig(strategy="all")).exclusions
    reasons = dict(zip(excluded["image_id"], excluded["reason"], strict=True))
    assert reasons == {
        "cn1001": "near_duplicate",
        "cn1002": "near_duplicate",
        "cn1005": "unreviewed",
        "cn1006": "unreviewed",
    }


def test_images_without_bytes_are_excluded_unless_ids_are_all_that_is_wanted(study: Study) -> None:
    everything = SamplingConfig(strategy="all", min_votes=0)
    whole = sample_study(study, everything)
    study.catalog.execute("UPDATE files SET state = 'gone', sha256 = NULL WHERE image_id = 'cn1000'")
    study.catalog.execute("UPDATE files SET num_bytes = 0 WHERE image_id = 'cn1001'")
    study.catalog.execute("DELETE FROM files WHERE image_id = 'cn1002'")
    drawn = sample_study(study, everything)
    assert dict(zip(drawn.exclusions["image_id"], drawn.exclusions["reason"], strict=True)) == {
        f"cn100{n}": "no_bytes" for n in range(3)
    }
    assert len(whole.members) - len(drawn.members) == 3
    ids = sample_study(study, everything, origin=Origin(without_bytes=True))
    assert ids.members.equals(whole.members)
    assert ids.name == whole.name  # the same inputs: bytes are not asked for
    study.catalog.execute("DELETE FROM files")
    with pytest.raises(
        SamplingError, match=r"no_bytes 110.*newtest fetch, or draw ids alone with `without_bytes`"
    ):
        sample_study(study, CONFIG)


def test_a_duplicate_may_be_drawn_when_the_one_that_stayed_is_blocked_in_its_class(study: Study) -> None:
    """Reviewers block in a class; the twin of what they blocked must not be lost with it."""
    study.catalog.execute(
        "INSERT INTO verdicts (image_a, image_b, duplicate, reviewer, given_at) "
        " VALUES ('cn1000', 'cn1001', 1, 'me', '')"
    )

    def excluded() -> dict[str, str]:
        table = sample_study(study, SamplingConfig(strategy="all")).exclusions
        return dict(zip(table["image_id"], table["reason"], strict=True))

    assert excluded() == {"cn1001": "near_duplicate"}
    _block(study, "cn1000", wnid="n2")  # not its class
    assert excluded() == {"cn1001": "near_duplicate"}
    _block(study, "cn1000", wnid="n1")
    assert excluded()["cn1000"] == "blocked"
    assert "cn1001" not in excluded()


def test_names_that_are_not_there_are_usage_errors(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no reference 'x'; the study has original"):
        sample_study(study, CONFIG, origin=Origin(reference="x"))
    with pytest.raises(UsageError, match="there is no revision 'x' to start from; the study has none"):
        sample_study(study, CONFIG, origin=Origin(parent="x"))
    for name in ("", "../x", "a b", "-x", "a" * 65):
        with pytest.raises(UsageError, match="a revision's name has letters"):
            sample_study(study, CONFIG, name=name)
    study.catalog.execute("INSERT INTO references_ VALUES ('second', 'test', 'f', 'now')")
    with pytest.raises(
        UsageError, match=r"several references \(original, second\); say which with `reference`"
    ):
        sample_study(study, CONFIG)
    with Study(tmp_path / "empty", create=True) as empty:
        with pytest.raises(SamplingError, match="there are no candidates to sample from"):
            sample_study(empty, SamplingConfig(strategy="random"))
        with pytest.raises(SamplingError, match="the study has none; add it with newtest reference add"):
            sample_study(empty, CONFIG)


def test_what_is_feasible_is_seen_before_the_draw_and_a_failed_draw_stores_nothing(study: Study) -> None:
    seen: list[int] = []
    config = SamplingConfig(per_class=200)
    with pytest.raises(SamplingError, match="3 classes cannot be filled: n1: "):
        sample_study(study, config, before_draw=lambda draft: seen.append(len(draft.problems)))
    assert seen == [3]
    assert names(study.catalog) == []
    incomplete = sample_study(study, SamplingConfig(per_class=200, allow_incomplete=True))
    stored = find(study.catalog, incomplete.name)
    assert stored is not None
    assert stored.incomplete
    assert list(json.loads(stored.summary)["problems"]) == list(CLASSES)


def test_keywords_come_from_the_searches_and_from_the_table_of_the_original(study: Study) -> None:
    with transaction(study.catalog) as catalog:
        catalog.execute(
            "UPDATE images SET extra = json_object('search_key', iif(image_id < 'rn1011', 'cat', 'dog'))"
            " WHERE image_id LIKE 'rn1%'"
        )
        catalog.execute("DELETE FROM candidates WHERE wnid <> 'n1'")
        catalog.execute("DELETE FROM classes WHERE wnid <> 'n1'")
        for key, keep in (("cat", 0), ("dog", 1)):
            columns = "search_id, wnid, source, text, query, state"
            row = (key, "n1", "flickr", key, "{}", "done")
            catalog.execute(f"INSERT INTO searches ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
            catalog.execute(
                "INSERT INTO search_results (search_id, rank, image_id)"
                " SELECT ?, row_number() OVER (ORDER BY image_id), image_id FROM candidates"
                " WHERE (substr(image_id, -1) IN ('0', '1', '2')) = ?",
                (key, keep),
            )
    config = SamplingConfig(strategy="matched-keywords", min_votes=0, per_class=9)
    assert sample_study(study, config).drawn.loc["n1"].to_dict() == {"cat": 3, "dog": 6}


def test_a_second_sample_of_the_study_waits_for_nobody(study: Study) -> None:
    with study.exclusive("sample"), pytest.raises(StudyError, match="newtest sample is already running"):
        sample_study(study, CONFIG)


SCRIPT = """
import sys
from pathlib import Path
from newtest.sampling import Origin, SamplingConfig, sample_study
from newtest.study import Study
with Study(Path(sys.argv[1])) as study:
    print("begun", flush=True)
    sample_study(study, SamplingConfig(), name="a-0")
    sample_study(study, SamplingConfig(seed=1), name="a-1", origin=Origin(parent="a-0"))
"""


def _dump(root: Path) -> list[tuple[object, ...]]:
    with Study(root) as study:
        rows = [
            tuple(row)
            for row in study.catalog.execute(
                "SELECT name, config, members_hash, votes_hash, summary FROM revisions"
            )
        ]
        for table in ("revision_members", "revision_exclusions"):
            rows += [tuple(row) for row in study.catalog.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]
        return rows


def test_killed_anywhere_and_run_again_the_revisions_are_the_same(tmp_path: Path) -> None:
    for place in ("calm", "killed"):
        _study(tmp_path / place).close()

    def run(place: str, seconds: float | None = None) -> tuple[int, float]:
        """The exit code and the time that sampling took, killed after so many seconds."""
        with python(SCRIPT, tmp_path / place) as process:
            while "begun\n" not in process.out:
                assert process.poll() is None, process.err
                time.sleep(0.001)
            began = time.monotonic()
            if seconds is not None:
                time.sleep(seconds)
                process.kill()
            return process.wait(), time.monotonic() - began

    code, whole = run("calm")
    assert code == 0
    moments = random.Random(0)
    killed = sum(run("killed", moments.random() * whole)[0] == -signal.SIGKILL for _ in range(8))
    assert run("killed")[0] == 0
    assert killed > 0
    assert _dump(tmp_path / "killed") == _dump(tmp_path / "calm")


def _newtest(study: Study, *calls: list[str]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of some commands, run after one another."""
    done = [here(*call, "--study", study.root) for call in calls]
    return [(each.returncode, each.stdout, each.stderr) for each in done]


def test_the_command_line_draws_and_diffs(study: Study, tmp_path: Path) -> None:
    table, frequencies = str(tmp_path / "f.csv"), str(tmp_path / "out.csv")
    [(code, out, err), (votes_code, _, _)] = _newtest(
        study,
        ["sample", "--name", "a-0", "--feasibility", table],
        ["frequencies", "--out", frequencies],
    )
    assert (code, votes_code) == (0, 0), err
    assert "2 of 20" in out
    assert "revision a-0: 30 images of 3 classes" in err
    assert "1 classes of the reference were never collected for" in err
    assert "SIMULATED" not in err
    assert pd.read_csv(table)["drawn"].sum() == 30
    columns = ["image_id", "wnid", "num_selected", "num_shown", "frequency", "lo", "hi"]
    assert pd.read_csv(frequencies).columns.tolist() == columns
    _block(study, members_of(study.catalog, "a-0")["image_id"][0])
    [(_, child, _), (_, changes, _)] = _newtest(
        study, ["sample", "--name", "a-1", "--parent", "a-0", "--json"], ["diff", "a-0", "a-1", "--json"]
    )
    assert json.loads(child)["excluded"] == {"blocked": 1}
    assert (json.loads(changes)["kept"], json.loads(changes)["changed_classes"]) == (29, ["n1"])


def test_the_command_line_says_what_fails(study: Study) -> None:
    [(code, _, err)] = _newtest(study, ["sample", "--per-class", "200"])
    assert code == 1
    assert "newtest: 3 classes cannot be filled: n1: " in err
    [(code, _, err)] = _newtest(study, ["sample", "--strategy", "matched-keywords"])
    assert (code, "0 of 3 classes can be filled" in err) == (1, True)
    wrong = [
        ["--bins", "a"],
        ["--strategy", "best"],
        ["--per-class", "0"],
        ["--parent", "x"],
        ["--class-threshold", "n"],
    ]
    for (code, _, err), options in zip(_newtest(study, *(["sample", *o] for o in wrong)), wrong, strict=True):
        assert code == (1 if "--parent" in options else 2), options
        assert err.startswith("newtest: "), options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--strategy", "threshold", "--class-threshold", "n9=0.5"],
            "--class-threshold: the study has no class 'n9'; it has n",
        ),
        (
            ["--class-threshold", "n1=0.5"],
            "--class-threshold has no effect with --strategy matched-frequency; leave",
        ),
        (["--threshold", "0.7"], "it belongs to --strategy threshold"),
        (
            ["--strategy", "random", "--fill-upward"],
            "--fill-upward has no effect with --strategy random; leave it",
        ),
        (
            ["--bias-correction", "mixture", "--fill-upward"],
            "with --strategy matched-frequency --bias-correction mixture; leave it out",
        ),
        (["--strategy", "top-images", "--bins", "0.5"], "--bins has no effect with --strategy top-images"),
        (["--strategy", "all", "--per-class", "5"], "it belongs to every --strategy but all"),
        (["--strategy", "random", "--min-reference-images", "3"], "--min-reference-images has no effect"),
        (
            ["--strategy", "threshold", "--class-threshold", "n1=0.5", "--class-threshold", "n1=0.6"],
            "the class 'n1' is given two thresholds of its own; keep one",
        ),
    ],
)
def test_an_option_that_would_have_no_part_in_the_draw_is_refused(
    study: Study, options: list[str], said: str
) -> None:
    [(code, out, err)] = _newtest(study, ["sample", *options])
    assert (code, out) == (2, ""), err
    assert said in err
    assert study.catalog.execute("SELECT count(*) FROM revisions").fetchone()[0] == 0


def test_a_class_may_have_a_threshold_of_its_own(study: Study) -> None:
    options = [
        "--strategy",
        "threshold",
        "--threshold",
        "0.9",
        "--class-threshold",
        "n1=0.1",
        "--allow-incomplete",
    ]
    [(code, out, err)] = _newtest(study, ["sample", *options, "--json"])
    assert code == 0, err
    lowest = {"n1": 1.0, "n2": 1.0, "n3": 1.0}
    for row in json.loads(out)["members"]:
        lowest[row["wnid"]] = min(lowest[row["wnid"]], row["num_selected"] / row["num_shown"])
    assert lowest["n1"] < 0.9 <= min(lowest["n2"], lowest["n3"])


def test_simulated_votes_are_said_to_be_simulated(study: Study, tmp_path: Path) -> None:
    study.catalog.execute("DELETE FROM vote_counts")
    calls = [["votes", "simulate", "--seed", "3"], ["frequencies"], ["sample", "--allow-incomplete"]]
    for code, _, err in _newtest(study, *calls):
        assert code == 0, err
        assert "SIMULATED votes" in err
    assert study.catalog.execute("SELECT min(simulated) FROM revisions").fetchone()[0] == 1
