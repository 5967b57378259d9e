"""What earlier versions wrote opens today. A version's folder is written once, by ``make.py``, and never again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tarfile
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from newtest.catalog import SCHEMA_VERSION
from newtest.catalog.migrations import MIGRATIONS, migrate, version_of
from newtest.study import Study

HERE = Path(__file__).resolve().parent
VERSIONS = sorted(folder.name for folder in HERE.iterdir() if (folder / "study.tar.xz").is_file())


@pytest.fixture(params=VERSIONS, scope="module")
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version's archive, unpacked."""
    at = tmp_path_factory.mktemp(request.param)
    for file in sorted((HERE / request.param).iterdir()):
        if file.suffix == ".xz":
            with tarfile.open(file) as tar:
                tar.extractall(at, filter="data")
        else:
            shutil.copy(file, at)
    return at


def newtest(*words: str, at: Path) -> str:
    done = commands.newtest(*words, cwd=at)
    assert done.returncode == 0, done.stderr
    return done.stdout


def layout(connection: sqlite3.Connection) -> dict[str, object]:
    """Each table's columns, flags, keys and indexes: what a migration must reach. Comments and order of SQL are not."""
    found: dict[str, object] = {}
    for row in connection.execute("PRAGMA main.table_list").fetchall():
        name = row["name"]
        if row["type"] == "table" and not name.startswith("sqlite_"):
            listed = connection.execute("SELECT * FROM pragma_index_list(?)", (name,)).fetchall()
            indexes = sorted(
                (index["origin"], index["unique"], index["partial"], columns)
                for index in listed
                for columns in [tuple(map(tuple, connection.execute(f"PRAGMA index_info({index['name']})")))]
            )
            columns = sorted(tuple(c)[1:] for c in connection.execute(f"PRAGMA table_info({name})"))
            keys = sorted(tuple(k)[2:] for k in connection.execute(f"PRAGMA foreign_key_list({name})"))
            found[name] = (row["wr"], row["strict"], columns, keys, indexes)
    return found


def test_there_is_an_archive_and_it_is_small() -> None:
    assert "0.1" in VERSIONS
    for version in VERSIONS:
        assert sum(file.stat().st_size for file in (HERE / version).iterdir()) < 300 * 1024


def test_an_archived_study_becomes_a_study_of_today(archive: Path, tmp_path: Path) -> None:
    study = shutil.copytree(archive / "study", tmp_path / "study")
    with Study(study) as opened, Study(tmp_path / "new", create=True) as new:
        assert version_of(opened.catalog) == version_of(new.catalog) == SCHEMA_VERSION
        assert layout(opened.catalog) == layout(new.catalog)
        assert not opened.catalog.execute("PRAGMA foreign_key_check").fetchall()
        assert opened.catalog.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        counted = "SELECT count(*), sum(num_shown) FROM revision_members"
        assert tuple(opened.catalog.execute(counted).fetchone()) == (6, 60)
    assert json.loads(newtest("diff", "first", "first", "--json", at=study))["kept"] == 6
    assert json.loads(newtest("status", "--json", at=study))
    newtest(
        "sample", "--strategy", "top-images", "--per-class", "3", "--name", "first", at=study
    )  # the same draw
    assert json.loads(newtest("dedup", "--json", at=study))["candidates"] == 16


def test_an_archived_release_checks_out_and_is_evaluated(archive: Path, tmp_path: Path) -> None:
    newtest("check", "release", at=archive)
    members = pd.read_csv(archive / "release" / "manifest.csv")
    members[["image_id", "wnid"]].set_axis(["image", "prediction"], axis=1).to_csv(tmp_path / "right.csv")
    words = ("evaluate", str(archive / "release"), "--predictions", "right.csv", "--out", "results", "--json")
    assert json.loads(newtest(*words, at=tmp_path))["results"][0]["k"] == 6


def test_archived_results_make_a_table(archive: Path) -> None:
    table = newtest("report", "table", "results", "--format", "csv", at=archive)
    assert "careful" in table and "careless" in table and "66.6667" in table


def test_an_archived_pool_opens_with_its_layers_and_subsets(archive: Path, tmp_path: Path) -> None:
    pool = shutil.copytree(archive / "pool", tmp_path / "pool")
    before = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(pool.glob("0*"))}
    told = json.loads(newtest("pool-status", "pool", "--json", at=tmp_path))
    assert told["rows"] == 16
    whole = {layer["kind"] for layer in told["layers"] if layer["complete"]}
    assert whole == {"embeddings", "hashes", "languages", "scores"}
    newtest("dedup-pool", "pool", "--method", "hash", "--out", "kept.npy", at=tmp_path)
    assert np.array_equal(np.load(tmp_path / "kept.npy"), np.load(archive / "kept.npy"))
    newtest("filter-pool", "pool", "--english", "--min-words", "2", "--out", "english.npy", at=tmp_path)
    assert np.array_equal(np.load(tmp_path / "english.npy"), np.load(archive / "english.npy"))
    newtest("reshard-pool", "pool", "--subset", str(archive / "kept.npy"), "--out", "again", at=tmp_path)
    assert {
        file: hashlib.sha256(file.read_bytes()).hexdigest() for file in before
    } == before  # a layer may be renewed, a shard is never touched
    assert (tmp_path / "again" / "00000000.tar").read_bytes() == (
        archive / "resharded" / "00000000.tar"
    ).read_bytes()


def test_a_change_of_the_schema_reaches_an_archived_study_in_one_transaction(
    archive: Path, tmp_path: Path
) -> None:
    """The way to change the schema, tried on an old study with a column and a table that do not exist yet."""
    study = shutil.copytree(archive / "study", tmp_path / "study")

    def next_version(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE revisions ADD COLUMN mood TEXT")
        connection.execute("CREATE TABLE moods (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")

    with Study(study) as opened:
        migrate(opened.catalog, {**MIGRATIONS, SCHEMA_VERSION + 1: next_version})
        assert version_of(opened.catalog) == SCHEMA_VERSION + 1
        assert opened.catalog.execute("SELECT name, mood FROM revisions").fetchone()["mood"] is None
        assert "moods" in layout(opened.catalog)


def test_the_page_on_formats_names_every_table_and_column_of_a_study(tmp_path: Path) -> None:
    page = (HERE.parents[1] / "docs" / "formats.md").read_text().split("<!-- tables:")[1].split("\n## ")[0]
    told = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`"):
            told[cells[0].strip("`")] = cells[2].split(", ")
    with Study(tmp_path / "study", create=True) as new:
        tables = [
            row["name"] for row in new.catalog.execute("PRAGMA main.table_list") if row["type"] == "table"
        ]
        there = {
            name: [row["name"] for row in new.catalog.execute(f"PRAGMA table_info({name})")]
            for name in tables
            if not name.startswith("sqlite_")
        }
    assert told == there


def test_the_page_on_formats_names_every_column_of_files(archive: Path) -> None:
    page = (HERE.parents[1] / "docs" / "formats.md").read_text()
    words = set(re.findall(r"\w+", page))
    files = [
        *archive.glob("pool/0*.parquet"),
        *archive.glob("pool/layers/*/*.parquet"),
        *archive.glob("*.parquet"),
    ]
    columns = {name for file in files for name in pq.read_schema(file).names}
    for table in ("release/manifest.csv", "release/classes.csv", *archive.glob("results/*/results.csv")):
        columns |= set(pd.read_csv(archive / table, nrows=0).columns)
    for document in archive.glob("results/*/set.json"):
        columns |= set(json.loads(document.read_text()))
    columns |= set(json.loads((archive / "release" / "revision.json").read_text()))
    columns |= set(json.loads((archive / "resharded" / "reshard.json").read_text()))
    assert len(columns) > 40 and columns <= words, columns - words
