"""A study that somebody else made is data: its schema runs nothing, its names lead nowhere, damage is a sentence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release_study import drawn_study

from newtest.catalog.people import open_people
from newtest.cli.app import main
from newtest.duplicates.scan import scan
from newtest.errors import StudyError
from newtest.fetching import fetch_missing
from newtest.study import Study

OBJECTS = {
    "view": "CREATE VIEW candidates_all AS SELECT * FROM candidates",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM votes; END",
    "table": "CREATE TABLE more (a TEXT)",
    "virtual table": "CREATE VIRTUAL TABLE searchable USING fts5(text)",
    "generated column": "ALTER TABLE images ADD COLUMN x TEXT GENERATED ALWAYS AS (upper(title)) VIRTUAL",
    "column": "ALTER TABLE images ADD COLUMN x TEXT",
    "index on an expression": "CREATE INDEX i ON images (upper(title))",
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog of a new study, on a machine that has seen none yet."""
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path / "state"))
    Study(tmp_path / "study", create=True).close()
    return tmp_path / "study" / "study.sqlite"


@pytest.mark.parametrize("what", OBJECTS)
def test_an_object_that_is_not_ours_keeps_a_study_shut(made: Path, what: str) -> None:
    with sqlite3.connect(made) as other:
        other.execute(OBJECTS[what])
    with pytest.raises(StudyError, match="not of newtest's making"):
        Study(made.parent)


def test_an_object_that_is_gone_is_named(made: Path) -> None:
    with sqlite3.connect(made) as other:
        other.execute("DROP INDEX votes_worker")
    with pytest.raises(StudyError, match="index votes_worker is missing"):
        Study(made.parent)


def test_damaged_pages_are_found_when_a_file_is_new_here(made: Path) -> None:
    with Study(made.parent) as study:
        study.catalog.executemany(
            "INSERT INTO classes VALUES (?, '[]', 'x', '[]', 'test')", [(f"c{n}",) for n in range(3000)]
        )
        study.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(made.read_bytes())
    for at in range(4096 * 40, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    stranger = made.parent.parent / "stranger"
    stranger.mkdir()
    (stranger / "study.sqlite").write_bytes(bytes(data))
    with pytest.raises(StudyError, match="damaged"):
        Study(stranger)


@pytest.mark.parametrize(
    "read", [lambda rows: rows.fetchall(), list, lambda rows: [rows.fetchone() for _ in range(3000)]]
)
def test_damage_that_is_met_after_opening_names_the_file(made: Path, read: Callable[[Any], object]) -> None:
    """Found by fuzzing: from Python it was SQLite's own error, without a path."""
    with Study(made.parent) as study:
        study.catalog.executemany(
            "INSERT INTO classes VALUES (?, '[]', 'x', '[]', 'test')", [(f"c{n}",) for n in range(3000)]
        )
        study.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with Study(made.parent) as study:
        data = bytearray(made.read_bytes())
        for at in range(4096 * 40, len(data), 4096):
            data[at : at + 64] = b"\xff" * 64
        made.write_bytes(bytes(data))
        with pytest.raises(StudyError, match=r"study.sqlite: the catalog is damaged \(.*take it from a copy"):
            read(study.catalog.execute("SELECT * FROM classes"))


def test_a_sound_file_is_looked_over_once(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Study(made.parent).close()
    from newtest.catalog import foreign

    asked: list[Path] = []
    monkeypatch.setattr(foreign, "_remember", asked.append)
    Study(made.parent).close()
    assert not asked


@pytest.mark.parametrize("forged", ["../../../victim", "ab/../../victim", "x" * 64, "AB" * 32, "a\0b"])
def test_a_forged_hash_deletes_nothing_outside(made: Path, forged: str) -> None:
    victim = made.parent.parent / "victim"
    victim.write_text("precious")
    with Study(made.parent) as study:
        study.catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('i', 'folder', 'i')")
        study.catalog.execute(
            "INSERT INTO files (image_id, state, fetched_at, sha256, num_bytes, format, attempts)"
            " VALUES ('i', 'ok', '2026', ?, 5, 'JPEG', 1)",
            (forged,),
        )
        with pytest.raises(StudyError):
            fetch_missing(study)
        with pytest.raises(StudyError):
            study.image_path(forged)
    assert victim.read_text() == "precious"


def test_a_folder_that_is_a_link_out_of_the_study_is_refused(made: Path) -> None:
    outside = made.parent.parent / "outside"
    outside.mkdir()
    (made.parent / "images").symlink_to(outside)
    with Study(made.parent) as study, pytest.raises(StudyError, match="leads out"):
        study.image_path("ab" * 32)
    (made.parent / "locks").symlink_to(outside)
    with Study(made.parent) as study, pytest.raises(StudyError, match="leads out"), study.exclusive("fetch"):
        pass
    assert not list(outside.iterdir())


def test_a_study_with_votes_and_counts_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    """SQLite 3.40's quick_check finds missing values in tables whose key does not come first; there are none."""
    with Study(tmp_path / "s", create=True) as study:
        catalog = study.catalog
        catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('a', 'folder', 'a')")
        catalog.execute("INSERT INTO vote_batches VALUES ('b', 'imported', '', '')")
        catalog.execute("INSERT INTO vote_counts VALUES ('a', 'n', 1, 2, 'b')")
        catalog.execute("INSERT INTO votes VALUES ('a', 'n', 'w', 1, NULL, NULL, NULL, 'b')")
    shutil.copytree(tmp_path / "s", tmp_path / "copy")  # a file that this machine has not looked at
    with Study(tmp_path / "copy") as study:
        assert study.catalog.execute("SELECT num_selected FROM vote_counts").fetchone()[0] == 1


@pytest.mark.parametrize("name", ["locks/fetch", "people.sqlite", "images/aa/" + "a" * 64, "study.sqlite"])
def test_a_file_of_a_study_that_is_a_link_to_elsewhere_is_refused(
    made: Path, name: str, tmp_path: Path
) -> None:
    """A lock is cut to nothing and written, people.sqlite gets tables: through a link in somebody else's file."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"" if name == "people.sqlite" else b"a year of work")
    study = Study(made.parent)
    place = made.parent / name
    place.parent.mkdir(exist_ok=True, parents=True)
    place.unlink(missing_ok=True)
    place.symlink_to(outside)
    with study, pytest.raises(StudyError, match="a link leads out of the study"):
        if name == "locks/fetch":
            with study.exclusive("fetch"):
                pass
        elif name == "people.sqlite":
            with open_people(study.root):
                pass
        elif name == "study.sqlite":
            Study(made.parent)
        else:
            study.image_path("a" * 64)
    assert outside.read_bytes() == (b"" if name == "people.sqlite" else b"a year of work")


FORGED = {
    ("revisions", "summary"): ("diagnose a-0", "release a-0 --out again"),
    ("revisions", "config"): ("release a-0 --out again",),
    ("pair_searches", "settings"): ("dedup", "sample --strategy top-images --per-class 1"),
    ("classes", "lemmas"): ("release a-0 --out again", "annotate preview --out page.html"),
    ("classes", "hypernyms"): ("release a-0 --out again",),
    ("images", "sizes"): ("annotate plan --images 4 --positive 0 --negative 0", "release a-0 --out again"),
    ("searches", "query"): ("release a-0 --out again",),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("forged")
    with drawn_study(at) as study:
        scan(study)
    return at / "study"


@pytest.mark.parametrize("value", ["{", "[1]", '{"diagnostics": 5}'])
@pytest.mark.parametrize(("table", "column"), FORGED)
def test_values_of_another_kind_are_a_sentence(
    table: str,
    column: str,
    value: str,
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Found by forging each text of a study: what is JSON in a catalog was believed to be of its kind."""
    shutil.copytree(drawn, tmp_path / "study")
    with sqlite3.connect(tmp_path / "study/study.sqlite") as other:
        other.execute(f"UPDATE {table} SET {column} = ?", (value,))
    monkeypatch.chdir(tmp_path)
    for words in FORGED[table, column]:
        monkeypatch.setattr("sys.argv", ["newtest", *words.split(), "--study", "study"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code in (0, None) or "newtest: " in said, words
