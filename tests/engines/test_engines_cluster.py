"""Two Ray nodes on this machine: what a shared cluster does to a run. At the end one of them is killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_work import make_elsewhere, make_slow, make_square, make_variables
from watchers import Watcher

from newtest.engines import Resources, engine
from newtest.engines.ray import RayEngine, connecting, crew, lost, patience
from newtest.errors import ClusterError, FolderMissing

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::FutureWarning",
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
    ),
    pytest.mark.xdist_group("ray"),
]
SECRET = "/the+secret/of=this/module"  # as a key of AWS may look: it begins like a path


class Nodes:
    """A head and a second node of one core each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        self.second = self.cluster.add_node(num_cpus=1)
        self.cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        return str(self.cluster.address)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        ray.shutdown()
        nodes = Nodes()
        yield nodes
        ray.shutdown()
        nodes.cluster.shutdown()


@pytest.fixture
def joined(nodes: Nodes) -> Iterator[Any]:
    """Ray, already joined: a run keeps to that."""
    import ray

    ray.init(
        nodes.address, log_to_driver=False, include_dashboard=False, configure_logging=False, namespace="test"
    )
    yield ray
    ray.shutdown()


def told(watcher: Watcher) -> list[str]:
    """Without what is said of a busy machine."""
    return [one for one in watcher.said if not one.startswith("waiting for a worker")]


def test_variables_reach_the_workers_and_stand_in_none_of_rays_files(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": SECRET, "NEWTEST_SHOWN": "yes"}
    for name, value in {
        **given, "AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such", "NEWTEST_ACCESS_TOKEN": "of a server", "OTHER": "no",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    watcher = Watcher()
    asked = [*given, "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SESSION_TOKEN", "NEWTEST_ACCESS_TOKEN", "OTHER"]
    (outcome,) = RayEngine(nodes.address, progress=watcher).map(make_variables, [asked])
    assert outcome.value == {**dict.fromkeys(asked), **given}
    (said,) = told(watcher)  # a path that the node lacks is named
    assert "lacks the files or folders of these variables" in said
    assert said.endswith(": AWS_WEB_IDENTITY_TOKEN_FILE")
    folder = Path(nodes.cluster.head_node.get_session_dir_path())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_a_node_that_lacks_the_folder_is_named_and_its_items_go_elsewhere(nodes: Nodes) -> None:
    watcher = Watcher()
    second = nodes.second.node_id
    outcomes = list(
        RayEngine(nodes.address, progress=watcher).map(make_elsewhere([second]), list(range(6)), Resources(2))
    )
    assert sorted(outcome.item for outcome in outcomes) == list(range(6))
    assert {outcome.value[1] for outcome in outcomes if outcome.value} == {nodes.cluster.head_node.node_id}
    assert not any(outcome.error for outcome in outcomes)
    if told(watcher):  # the second worker may have come when all was done
        (said,) = told(watcher)
        assert f"Ray's node {second[:8]}): there is no folder /data/pool" in said
    everywhere = make_elsewhere([second, nodes.cluster.head_node.node_id])
    with pytest.raises(FolderMissing, match=r"no node of the Ray cluster has the folder.*; .*/data/pool"):
        list(RayEngine(nodes.address).map(everywhere, [1, 2], Resources(2)))


def test_while_others_take_all_cpus_that_is_said(joined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_S", 0.1)
    hogs = [joined.remote(_Hog).options(num_cpus=1).remote() for _ in range(2)]
    joined.get([hog.there.remote() for hog in hogs])

    class Freeing(Watcher):
        def say(self, sentence: str) -> None:
            super().say(sentence)
            while hogs:
                joined.kill(hogs.pop())

    watcher = Freeing()
    outcomes = list(RayEngine(progress=watcher).map(make_square, [2, 3]))
    assert sorted(outcome.value for outcome in outcomes) == [4, 9]
    assert watcher.said[0] == (
        "waiting for a worker of Ray: 0 of 2 CPUs are free in the cluster, and a worker takes 1 CPU"
    )


class _Hog:
    def there(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("settings", "resources", "told"),
    [
        ("memory=90TiB,wait=0.2", Resources(1), r"1 CPU and 92,160 GiB of memory, and no node .* has that"),
        ("wait=0.2", Resources(1, gpus=1), r"1 CPU and 1 GPU, and no node of the cluster has that \(at most 1 CPUs"),
    ],
)  # fmt: skip
def test_what_no_node_has_is_not_waited_for_for_ever(
    settings: str, resources: Resources, told: str, joined: Any
) -> None:
    with pytest.raises(ClusterError, match=told):
        list(engine(f"ray,{settings}").map(make_square, [1], resources))


def test_other_versions_are_one_sentence(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    with monkeypatch.context() as patch:
        patch.setattr(ray, "__version__", "2.9.0")
        with pytest.raises(ClusterError, match=r"the cluster has Ray 2\.\d+.* and this machine Ray 2\.9\.0"):
            list(RayEngine(nodes.address).map(make_square, [1]))
    monkeypatch.setattr(crew, "__version__", "0.0")
    with pytest.raises(
        ClusterError, match=r"and this machine 0\.0: install the same version on all machines"
    ):
        list(RayEngine(nodes.address).map(make_square, [1]))


def test_a_port_of_ray_that_is_not_the_heads_is_one_sentence(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_RETRIES_S", "1")
    import ray

    with pytest.raises(ClusterError, match="does not answer as the head of Ray") as caught:
        list(RayEngine(f"127.0.0.1:{_port_of_a_node(nodes)}").map(make_square, [1]))
    assert "\n" not in str(caught.value)
    assert not ray.is_initialized()


def _port_of_a_node(nodes: Nodes) -> int:
    import ray

    ray.init(nodes.address, log_to_driver=False, include_dashboard=False, configure_logging=False)
    port = int(ray.nodes()[0]["NodeManagerPort"])
    ray.shutdown()
    return port


def test_a_node_that_is_killed_costs_no_item(
    nodes: Nodes, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test: it leaves one node."""
    monkeypatch.setattr(lost, "_WAIT_S", 1.0)
    watcher = Watcher()
    outcomes = []
    killed = False
    for outcome in RayEngine(nodes.address, progress=watcher).map(make_slow, list(range(24)), Resources(2)):
        outcomes.append(outcome)
        # Only when both nodes are at work is there something to lose.
        if not killed and len({value[1] for value in (each.value for each in outcomes) if value}) == 2:
            nodes.cluster.remove_node(nodes.second, allow_graceful=False)
            killed = True
    assert killed
    assert sorted(outcome.item for outcome in outcomes) == list(range(24))
    assert [outcome.error for outcome in outcomes] == [None] * 24
    assert sum(outcome.tries > 1 for outcome in outcomes) == 1
    assert f"Ray's node {nodes.second.node_id[:8]}), it" in told(watcher)[0]
    assert "node is gone" in told(watcher)[0]
    assert watcher.said[-1].startswith("1 workers of Ray were lost, and 1 items were begun again")
    assert capfd.readouterr().out == ""  # a result's place: Ray prints the node's log there otherwise
