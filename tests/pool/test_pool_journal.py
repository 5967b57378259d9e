"""The journal of downloads: torn records, spoilt bytes, and one process at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest

from newtest.download import Download
from newtest.errors import PoolError
from newtest.pool.journal import (
    Journal,
    Journals,
    alone,
    journal_folder,
    next_generation,
    part_of,
)
from newtest.pool.storage.location import LocalPlace


def test_what_was_written_down_is_there_and_a_torn_record_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "new" / "0.journal"
    with Journal(path) as journal:
        journal.add("a", "http://a", Download("0", b"first\nbytes"))
        journal.add("b", "http://b", Download("1", None, "http-404", "gone", True))
        whole = path.stat().st_size
        journal.add("c", "http://c", Download("2", bytes(1000)))
    for cut in (whole + 1, whole + 100, path.stat().st_size - 1):
        data = path.read_bytes()
        (tmp_path / "torn").write_bytes(data[:cut])
        with Journal(tmp_path / "torn") as journal:
            assert set(journal.records) == {("a", "http://a"), ("b", "http://b")}
            assert journal.data(journal.records["a", "http://a"]) == b"first\nbytes"
            assert journal.records["b", "http://b"].permanent
            journal.add("d", "http://d", Download("3", b"later"))
        with Journal(tmp_path / "torn") as journal:
            assert journal.data(journal.records["d", "http://d"]) == b"later"


def test_bytes_that_changed_on_the_disk_are_no_image(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.add("a", "u", Download("0", b"first"))
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes().replace(b"first", b"\0\0\0\0\0"))
    with Journal(tmp_path / "j") as journal:
        assert journal.data(journal.records["a", "u"]) is None


def test_two_runs_into_one_pool_are_refused(tmp_path: Path) -> None:
    (tmp_path / "urls").mkdir()

    pq.write_table(pa.table({"url": ["http://127.0.0.1:1/1.jpg"]}), tmp_path / "urls" / "0.parquet")
    with alone(tmp_path / "out" / ".fetching"):
        done = newtest("fetch-pool", "urls", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "out: another newtest fetches into this pool" in done.stderr
    assert newtest("fetch-pool", "urls", "--out", "out", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("link", [".fetching", ".fetching/0.journal"])
def test_no_journal_is_written_through_a_link(link: str, tmp_path: Path) -> None:
    """Of a pool that a stranger began: a torn end is cut off, which would be the end of somebody else's file."""
    outside, pool = tmp_path / "outside", tmp_path / "pool"
    outside.mkdir()
    (outside / "0.journal").write_text("a year of work")
    (pool / link).parent.mkdir(parents=True)
    (pool / link).symlink_to(outside / Path(link).relative_to(".fetching"))
    with pytest.raises((PoolError, OSError), match="link"):
        Journal(journal_folder(LocalPlace(pool)) / "0.journal")
    assert (outside / "0.journal").read_text() == "a year of work"


def test_what_a_later_run_wrote_down_holds_and_all_parts_are_removed_together(tmp_path: Path) -> None:
    first = next_generation(tmp_path)
    with Journal(part_of(tmp_path, "0", f"{first}-0001")) as journal:
        journal.add("a", "u", Download("0", None, "http-503", "later"))
        journal.add("b", "u", Download("1", b"early"))
        assert journal.knows("a", "u") and journal.knows("b", "u") and not journal.knows("c", "u")
    second = next_generation(tmp_path)
    assert second > first
    with Journal(part_of(tmp_path, "0", f"{second}-0000")) as journal:
        journal.add("a", "u", Download("0", b"late"))
    with Journal(part_of(tmp_path, "00", f"{second}-0000")) as other:
        other.add("a", "u", Download("0", b"of another shard"))
    with Journals(tmp_path, "0", trusted=second) as journals:
        assert (journals.data("a", "u"), journals.data("b", "u"), journals.data("c", "u")) == (
            b"late",
            b"early",
            None,
        )
        record = journals.record("a", "u")
        assert record is not None and record.kind is None
        journals.remove()
    assert [path.name.partition(".")[0] for path in tmp_path.iterdir()] == ["00"]


def test_a_journal_that_another_process_writes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newtest.pool.journal._PATIENCE", 0.1)
    with Journal(tmp_path / "j"), pytest.raises(PoolError, match="another process writes this"):
        Journal(tmp_path / "j")
    Journal(tmp_path / "j").__exit__(None, None, None)
