"""Density-based pruning against the paper's formulas written out plainly, and SciPy's solver."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import invoke
from scipy.optimize import minimize

from newtest.engines import LocalEngine, Resources
from newtest.errors import UsageError
from newtest.pool.density.complexity import allotted, between, shares
from newtest.pool.density.prune import PruneConfig, Pruned, prune
from newtest.pool.scoring import vectors_for
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.opt_outs import remembered
from newtest.pool.storage.pool import Pool, open_pool
from newtest.progress import UNWATCHED

ROWS, WIDTH, TOPICS = 240, 12, 4
NONE, OPTED_OUT = 17, 18


def vectors() -> np.ndarray:
    """Topics of different spread, one much larger than the others; three rows are equal."""
    draw = np.random.default_rng(0)
    topics = draw.standard_normal((TOPICS, WIDTH))
    which = draw.choice(TOPICS, ROWS, p=[0.6, 0.2, 0.15, 0.05])
    made = topics[which] + np.array([0.1, 0.3, 0.6, 0.9])[which, None] * draw.standard_normal((ROWS, WIDTH))
    made[50] = made[51] = made[52]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    stored = made.astype(np.float16)
    stored[NONE] = np.nan
    return stored


VECTORS = vectors()


def pool_of(folder: Path, cuts: tuple[int, ...]) -> Pool:
    folder.mkdir()
    for number, (start, stop) in enumerate(zip((0, *cuts), (*cuts, ROWS), strict=True)):
        table = {
            "uid": [f"{(row * 7919) % 1009:032x}" for row in range(start, stop)],
            "text": ["x"] * (stop - start),
        }
        pq.write_table(pa.table(table), folder / f"{number}.parquet")
        np.savez(folder / f"{number}.npz", b32_img=VECTORS[start:stop])
    return open_pool(folder)


def pruned(pool: Pool, config: PruneConfig, workers: int = 1, within: np.ndarray | None = None) -> Pruned:
    keeping = Keeping(pool, LocalEngine(), Resources(workers), UNWATCHED)
    return prune(keeping, vectors_for(pool), config, within)


def rows_of(found: Pruned) -> list[int]:
    where = {(row * 7919) % 1009: row for row in range(ROWS)}
    return sorted(where[uid] for uid in found.subset.uids["f1"].tolist())


def test_numbers_are_those_of_a_solver() -> None:
    draw = np.random.default_rng(1)
    for _ in range(20):
        clusters = int(draw.integers(2, 9))
        sizes = draw.integers(1, 60, clusters)
        total = int(draw.integers(clusters, sizes.sum() + 1))
        share = draw.dirichlet(np.ones(clusters))
        wanted = share * total
        solved = minimize(
            lambda n, wanted=wanted: ((n - wanted) ** 2).sum(),
            np.clip(wanted, 1, sizes),
            jac=lambda n, wanted=wanted: 2 * (n - wanted),
            bounds=[(1, size) for size in sizes],
            constraints={"type": "eq", "fun": lambda n, total=total: n.sum() - total, "jac": np.ones_like},
            method="SLSQP",
            options={"maxiter": 1000, "ftol": 1e-12},
        )
        found = allotted(share, sizes, total)
        assert found.sum() == total
        assert (found >= 1).all() and (found <= sizes).all()
        assert np.abs(found - solved.x).max() < 1.01


def test_bounds_and_whole_numbers() -> None:
    assert allotted(np.array([0.5, 0.5]), np.array([3, 3]), 6).tolist() == [3, 3]
    assert allotted(np.array([1.0, 0.0, 0.0]), np.array([2, 9, 9]), 8).tolist() == [2, 3, 3]
    assert (
        allotted(np.array([0.5, 0.25, 0.25]), np.array([5, 5, 5]), 2).sum() == 2
    )  # fewer rows than clusters
    assert allotted(np.array([0.7, 0.3]), np.array([0, 4]), 3).tolist() == [0, 3]
    assert shares(np.array([0.2, 0.1]), 0.1).tolist() == pytest.approx([np.e / (1 + np.e), 1 / (1 + np.e)])


def test_distances_between_centroids_are_to_the_nearest_others() -> None:
    draw = np.random.default_rng(2)
    centroids = draw.standard_normal((30, 6))
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    for neighbours in (1, 5, 20, 40):
        wanted = []
        for one in range(30):
            others = sorted(1 - centroids[one] @ centroids[other] for other in range(30) if other != one)
            wanted.append(np.mean(others[:neighbours]))
        np.testing.assert_allclose(between(centroids, neighbours), wanted, atol=1e-12)
    assert between(centroids[:1]).tolist() == [0.0]


@pytest.mark.parametrize("keep", ["hard", "easy"])
def test_a_pool_is_pruned_as_the_paper_says(tmp_path: Path, keep: str) -> None:
    pool = pool_of(tmp_path / "pool", (100,))
    (tmp_path / "out.txt").write_text(f"{(OPTED_OUT * 7919) % 1009:032x}\n")
    remembered(pool, None, tmp_path / "out.txt")
    found = pruned(pool, PruneConfig(0.4, clusters=5, temperature=0.05, keep=keep))
    layer = next((tmp_path / "pool" / "__newtest" / "layers").glob("density-*"))
    files = sorted(layer.glob("*.parquet"))
    tables = pa.concat_tables([pq.read_table(file) for file in files])
    cluster, distance = tables["cluster"].to_numpy().copy(), tables["distance"].to_numpy()
    assert np.flatnonzero(cluster < 0).tolist() == [NONE]
    cluster[OPTED_OUT] = -1
    sizes = np.bincount(cluster[cluster >= 0], minlength=5)
    total = int(0.4 * (ROWS - 2))
    table = found.clusters.to_pydict()
    assert table["rows"] == sizes.tolist()
    intra = [distance[cluster == one].mean(dtype=np.float64) for one in range(5)]
    np.testing.assert_allclose(table["d_intra"], intra, atol=1e-7)
    share = shares(np.array(intra) * table["d_inter"], 0.05)
    np.testing.assert_allclose(table["share"], share, atol=1e-6)
    assert table["kept"] == allotted(np.array(table["share"]), sizes, total).tolist()
    wanted: list[int] = []
    sign = -1 if keep == "hard" else 1
    for one in range(5):
        members = np.flatnonzero(cluster == one).tolist()
        best = sorted(members, key=lambda row: (sign * distance[row], (row * 7919) % 1009))
        wanted += best[: table["kept"][one]]
    assert rows_of(found) == sorted(wanted)
    told = found.subset.manifest
    assert (told["rows_read"], told["rows_opted_out"], told["rows_without_a_vector"]) == (ROWS, 1, 1)
    assert told["rows_pruned"] == ROWS - 2 - total == ROWS - 2 - len(found.subset)


@pytest.mark.parametrize("keep", ["hard", "random"])
def test_shards_and_workers_do_not_show(tmp_path: Path, keep: str) -> None:
    config = PruneConfig(0.3, clusters=4, keep=keep, seed=3)
    one = pruned(pool_of(tmp_path / "one", ()), config)
    workers = 2 if keep == "hard" else 1  # starting processes is the dearest part
    other = pruned(pool_of(tmp_path / "other", (1, 90, 91)), config, workers)
    assert one.subset.uids.tobytes() == other.subset.uids.tobytes()
    assert one.clusters.equals(other.clusters)
    differently = pruned(open_pool(tmp_path / "one"), PruneConfig(0.3, clusters=4, keep="random", seed=4))
    assert differently.subset.uids.tobytes() != one.subset.uids.tobytes()


def test_rows_outside_a_subset_do_not_count(tmp_path: Path) -> None:
    within = np.zeros(ROWS, np.bool_)
    within[::2] = True
    found = pruned(pool_of(tmp_path / "pool", (100,)), PruneConfig(0.5, clusters=3), within=within)
    assert len(found.subset) == 60
    assert all(row % 2 == 0 for row in rows_of(found))
    assert found.subset.manifest["rows_outside_the_subset"] == ROWS // 2


def test_the_command_writes_a_subset_and_its_clusters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool_of(tmp_path / "pool", (100,))
    monkeypatch.chdir(tmp_path)

    def newtest(*words: str) -> str:
        done = invoke(list(words))
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    newtest("dedup-pool", "pool", "--method", "exact", "--threshold", "0.9999", "--out", "dedup.npy")
    words = ("--within", "dedup.npy", "--fraction", "0.25", "--clusters", "4", "--out", "kept.npy")
    told = json.loads(newtest("prune-pool", "pool", *words, "--json"))
    assert told["rows_outside_the_subset"] == 2
    assert told["rows"] == len(np.load("kept.npy")) == int(0.25 * (ROWS - 3))
    assert pq.read_table("kept.clusters.parquet")["kept"].to_numpy().sum() == told["rows"]
    assert "kept 59 rows of 4 clusters" in newtest("prune-pool", "pool", *words)
    for wrong, said in (
        ({"fraction": 0.0}, "more than 0 and at most 1"),
        ({"fraction": 0.5, "temperature": 0.0}, "temperature"),
        ({"fraction": 0.5, "keep": "best"}, "`keep` is hard, easy, random"),
    ):
        with pytest.raises(UsageError, match=said):
            PruneConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="keeps none"):
        pruned(open_pool("pool"), PruneConfig(0.001))
