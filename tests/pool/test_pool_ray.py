"""A pool on S3 and a cluster of two Ray nodes, one of which is killed: the bytes of this machine's engine."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_work import SlowHashes
from watchers import Watcher

from newtest.engines import LocalEngine, Resources, engine
from newtest.engines.ray import lost
from newtest.errors import FolderMissing
from newtest.pool.dedup.hash_layer import HASHES, HashShard
from newtest.pool.importing import import_folder
from newtest.pool.storage.layers import build
from newtest.pool.storage.location import LocalPlace, place_of
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import open_pool

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::FutureWarning",
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
    ),
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture
def nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster of two nodes of a core each, and the second; they start in an environment that knows no store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
        from ray.cluster_utils import Cluster

        ray.shutdown()
        with pytest.MonkeyPatch.context() as without:
            for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
                without.delenv(name)
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
            second = cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
        yield cluster, second
        ray.shutdown()
        cluster.shutdown()


def test_a_pool_on_s3_outlives_a_node(
    bucket: str, captioned: Path, nodes: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "_WAIT_S", 1.0)
    here = tmp_path / "pool"
    shards = list(import_folder(captioned, here, shard_rows=8))
    assert len(shards) == 8
    there = place_of(f"{bucket}/nodes")
    for path in here.iterdir():
        if path.is_file():
            with there.writing(path.name) as copy:
                shutil.copy(path, copy)
    cluster, second = nodes
    watcher = Watcher()
    marks = tmp_path / "marks"
    marks.mkdir()
    outcomes = []
    runs = engine(f"ray:{cluster.address}", watcher)
    for outcome in build(open_pool(there.url), HASHES, SlowHashes(marks), runs, Resources(2)):
        outcomes.append(outcome)
        if second in cluster.worker_nodes and (marks / second.node_id).exists():
            cluster.remove_node(second, allow_graceful=False)
    assert complete(iter(outcomes), 8) == {"rows": 64, "failed": 0, "computed": 8}
    assert any("node is gone" in one for one in watcher.said)
    local = open_pool(here)
    complete(build(local, HASHES, HashShard, LocalEngine(), Resources(1)), 8)
    names = [f"{HASHES.folder}/manifest.json", *(HASHES.file(local, shard) for shard in local.shards)]
    layers = open_pool(there.url).layers
    assert [layers.open(name).read() for name in names] == [local.layers.open(name).read() for name in names]


def test_a_place_looks_whether_its_folder_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is unpacked on a node of a cluster."""
    pool = tmp_path / "mount" / "pool"
    pool.mkdir(parents=True)
    (pool / "0.parquet").touch()
    place = LocalPlace(pool)
    to_come = LocalPlace(pool / "__newtest" / "layers")
    packed, layers = pickle.dumps(place), pickle.dumps(to_come)
    assert (pickle.loads(packed), pickle.loads(layers)) == (place, to_come)
    monkeypatch.chdir(pool.parent)
    relative = pickle.dumps(LocalPlace(Path("pool"))), pickle.dumps(LocalPlace(Path("new")))
    assert pickle.loads(relative[0]).root == Path("pool")
    (pool / "0.parquet").unlink()
    with pytest.raises(FolderMissing, match="is empty on this machine, as if nothing were mounted"):
        pickle.loads(packed)
    shutil.rmtree(pool.parent)
    for gone in (packed, layers, *relative):
        with pytest.raises(FolderMissing, match="there is no folder"):
            pickle.loads(gone)


def test_a_pool_and_its_layers_are_looked_for(datacomp: Path, tmp_path: Path) -> None:
    """A pool that is packed for a worker: its folder, and that of its layers."""
    here = Path(shutil.copytree(datacomp, tmp_path / "pool"))
    elsewhere = tmp_path / "layers"
    elsewhere.mkdir()
    pool = open_pool(here, layers=elsewhere)
    packed = pickle.dumps(pool)
    assert pickle.loads(packed) == pool and vars(pickle.loads(packed)) == vars(pool)
    elsewhere.rmdir()
    with pytest.raises(FolderMissing, match=r"there is no folder .*/layers on this machine"):
        pickle.loads(packed)
    elsewhere.mkdir()
    shutil.rmtree(here)
    with pytest.raises(FolderMissing, match=r"there is no folder .*/pool on this machine"):
        pickle.loads(packed)
