"""Two Ray nodes on this machine, one of them killed in the middle of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_work import make_slow

from newtest.engines import Resources
from newtest.engines.ray import RayEngine

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
def nodes() -> Iterator[tuple[Any, Any, str]]:
    """A head and a second node of one core each: the cluster, the second node, the address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
        from ray.cluster_utils import Cluster

        ray.shutdown()
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster, second, cluster.address
        ray.shutdown()
        cluster.shutdown()


def test_a_node_that_is_killed_costs_no_item(nodes: tuple[Any, Any, str]) -> None:
    cluster, second, address = nodes
    outcomes = []
    killed = False
    for outcome in RayEngine(address).map(make_slow, list(range(24)), Resources(2)):
        outcomes.append(outcome)
        # Only when both nodes are at work is there something to lose.
        if not killed and len({value[1] for value in (each.value for each in outcomes) if value}) == 2:
            cluster.remove_node(second, allow_graceful=False)
            killed = True
    assert killed
    assert sorted(outcome.item for outcome in outcomes) == list(range(24))
    assert [outcome.error for outcome in outcomes] == [None] * 24
