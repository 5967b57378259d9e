"""Caps on hosts, clusters and values of a column, against the rule written out plainly."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import newtest

import newtest as nt
from newtest.download.urls import host_of
from newtest.engines import LocalEngine
from newtest.errors import PoolError, UsageError
from newtest.pool.group_caps import GroupCaps, balance_per
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.pool import Pool, open_pool

ENGINE = LocalEngine()
SIZE = 9000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards: hosts of 6,000, 2,400, 540, 30 and 30 rows, some without a URL; a column of whole numbers."""
    made = tmp_path_factory.mktemp("hosts")
    draw = np.random.default_rng(0)
    hosts = np.repeat(
        ["big.example", "Mid.example:8080", "small.example", "rare.example", ""], [6000, 2400, 540, 30, 30]
    )
    hosts = draw.permutation(hosts)
    for shard in range(3):
        part = slice(shard * 3000, shard * 3000 + 3000)
        urls = [f"https://{host}/{number}.jpg" if host else None for number, host in enumerate(hosts[part])]
        pq.write_table(
            pa.table(
                {
                    "uid": [f"{number:032x}" for number in range(part.start, part.stop)],
                    "url": pa.array(urls, pa.string()),
                    "topic": pa.array(np.arange(3000) % 7, pa.int16()),
                    "share": np.arange(3000) / 7,
                }
            ),
            made / f"{shard}.parquet",
        )
    return made


def kept(pool: Pool, found: subsets.Subset) -> list[str]:
    return ids.to_hex(found.uids).to_pylist()


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_large_hosts_are_capped_and_small_ones_stay_whole(folder: Path, power: float) -> None:
    pool = open_pool(folder)
    found = balance_per(pool, GroupCaps("host", 400, power, 3), ENGINE, 1)
    rows = [row for path in sorted(folder.glob("*")) for row in pq.read_table(path).to_pylist()]
    host = {row["uid"]: host_of(row["url"] or "") for row in rows}
    counts = Counter(host.values())
    without = counts.pop("")
    assert found.groups.to_pylist() == [
        {"group": name, "count": count, "probability": min(1.0, (400 / count) ** power)}
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    stays = Counter(host[uid] for uid in kept(pool, found.subset))
    for name, count in counts.items():
        chance = min(1.0, (400 / count) ** power)
        assert abs(stays[name] - count * chance) <= 5 * (count * chance * (1 - chance)) ** 0.5
    assert stays["rare.example"] == 30 and stays[""] == 0
    manifest = found.subset.manifest
    assert manifest["rows_without_a_group"] == without == 30
    assert manifest["head"] == {"groups": 3, "rows": 8940} and manifest["tail"] == {"groups": 1, "rows": 30}
    assert manifest["rows_read"] == SIZE == 30 + manifest["rows_not_drawn"] + len(found.subset)


def test_usual_ports_case_and_a_last_dot_make_no_other_host(tmp_path: Path) -> None:
    urls = [
        "HTTP://A.example:80/1", "http://a.example/2", "https://a.example.:443/3", "https://a.example/4", "//b:80/5",
        "http://a.example:443/6", "http://[2001:db8::80]/7", "http://./8", "no URL", None,
    ]  # fmt: skip
    uids = [f"{number:032x}" for number in range(len(urls))]
    pq.write_table(pa.table({"uid": uids, "url": pa.array(urls, pa.string())}), tmp_path / "0.parquet")
    found = balance_per(open_pool(tmp_path), GroupCaps("host", 9), ENGINE, 1)
    counts = {row["group"]: row["count"] for row in found.groups.to_pylist()}
    assert counts == {"a.example": 4, "a.example:443": 1, "2001:db8::80": 1, "b:80": 1}
    assert found.subset.manifest["rows_without_a_group"] == len(urls) - sum(counts.values())


def test_neither_shards_nor_workers_show_and_seeds_do(folder: Path, tmp_path: Path) -> None:
    config = GroupCaps("host", 400, 0.5, 3)
    found = balance_per(open_pool(folder), config, ENGINE, 1).subset.uids.tobytes()
    assert balance_per(open_pool(folder), config, ENGINE, 2).subset.uids.tobytes() == found
    whole = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*"))])
    order = np.random.default_rng(1).permutation(SIZE)
    for number, part in enumerate(np.array_split(order, 5)):
        pq.write_table(whole.take(part), tmp_path / f"{number}.parquet")
    assert balance_per(open_pool(tmp_path), config, ENGINE, 1).subset.uids.tobytes() == found
    other = GroupCaps("host", 400, 0.5, 4)
    assert balance_per(open_pool(folder), other, ENGINE, 1).subset.uids.tobytes() != found


def test_values_of_a_column_and_rows_that_opted_out(folder: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(folder, tmp_path / "pool"))
    (tmp_path / "gone.txt").write_text("".join(f"{number:032x}\n" for number in range(100)))
    done = newtest("filter-pool", "pool", "--remove-uids", "gone.txt", "--out", "f.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    arguments = ["balance-pool", "pool", "--per", "topic", "--cap", "50", "--out", "s.npy"]
    told = json.loads(newtest(*arguments, "--json", cwd=tmp_path).stdout)
    assert told["rows_opted_out"] == 100 and told["balance"]["groups"] == 7
    groups = pq.read_table(tmp_path / "s.groups.parquet")
    assert sum(groups["count"].to_pylist()) == SIZE - 100
    assert not {f"{number:032x}" for number in range(100)} & set(
        kept(open_pool(pool), subsets.read(tmp_path / "s.npy"))
    )
    assert told["rows"] + told["rows_not_drawn"] == SIZE - 100
    assert abs(told["rows"] - 350) < 5 * 350**0.5
    said = newtest(*arguments, cwd=tmp_path).stdout
    assert "head: 7 groups above the cap with 8,900 rows; tail: 0 with 0" in said and "100 opted out" in said
    plan = json.loads(newtest(*arguments, "--plan", "--json", cwd=tmp_path).stdout)
    assert plan["rows"] == SIZE and plan["passes"] == 2 and plan["tried"] == 3000


def test_clusters_are_those_of_pruning(folder: Path, tmp_path: Path) -> None:
    pool = Path(shutil.copytree(folder, tmp_path / "pool"))
    np.save(tmp_path / "v.npy", np.random.default_rng(5).normal(size=(SIZE, 8)).astype(np.float32))
    of = ["--clusters", "4", "--vectors", "v.npy", "--json"]
    arguments = ["balance-pool", "pool", "--per", "cluster", "--cap", "500", "--out", "s.npy", *of]
    told = json.loads(newtest(*arguments, cwd=tmp_path).stdout)
    assert told["balance"]["clusters"] == told["balance"]["groups"] == 4
    pruned = newtest("prune-pool", "pool", "--fraction", "1", "--out", "p.npy", *of, cwd=tmp_path)
    assert pruned.returncode == 0, pruned.stderr
    rows = pq.read_table(tmp_path / "p.clusters.parquet").to_pylist()
    groups = pq.read_table(tmp_path / "s.groups.parquet").to_pylist()
    assert {int(row["group"]): row["count"] for row in groups} == {
        row["cluster"]: row["rows"] for row in rows
    }
    found = nt.Pool(pool).balance_per("cluster", clusters=4, cap=500, vectors=str(tmp_path / "v.npy"))
    assert found.subset.uids.tobytes() == subsets.read(tmp_path / "s.npy").uids.tobytes()


def test_mistakes_are_said(folder: Path, tmp_path: Path) -> None:
    pool = open_pool(folder)
    with pytest.raises(PoolError, match="no column 'nothing'; `per` is host, cluster or a column"):
        balance_per(pool, GroupCaps("nothing"), ENGINE)
    with pytest.raises(PoolError, match="holds double; groups are texts, whole numbers or booleans"):
        balance_per(pool, GroupCaps("share"), ENGINE, 1)
    with pytest.raises(UsageError, match="go with `per` cluster"):
        balance_per(pool, GroupCaps("host", clusters=3), ENGINE)
    for wrong in ({"cap": 0}, {"power": 0.0}, {"power": 1.5}):
        with pytest.raises(UsageError):
            GroupCaps("host", **wrong)  # type: ignore[arg-type]
    (tmp_path / "q.txt").write_text("dog\n")
    both = newtest(
        "balance-pool", str(folder), "--per", "host", "--queries", str(tmp_path / "q.txt"), cwd=tmp_path
    )
    assert both.returncode == 2 and "--per caps groups; it goes without --queries" in both.stderr
    alone = newtest("balance-pool", str(folder), "--clusters", "3", cwd=tmp_path)
    assert alone.returncode == 2 and "go with --per cluster" in alone.stderr
