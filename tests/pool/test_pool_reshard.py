"""A subset written out, copies and all; killed in the middle, and run again."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import killed_at_event, newtest

from newtest.engines import LocalEngine, Resources, local
from newtest.errors import PoolError
from newtest.pool.reshard import plan_reshard, reshard
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.subset import Subset

ENGINE = LocalEngine()


@pytest.fixture
def chosen(photo_pool: Path) -> tuple[Pool, Subset, list[dict[str, object]]]:
    """Every third row once, row 1 three times, and one id that the pool lacks."""
    pool = open_pool(photo_pool)
    rows = [row for path in sorted(photo_pool.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    wanted = [row for number, row in enumerate(rows) if number % 3 == 0 for _ in range(1)] + [rows[1]] * 3
    uids = ids.from_arrow(pa.array([str(row["uid"]) for row in wanted] + ["f" * 32]))
    return pool, Subset.of(uids), rows


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_samples_and_rows_come_out_in_order_with_their_copies(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path
) -> None:
    pool, subset, rows = chosen
    plan = plan_reshard(pool, subset, shard_rows=10)
    assert plan.absent == ("f" * 32,)
    assert plan.samples == len(subset) - 1 == 25
    outcomes = list(reshard(pool, plan, tmp_path / "out", ENGINE, Resources(1)))
    assert [outcome.value for outcome in outcomes] == [
        {"written": size, "missing": 0, "computed": 1} for size in (10, 10, 5)
    ]
    expected = [
        row["uid"] for number, row in enumerate(rows) for _ in range({1: 3}.get(number, number % 3 == 0))
    ]
    new = open_pool(tmp_path / "out")
    table = pa.concat_tables([pq.read_table(tmp_path / "out" / shard.table.name) for shard in new.shards])
    assert table["uid"].to_pylist() == expected
    assert table["key"].to_pylist() == [f"{number:09d}" for number in range(25)]
    sha256 = dict(zip(table["key"].to_pylist(), table["sha256"].to_pylist(), strict=True))
    import hashlib

    seen = set()
    for shard in new.shards:
        with tarfile.open(tmp_path / "out" / f"{shard.name}.tar") as archive:
            for member in archive:
                key, _, suffix = member.name.partition(".")
                if suffix.lower() in ("jpeg", "jpg"):
                    seen.add(key)
                    data = archive.extractfile(member).read()  # type: ignore[union-attr]
                    assert hashlib.sha256(data).hexdigest() == sha256[key]
    assert len(seen) == 25
    again = plan_reshard(new, Subset.of(ids.from_arrow(table["uid"].combine_chunks())))
    assert again.absent == ()


def test_run_again_it_writes_nothing_and_lost_shards_come_back_the_same(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path
) -> None:
    pool, subset, _ = chosen
    plan = plan_reshard(pool, subset, shard_rows=10)
    list(reshard(pool, plan, tmp_path, ENGINE, Resources(1)))
    before = contents(tmp_path)
    (tmp_path / "00000001.parquet").unlink()
    (tmp_path / "00000001.tar").write_bytes(b"half")
    done = [outcome.value for outcome in reshard(pool, plan, tmp_path, ENGINE, Resources(2))]
    assert sum(value["computed"] for value in done if value) == 1
    assert contents(tmp_path) == before


def test_another_recipe_or_strange_shards_are_not_overwritten(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path
) -> None:
    pool, subset, _ = chosen
    list(reshard(pool, plan_reshard(pool, subset, 10), tmp_path / "a", ENGINE, Resources(1)))
    with pytest.raises(PoolError, match="another pool, subset or shard size"):
        list(reshard(pool, plan_reshard(pool, subset, 11), tmp_path / "a", ENGINE, Resources(1)))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "0.tar").touch()
    with pytest.raises(PoolError, match="did not make"):
        list(reshard(pool, plan_reshard(pool, subset, 10), tmp_path / "b", ENGINE, Resources(1)))


def test_killed_at_any_moment_the_command_ends_with_the_same_bytes(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path
) -> None:
    pool, subset, _ = chosen
    subsets.write(subset, tmp_path / "s.npy")
    list(reshard(pool, plan_reshard(pool, subset, 2), tmp_path / "whole", ENGINE, Resources(1)))
    command = (
        "reshard-pool", pool.address, "--subset", "s.npy", "--out", "killed", "--shard-rows", "2", "--workers", "1",
    )  # fmt: skip
    commands.newtest(*command, cwd=tmp_path, until=lambda: any(tmp_path.glob("killed/*.parquet")))
    for after in (3, 6):
        killed_at_event(*command, cwd=tmp_path, after=after)
    done = newtest(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    finished = {
        name: data for name, data in contents(tmp_path / "killed").items() if not name.startswith(".")
    }
    assert finished == contents(tmp_path / "whole")


def test_a_dry_run_touches_nothing(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path
) -> None:
    pool, subset, _ = chosen
    subsets.write(subset, tmp_path / "s.npy")
    done = newtest(
        "reshard-pool", pool.address, "--subset", "s.npy", "--out", "new", "--dry-run", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "25 samples would go into 1 shards" in done.stdout
    assert not (tmp_path / "new").exists()


def test_rows_without_files_are_counted(photo_pool: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(photo_pool, tmp_path / "pool"))
    table = pq.read_table(folder / "00000002.parquet")
    keys = pa.array([f"none{number}" for number in range(len(table))])
    pq.write_table(
        table.set_column(table.column_names.index("key"), "key", keys), folder / "00000002.parquet"
    )
    pool = open_pool(folder)
    subset = Subset.of(ids.from_arrow(table["uid"].combine_chunks()))
    outcome = next(iter(reshard(pool, plan_reshard(pool, subset), tmp_path / "out", ENGINE, Resources(1))))
    assert outcome.value == {"written": 0, "missing": 4, "computed": 1}
    assert np.array_equal(open_pool(tmp_path / "out").rows(open_pool(tmp_path / "out").shards[0]), 0)
    again = next(iter(reshard(pool, plan_reshard(pool, subset), tmp_path / "out", ENGINE, Resources(1))))
    assert again.value == {"written": 0, "missing": 4, "computed": 0}, (
        "a second run still says what is missing"
    )


def test_of_several_subsets_the_rows_that_are_in_all_are_written(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], photo_pool: Path, tmp_path: Path
) -> None:
    import newtest as nt

    subset = chosen[1]
    parts = [Subset.of(subset.uids[:9]), Subset.of(subset.uids[5:]), subset]
    paths = [tmp_path / f"{number}.npy" for number in range(3)]
    for part, path in zip(parts, paths, strict=True):
        subsets.write(part, path)
    named = [word for path in paths for word in ("--subset", str(path))]
    done = newtest("reshard-pool", str(photo_pool), *named, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0 and "4 rows are in all 3 subsets" in done.stderr, done.stderr
    nt.Pool(photo_pool).reshard(paths, tmp_path / "python")
    assert contents(tmp_path / "out") == contents(tmp_path / "python")
    (table,) = (tmp_path / "out").glob("*.parquet")
    both = np.intersect1d(parts[0].uids, parts[1].uids)
    assert sorted(pq.read_table(table)["uid"].to_pylist()) == ids.to_hex(both).to_pylist()


def test_a_small_pool_starts_no_processes_and_a_large_one_does(
    chosen: tuple[Pool, Subset, list[dict[str, object]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def in_processes(make: Any, items: Any, workers: int, **more: Any) -> Any:
        started.append(len(items))
        return local._in_process(make, items)

    monkeypatch.setattr(local, "_in_processes", in_processes)
    monkeypatch.setattr(local, "HERE_S", 60.0)  # however slow this machine is
    monkeypatch.setattr(Resources, "count", lambda self, items: 2)
    pool, subset, _ = chosen
    for small, begun in ((1 << 40, []), (0, [3])):
        monkeypatch.setattr("newtest.pool.reshard.SMALL", small)
        out = tmp_path / str(small)
        list(reshard(pool, plan_reshard(pool, subset, 10), out, ENGINE, Resources()))
        assert started == begun and len(list(out.glob("*.parquet"))) == 3
    assert contents(tmp_path / "0") == contents(tmp_path / str(1 << 40))
