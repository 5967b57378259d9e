"""Plans of scoring, pruning, searching, resharding and fetching: what they count, and that they write nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pool_commands import contents, newtest

from newtest.cli.app import command
from newtest.pool.storage import subset as subsets
from newtest.pool.storage import uids as ids
from newtest.pool.storage.subset import Subset

WITHOUT = {
    "pool-status": "reads footers alone",
    "import-pool": "reads each file once",
    "caption-pool": "reads two tables once",
    "audit-pool": "draws a sample",
}


@pytest.fixture(scope="module")
def folder(photo_pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos' pool, with vectors, a score and URLs beside it."""
    made = tmp_path_factory.mktemp("plans")
    shutil.copytree(photo_pool, made / "pool")
    np.save(made / "v.npy", np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32))
    (made / "head.py").write_text("def total(vectors):\n    return vectors.sum(axis=1)\n")
    urls = [f"http://{'big' if row % 4 else 'small'}.example/{row}.jpg" for row in range(400)]
    urls[4] = None  # type: ignore[call-overload]  # a row without a URL has no host
    pq.write_table(pa.table({"url": urls, "text": ["a"] * 400}), made / "urls.parquet")
    return made


BRIEF = {"newtest.pool.pass_plans:SECOND": 0.1}


def planned(folder: Path, *arguments: str) -> dict[str, Any]:
    before = contents(folder)
    done = newtest(*arguments, "--plan", "--json", cwd=folder, values=BRIEF)
    assert done.returncode == 0, done.stderr
    assert contents(folder) == before
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["command"] == arguments[0] and told["hours_here"] > 0
    return told


def test_every_heavy_command_on_pools_has_a_plan() -> None:
    pools = {
        name: each
        for name, each in command().commands.items()
        if name.endswith("-pool") or name == "pool-status"
    }
    having = {name for name, each in pools.items() if any("--plan" in p.opts for p in each.params)}
    assert set(pools) - having == set(WITHOUT) & set(pools)


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        (("reshard-pool", "pool", "--all"), 1),
        (("score-pool", "pool", "--vectors", "v.npy", "--scorer", "head.py:total"), 1),
        (("score-pool", "pool", "--vectors", "v.npy", "--norm-sim", "v.npy"), 1),
        (("score-pool", "pool", "--rank", "original_width", "--rank", "original_height"), 2),
        (("search-pool", "pool", "--wnid", "n01440764"), 2),
    ],
)
def test_passes_count_all_rows(folder: Path, arguments: tuple[str, ...], passes: int) -> None:
    told = planned(folder, *arguments)
    assert (told["rows"], told["shards"], told["passes"], told["done"]) == (64, 3, passes, 0)
    assert told["tried"] >= 30 and told["hours_on_workers"] == pytest.approx(
        (passes * 64 / told["rate"] + told["alone"]) / 3600
    )
    assert (told["alone"] > 0) == (arguments[0] == "reshard-pool" or "--rank" in arguments)
    sizes = sum(path.stat().st_size for path in (folder / "pool").glob("*.tar"))
    assert (told["bytes_read"] > sizes) == (arguments[0] == "reshard-pool")


def test_a_plan_of_neg_clip_loss_counts_batches(folder: Path) -> None:
    pool = shutil.copytree(folder / "pool", folder.parent / f"{folder.name}-npz" / "pool")
    for number, rows in enumerate((30, 30, 4)):
        made = np.random.default_rng(number).normal(size=(rows, 8)).astype(np.float16)
        np.savez(pool / f"{number:08d}.npz", b32_img=made, b32_txt=made)
    few, many = (
        planned(Path(pool).parent, "score-pool", "pool", "--neg-clip-loss", "--batches", batches)
        for batches in ("1", "50")
    )
    assert few["rate"] > 5 * many["rate"] and few["bytes_read"] == 4 * 64 * 8


@pytest.mark.parametrize(
    ("arguments", "clusters"),
    [
        (("prune-pool", "pool", "--vectors", "v.npy", "--clusters", "7"), 7),
        (("balance-pool", "pool", "--per", "cluster", "--vectors", "v.npy"), 1),
        (("filter-pool", "pool", "--image-near", "v.npy", "--vectors", "v.npy"), 1),
    ],
)
def test_plans_of_clusters_count_multiplications(
    folder: Path, arguments: tuple[str, ...], clusters: int
) -> None:
    told = planned(folder, *arguments)
    assert (told["rows"], told["clusters"], told["width"]) == (64, clusters, 16)
    assert told["operations"] == (12 * 64 + 64) * clusters * 16


def test_a_plan_of_a_download_asks_nobody_and_the_largest_host_decides(folder: Path) -> None:
    told = planned(folder, "fetch-pool", "urls.parquet", "--connections", "100", "--per-host", "10")
    assert (told["rows"], told["hosts"], told["share_of_the_largest_host"]) == (400, 2, 0.75)
    assert told["hours_here"] == pytest.approx(300 / 10 * told["seconds_per_image"] / 3600)
    said = " ".join(newtest("fetch-pool", "urls.parquet", "--plan", cwd=folder).stdout.split())
    assert "share of the largest host" in said and "75.0%" in said
    for line in (
        "seconds per download (assumed) 0.5",
        "bytes per image (assumed) 100,000",
        "GiB to read (assumed)",
    ):
        assert line in said
    assert "hours on an H100 a GPU changes nothing" in said


def test_a_plan_of_resharding_has_the_rows_of_the_subset_and_says_what_it_does_not_count(
    folder: Path, tmp_path: Path
) -> None:
    pool = Path(shutil.copytree(folder / "pool", tmp_path / "pool"))
    uids = pq.read_table(pool / "00000001.parquet")["uid"].to_pylist()[:7]
    subsets.write(
        Subset.of(ids.from_arrow(pa.array([*uids, uids[0]]))), tmp_path / "s.npy"
    )  # not in the first shard
    (pool / "00000002.parquet").unlink()
    before = contents(tmp_path)
    done = newtest("reshard-pool", "pool", "--subset", "s.npy", "--plan", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (told["rows"], told["tried"], told["shards"]) == (8, 8, 2) and contents(tmp_path) == before
    assert (
        "1 tars have no table beside them, such as 00000002.tar; a plan does not count their samples"
        in done.stderr
    )
    subsets.write(Subset.of(ids.from_arrow(pa.array(["f" * 32]))), tmp_path / "other.npy")
    other = newtest("reshard-pool", "pool", "--subset", "other.npy", "--plan", cwd=tmp_path)
    assert other.returncode != 0 and "it was made of another pool" in other.stderr
    for path in pool.glob("*.parquet"):
        path.unlink()
    bare = newtest("reshard-pool", "pool", "--all", "--plan", cwd=tmp_path)
    assert bare.returncode != 0 and "no tar has a table, and a plan counts rows of tables" in bare.stderr
