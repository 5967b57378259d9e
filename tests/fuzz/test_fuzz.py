"""Changed files for every reader, a few seconds of ``make fuzz``; and what it found, each as it was mended."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzz.targets import TARGETS

from newtest.clip.weights.opening import open_tensors
from newtest.duplicates.published import near_duplicate_pairs, neighbour_distances, reviewed_pairs
from newtest.errors import ConfigError, EvaluationError, PoolError, StudyError, WeightsError
from newtest.evaluation.scoring.sets import read_set
from newtest.pool.importing.tables import rows_of
from newtest.pool.url_tables import url_tables
from newtest.study import Study

RUN = Path(__file__).with_name("run.py")


def test_changed_files_end_in_no_exception_but_ours(tmp_path: Path) -> None:
    """Some inputs of each reader, in a process of its own with its limits on time, memory and writes."""
    done = run("--seconds", "8", "--inputs", "40", "--keep", tmp_path / "failed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TARGETS)} readers" in done.stdout


def test_each_thing_that_is_forbidden_is_found() -> None:
    """The test above can fail: readers that raise, take memory in secret, wait, die and write (also in C) are found."""
    done = run("--inputs", "1", "--only", "probe", "--probe")
    found = "\n".join(sorted(line.partition(" x probe that ")[2] for line in done.stdout.splitlines()[1:]))
    for wanted in (
        "dies: the process ended with SIGSEGV", "raises: KeyError (",
        "takes memory: no memory within 512 MiB", "waits: TooLong", "writes: written outside: os.mkdir ",
        "writes: written outside: os.rmdir ", "writes in C: changed outside: ['",
    ):  # fmt: skip
        assert wanted in found, done.stdout + done.stderr
    assert done.returncode == 1


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, RUN, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.parametrize("read", [near_duplicate_pairs, reviewed_pairs, neighbour_distances])
@pytest.mark.parametrize(
    "document",
    [{"a": 1.5}, {"a": "b"}, {"a": [{}]}, {"a": {"l2": [1]}}, {"a": {"l2": {"references": [["b"]]}}}],
)
def test_published_files_of_another_shape(read: object, document: object, tmp_path: Path) -> None:
    path = tmp_path / "near.json"
    path.write_text(json.dumps(document))
    try:
        read(path)  # type: ignore[operator]
    except ConfigError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("document", [[{"label": {"a": 1}}], {"a": [{"b": 1}]}])
def test_a_class_that_is_an_object(document: object, tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps(document))
    with pytest.raises(EvaluationError, match=r"set\.json"):
        read_set(path)


def test_a_label_of_quadrillions_is_not_that_many_classes(tmp_path: Path) -> None:
    path = tmp_path / "labels.npy"
    np.save(path, np.array([0, 10**15]))
    with pytest.raises(EvaluationError, match="at most 1,000,000 classes"):
        read_set(path)


def test_an_array_of_a_checkpoint_whose_header_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, w=np.eye(2))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"(2, 2), }", b"(2, 2), ("))
    with pytest.raises(WeightsError, match="npz"):
        open_tensors(path)


def test_two_columns_of_one_name_among_urls(tmp_path: Path) -> None:
    path = tmp_path / "urls.csv"
    path.write_text("url,2,2\nhttps://x.org/a.jpg,1,2\n")
    with pytest.raises(PoolError, match="two columns are called '2'"):
        list(url_tables(str(path)).batches(10))


def test_a_study_whose_schema_is_no_text(tmp_path: Path) -> None:
    with Study(tmp_path, create=True):
        pass
    path = tmp_path / "study.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE images", b"CREATE TABLE \xd5\xffages"))
    with pytest.raises(StudyError):
        Study(tmp_path)


def test_a_column_without_a_name_beside_images(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text(",file_name,text\n0,a.jpg,a fish\n")
    (row,) = rows_of(path, None)
    assert (row.file, row.texts, row.columns[""]) == ("a.jpg", ("a fish",), 0)


def test_a_name_with_nul_in_a_table_of_files_is_no_file(tmp_path: Path) -> None:
    table = tmp_path / "set.csv"
    table.write_bytes(b"file,label\na\0b.png,spots\nc.png,spots\n")
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):  # it would read the name of another file
        with pytest.raises(EvaluationError, match=r"a NUL byte, at which pandas before 3\.1 ends a cell"):
            read_set(table)
        return
    paths = read_set(table).images["path"].tolist()
    assert paths == ["", str(tmp_path / "c.png")]
