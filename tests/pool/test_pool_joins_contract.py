"""What every join keeps to: the bytes of one worker on a disk, by two workers on S3 of which one is killed, and on a
cluster of two Ray nodes of which one is killed while both are at work. Run again, it asks for nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from join_work import Dying, Idle, hashed_layer, made_vectors, vector_pool

from newtest.engines import Engine, LocalEngine, Resources, engine
from newtest.engines.ray import lost
from newtest.pool.dedup.decontaminate import DecontaminateConfig, decontaminate
from newtest.pool.dedup.hashing import HashJoin
from newtest.pool.dedup.joins import join_within
from newtest.pool.dedup.near_duplicates import DedupConfig, dedup
from newtest.pool.filtering import near_target
from newtest.pool.storage.kept_items import Keeping
from newtest.pool.storage.location import place_of
from newtest.pool.storage.pool import Pool, open_pool
from newtest.pool.storage.row_ranges import starts_of
from newtest.progress import UNWATCHED

THRESHOLD, BLOCK = 0.9, 170

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::FutureWarning",
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
    ),
    pytest.mark.xdist_group("ray"),
]


def by_vectors(method: Any, pool: Pool, runs: Engine, workers: int, block: int) -> object:
    config = DedupConfig(method, threshold=THRESHOLD, clusters=6, probe=2, block_rows=block)
    found = dedup(pool, config, UNWATCHED, runs, workers)
    return found.pairs.to_pylist(), found.subset.uids.tobytes(), found.subset.manifest["dedup"]


def exact(pool: Pool, target: Path, runs: Engine, workers: int, block: int) -> object:
    return by_vectors("exact", pool, runs, workers, block)


def clusters(pool: Pool, target: Path, runs: Engine, workers: int, block: int) -> object:
    return by_vectors("semantic", pool, runs, workers, block)


def reference(pool: Pool, target: Path, runs: Engine, workers: int, block: int) -> object:
    config = DecontaminateConfig("exact", threshold=THRESHOLD, block_rows=block)
    found = decontaminate(pool, [str(target)], config, UNWATCHED, runs, workers)
    return found.pairs.to_pylist(), found.subset.uids.tobytes(), found.subset.manifest["sets"]


def hashes(pool: Pool, target: Path, runs: Engine, workers: int, block: int) -> object:
    keeping = Keeping(pool, runs, Resources(workers), UNWATCHED)
    found = join_within(keeping, HashJoin(pool, starts_of(pool), 12), block)
    pairs = found.pairs.left, found.pairs.right, found.pairs.closeness
    return found.compared, [side.tolist() for side in pairs]


def image_near(pool: Pool, target: Path, runs: Engine, workers: int, block: int) -> object:
    keeping = Keeping(pool, runs, Resources(workers), UNWATCHED)
    rule, columns = near_target.image_near(pool, str(target), keeping=keeping)
    layer, _ = columns["image_cluster"]
    return rule.filters[0].describe(), [layer.table(pool, shard).to_pylist() for shard in pool.shards]


JOINS: list[Callable[[Pool, Path, Engine, int, int], object]] = [
    exact,
    clusters,
    reference,
    hashes,
    image_near,
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of the joins with one."""
    vectors = made_vectors()
    path = tmp_path_factory.mktemp("target") / "set.npy"
    np.save(path, np.concatenate([vectors[20:60], vectors[200:230]]))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool on a disk, with hashes."""
    folder = vector_pool(tmp_path_factory.mktemp("made"), made_vectors())
    hashed_layer(open_pool(folder))
    return folder


def stored(bucket: str, made: Path, name: str) -> Pool:
    """The same on S3."""
    place = place_of(f"{bucket}/{name}")
    for path in made.glob("*.*"):
        with place.writing(path.name) as copy:
            shutil.copy(path, copy)
    pool = open_pool(place.url)
    hashed_layer(pool)
    return pool


@pytest.fixture(scope="module")
def for_processes(bucket: str, made: Path) -> Pool:
    return stored(bucket, made, "joins-processes")


@pytest.fixture(scope="module")
def for_nodes(bucket: str, made: Path) -> Pool:
    return stored(bucket, made, "joins-nodes")


class Nodes:
    """A cluster with a head of one core, and a second node that may be killed; they know no store."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        self.second: Any = None

    def complete(self) -> None:
        if self.second not in self.cluster.worker_nodes:
            self.second = self.cluster.add_node(num_cpus=1)  # waits for it


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("RAY_health_check_period_ms", "300")  # a node that is gone is seen sooner
        import ray

        ray.shutdown()
        with pytest.MonkeyPatch.context() as without:
            for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
                without.delenv(name)
            started = Nodes()
        yield started
        ray.shutdown()
        started.cluster.shutdown()


class Killing:
    """An engine one of whose workers is killed at its first item, or one of its nodes when both are at work."""

    def __init__(self, inner: Engine, marks: Path, nodes: Nodes | None, *, worker: bool) -> None:
        self.name, self.inner, self.marks, self.nodes = inner.name, inner, marks, nodes
        marks.mkdir()
        for name in ["worker"] * worker + ["node"] * (nodes is not None):
            (marks / name).touch()
        if nodes is not None:
            threading.Thread(target=self._kill_the_node, args=[nodes], daemon=True).start()

    def map(
        self, make_worker: Any, items: Sequence[Any], resources: Resources = Resources()
    ) -> Iterator[Any]:
        return self.inner.map(Dying(make_worker, self.marks, os.getpid()), items, resources)

    def _kill_the_node(self, nodes: Nodes) -> None:
        while not (self.marks / nodes.second.node_id).exists():
            time.sleep(0.02)
        nodes.cluster.remove_node(nodes.second, allow_graceful=False)
        (self.marks / "node").unlink()

    def killed(self) -> bool:
        return not {"worker", "node"} & {path.name for path in self.marks.iterdir()}


@pytest.mark.parametrize("join", JOINS)
def test_a_killed_worker_and_a_store_do_not_show(
    join: Callable[..., object], made: Path, for_processes: Pool, target: Path, tmp_path: Path
) -> None:
    whole = join(open_pool(made), target, LocalEngine(), 1, 0)
    killing = Killing(LocalEngine(), tmp_path / "marks", None, worker=True)
    assert join(for_processes, target, killing, 2, BLOCK) == whole
    assert killing.killed()
    assert join(for_processes, target, Idle(), 2, BLOCK) == whole


@pytest.mark.parametrize("join", JOINS)
def test_a_cluster_and_a_killed_node_do_not_show(
    join: Callable[..., object], made: Path, for_nodes: Pool, target: Path, nodes: Nodes, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(lost, "_WAIT_S", 0.2)
    nodes.complete()
    whole = join(open_pool(made), target, LocalEngine(), 1, 0)
    runs = engine(f"ray:{nodes.cluster.address}")
    killing = Killing(runs, tmp_path / "marks", nodes, worker=join is exact)
    assert join(for_nodes, target, killing, 2, BLOCK) == whole
    assert killing.killed()
