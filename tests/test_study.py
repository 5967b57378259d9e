from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from newtest.catalog import SCHEMA_VERSION, transaction
from newtest.catalog.migrations import MIGRATIONS, migrate, version_of
from newtest.errors import StudyError
from newtest.study import Study


def test_no_study_is_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study here"):
        Study(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_made_once_and_found_again(tmp_path: Path) -> None:
    with Study(tmp_path / "s", create=True) as study, transaction(study.catalog):
        study.catalog.execute("INSERT INTO meta VALUES ('k', 'v')")
    with Study(tmp_path / "s") as study:
        assert study.catalog.execute("SELECT value FROM meta").fetchone()[0] == "v"
        assert version_of(study.catalog) == SCHEMA_VERSION
        assert study.catalog.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_newer_study_is_left_alone(tmp_path: Path) -> None:
    Study(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "study.sqlite") as raw:
        raw.execute("PRAGMA user_version = 999")
    with pytest.raises(StudyError, match=r"newer newtest \(catalog version 999"):
        Study(tmp_path)


def test_a_file_that_is_no_catalog_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 20)
    with pytest.raises(StudyError, match="not a newtest catalog"):
        Study(tmp_path)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    study = Study(tmp_path, create=True)

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x INTEGER)")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        migrate(study.catalog, {**MIGRATIONS, SCHEMA_VERSION + 1: broken})
    assert version_of(study.catalog) == SCHEMA_VERSION
    assert not study.catalog.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()


def test_the_key_is_never_readable_by_others_and_a_broken_one_is_said_to_be_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # it must be born with its mode
    with Study(tmp_path, create=True) as study:
        study.worker_key("A1B2")
        key = tmp_path / "study.key"
        assert key.stat().st_mode & 0o777 == 0o600
        key.write_bytes(b"")
        with pytest.raises(StudyError, match="not this study's key"):
            study.worker_key("A1B2")


def test_worker_ids_are_keyed_by_the_study(tmp_path: Path) -> None:
    with Study(tmp_path / "a", create=True) as a, Study(tmp_path / "b", create=True) as b:
        assert a.worker_key("A1B2") == a.worker_key("A1B2") != b.worker_key("A1B2")
        assert "A1B2" not in a.worker_key("A1B2")
        assert (tmp_path / "a" / "study.key").stat().st_mode & 0o077 == 0


def test_a_stage_runs_once_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from newtest.study import Study\n"
        "with Study(Path(sys.argv[1])).exclusive('collect'): pass"
    )
    with Study(tmp_path, create=True) as study:
        with study.exclusive("collect"):
            other = subprocess.run(
                [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
            )
        assert "newtest collect is already running on this study (process" in other.stderr
        after = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert after.returncode == 0, after.stderr
