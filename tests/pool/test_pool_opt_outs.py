"""Opt-outs: left out now and by every later run, counted, and never lost."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.engines import LocalEngine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.balance import ANY, Balancing, balance
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.search import SearchConfig, search
from newtest.pool.storage.location import Entry, LocalPlace, place_of
from newtest.pool.storage.opt_outs import known, remembered
from newtest.pool.storage.pool import Pool, open_pool
from newtest.records import Class

ENGINE = LocalEngine()
ROWS = 6


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    folder = tmp_path / "pool"
    folder.mkdir()
    table = {
        "uid": [f"{row:032x}" for row in range(ROWS)],
        "url": [f"https://a.org/{row}.jpg" for row in range(ROWS - 1)] + [None],
        "text": ["a cat"] * ROWS,
    }
    pq.write_table(pa.table(table).slice(0, 4), folder / "00000.parquet")
    pq.write_table(pa.table(table).slice(4), folder / "00001.parquet")
    return open_pool(folder)


def listed(tmp_path: Path, name: str, *lines: str) -> Path:
    path = tmp_path / name
    path.write_text("\r\n".join(lines) + "\n\n", encoding="utf-8-sig", newline="")
    return path


def kept(pool: Pool, recipe: Recipe) -> list[int]:
    return run(pool, recipe, ENGINE, 1).uids["f1"].tolist()  # type: ignore[no-any-return]


def test_they_are_remembered_by_filters_and_reshards(pool: Pool, tmp_path: Path) -> None:
    whole = plan_reshard(pool, None)
    list(reshard(pool, whole, tmp_path / "out", ENGINE, Resources(1)))
    urls = listed(tmp_path, "urls.txt", "https://a.org/1.jpg ", "https://elsewhere.org/1.jpg")
    uids = listed(tmp_path, "uids.txt", f"{4:032X}", "00000000-0000-0000-0000-000000000001")
    subset = run(pool, Recipe(remove_urls=urls, remove_uids=uids), ENGINE, 1)
    assert subset.uids["f1"].tolist() == [0, 2, 3, 5]
    assert [(row["reason"], row["rows"]) for row in subset.manifest["dropped_by_reason"]] == [
        ("uid opted out", 2)
    ]
    more = listed(tmp_path, "more.txt", "https://a.org/0.jpg")
    assert kept(pool, Recipe(remove_urls=more, min_chars=9, min_words=2, combine="or")) == [2, 3, 5]
    assert kept(pool, Recipe(min_words=1)) == [2, 3, 5]
    plan = plan_reshard(pool, None)
    assert (plan.samples, plan.opted_out, plan.absent) == (3, 3, ())
    assert plan_reshard(pool, subset).opted_out == 1
    with pytest.raises(PoolError, match="before people opted out"):
        list(reshard(pool, plan, tmp_path / "out", ENGINE, Resources(1)))
    list(reshard(pool, plan, tmp_path / "new", ENGINE, Resources(1)))
    written = pq.read_table(tmp_path / "new" / "00000000.parquet")["uid"].to_pylist()
    assert written == [f"{row:032x}" for row in (2, 3, 5)]


def test_a_dry_run_remembers_nothing_and_a_second_run_changes_no_byte(pool: Pool, tmp_path: Path) -> None:
    uids = listed(tmp_path, "uids.txt", f"{2:032x}")
    assert kept(pool, Recipe(remove_uids=uids, dry_run=True)) == [0, 1, 3, 4, 5]
    assert len(known(pool)) == 0
    for _ in range(2):
        assert kept(pool, Recipe(remove_uids=uids)) == [0, 1, 3, 4, 5]
        (file,) = (Path(pool.address) / "__newtest" / "opt-outs").iterdir()
        assert file.read_text() == f"{2:032x}\n"
    assert len(known(pool)) == 1


def test_what_cannot_be_read_stops_the_run(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a uid is 32 hex digits"):
        kept(pool, Recipe(remove_uids=listed(tmp_path, "bad.txt", "abc")))
    with pytest.raises(UsageError, match="that can be read"):
        kept(pool, Recipe(remove_urls=tmp_path / "absent.txt"))
    kept(pool, Recipe(remove_uids=listed(tmp_path, "good.txt", f"{2:032x}")))
    (file,) = (Path(pool.address) / "__newtest" / "opt-outs").iterdir()
    file.write_text("half a li")
    for attempt in (lambda: kept(pool, Recipe(min_words=1)), lambda: plan_reshard(pool, None)):
        with pytest.raises(PoolError, match="is damaged"):
            attempt()
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("no folder")
    with pytest.raises(PoolError, match="nobody's wish is known"):
        kept(pool, Recipe(min_words=1))


def test_two_runs_at_once_lose_nothing(pool: Pool, tmp_path: Path) -> None:
    """Both have read the lists before either writes: what each adds is a file of its own."""
    with ThreadPoolExecutor(8) as threads:
        files = [listed(tmp_path, f"{row}.txt", f"{row:032x}") for row in range(100, 108)]
        list(threads.map(lambda file: remembered(pool, None, file), files))
    assert len(known(pool)) == 8


def test_they_are_remembered_on_a_store(bucket: str, pool: Pool, tmp_path: Path) -> None:
    place = place_of(f"{bucket}/opt-outs")
    for path in Path(pool.address).glob("*.parquet"):
        with place.writing(path.name) as target:
            shutil.copy(path, target)
    stored = open_pool(place.url)
    assert kept(stored, Recipe(remove_uids=listed(tmp_path, "uids.txt", f"{2:032x}"))) == [0, 1, 3, 4, 5]
    assert kept(stored, Recipe(min_words=1)) == [0, 1, 3, 4, 5]
    assert plan_reshard(stored, None).opted_out == 1


def test_every_command_that_chooses_rows_leaves_them_out_and_counts_them(tmp_path: Path) -> None:
    """Found by trying them: dedup-pool and balance-pool brought opted-out rows back, without a word."""
    folder = tmp_path / "pool"
    folder.mkdir()
    table = {
        "uid": [f"{row:032x}" for row in range(ROWS)],
        "url": [f"https://a.org/{row}.jpg" for row in range(ROWS)],
        "text": ["a goldfish", "a goldfish", "a tench", "a goldfish", "a goldfish", "nothing"],
        "sha256": [f"{row // 2:064x}" for row in range(ROWS)],  # 0 and 1 are copies, 2 and 3, 4 and 5
    }
    pq.write_table(pa.table(table).slice(0, 4), folder / "00000.parquet")
    pq.write_table(pa.table(table).slice(4), folder / "00001.parquet")
    pool = open_pool(folder)
    remembered(
        pool, listed(tmp_path, "urls.txt", "https://a.org/5.jpg"), listed(tmp_path, "uids.txt", "0" * 32)
    )
    found = dedup(pool, DedupConfig("bytes")).subset  # of 0 and 1 the lowest uid would stay, but it opted out
    assert found.uids["f1"].tolist() == [1, 2, 4]
    counts = found.manifest
    assert (counts["rows_read"], counts["rows_opted_out"], counts["rows_removed"]) == (6, 2, 1)
    assert found.rows is not None
    assert np.unpackbits(found.rows[:1]).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]

    balanced = balance(pool, Balancing({ANY: ["goldfish", "tench"]}, 100, seed=0), ENGINE, 1)
    assert balanced.subset.uids["f1"].tolist() == [1, 2, 3, 4]
    counts = balanced.subset.manifest
    assert (counts["rows_opted_out"], counts["rows_that_match_no_query"], counts["rows_not_drawn"]) == (
        2,
        0,
        0,
    )
    assert balanced.queries["count"].to_pylist() == [3, 1]

    classes = [Class("n01443537", ("goldfish",), "a small fish", (), "test")]
    hits = search(pool, classes, SearchConfig(per_class=9), engine=ENGINE, workers=1)
    assert sorted(hit.uid for hit in hits.hits) == [f"{row:032x}" for row in (1, 3, 4)]
    assert hits.left_out()["opted out"] == 1


def test_a_set_of_vectors_removes_rows_beside_those_that_opted_out(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    uids = [f"{row:032x}" for row in range(ROWS)]
    pq.write_table(pa.table({"uid": uids, "text": ["x"] * ROWS}), folder / "00000.parquet")
    np.savez(folder / "00000.npz", b32_img=np.eye(ROWS, 8, dtype=np.float16))
    np.save(tmp_path / "set.npy", np.eye(ROWS, 8, dtype=np.float32)[[1, 2]])
    pool = open_pool(folder)
    remembered(pool, None, listed(tmp_path, "uids.txt", *uids[2:4]))
    found = decontaminate(pool, [str(tmp_path / "set.npy")], DecontaminateConfig("exact", threshold=0.9))
    assert found.subset.uids["f1"].tolist() == [0, 4, 5]
    assert (found.subset.manifest["rows_opted_out"], found.subset.manifest["rows_removed"]) == (2, 1)
    assert sorted(found.pairs["uid"].to_pylist()) == uids[1:3]


def test_a_list_of_urls_is_refused_before_a_pool_without_urls_remembers_it(tmp_path: Path) -> None:
    """It was remembered first, and then no command could filter the pool any more."""
    pq.write_table(pa.table({"uid": ["0" * 32], "text": ["x"]}), tmp_path / "00000.parquet")
    pool = open_pool(tmp_path)
    with pytest.raises(PoolError, match="`remove_urls` needs a column of URLs; shard 00000 has none"):
        remembered(pool, listed(tmp_path, "urls.txt", "https://a.org/1.jpg"), None)
    assert len(known(pool)) == 0


def test_both_lists_are_read_by_one_listing(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a store it takes three requests, and every command on a pool makes it several times."""
    urls, uids = (
        listed(tmp_path, "urls.txt", "https://a.org/1.jpg"),
        listed(tmp_path, "uids.txt", f"{4:032x}"),
    )
    asked, entries = [], LocalPlace.entries

    def counted(place: LocalPlace) -> list[Entry]:
        asked.append(place)
        return entries(place)

    monkeypatch.setattr(LocalPlace, "entries", counted)
    assert (len(remembered(pool, urls, uids)), len(asked)) == (2, 1)
    assert (len(known(pool)), len(asked)) == (2, 2)
