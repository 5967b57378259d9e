"""One suite of contract tests for every engine."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_work import make_device, make_dying, make_full, make_late, make_square, make_unmakeable

from newtest.engines import Engine, Resources, engine
from newtest.errors import UsageError


@pytest.fixture(scope="module")
def ray_cluster() -> object:
    """A local Ray for the module; workers find the tests' modules by PYTHONPATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        # "local": never the cluster of another test or of the person at this machine.
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
        yield ray
        ray.shutdown()


@pytest.fixture(params=["one", "threads", "processes", "light", "ray"])
def way(request: pytest.FixtureRequest) -> tuple[Engine, Resources]:
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return engine("ray"), Resources(2)
    settings = {
        "one": Resources(1),
        "threads": Resources(2, kind="thread"),
        "processes": Resources(2),
        "light": Resources(light=True),
    }
    return engine("local"), settings[request.param]


pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
    ),
    pytest.mark.xdist_group("ray"),
]


def test_each_item_comes_back_once_and_failures_are_values(way: tuple[Engine, Resources]) -> None:
    outcomes = list(way[0].map(make_square, list(range(20)), way[1]))
    assert sorted(outcome.item for outcome in outcomes) == list(range(20))
    values = {outcome.item: outcome.value for outcome in outcomes}
    assert all(values[item] == item * item for item in range(20) if item != 13)
    assert [(o.item, o.error) for o in outcomes if o.error] == [(13, "ValueError: thirteen")]


def test_light_work_of_a_moment_starts_no_process_and_longer_work_is_shared() -> None:
    here = list(engine("local").map(make_square, list(range(20)), Resources(light=True)))
    assert [outcome.item for outcome in here] == list(range(20))  # in order: one worker did them all
    outcomes = list(engine("local").map(make_late, list(range(5)), Resources(light=True)))
    assert sorted(outcome.item for outcome in outcomes) == list(range(5))
    processes = [outcome.value for outcome in sorted(outcomes, key=lambda one: one.item)]
    assert processes[:2] == [os.getpid()] * 2
    assert os.getpid() not in processes[2:]


def test_no_items_no_outcomes(way: tuple[Engine, Resources]) -> None:
    assert list(way[0].map(make_square, [], way[1])) == []


def test_a_worker_that_cannot_be_made_ends_the_run(way: tuple[Engine, Resources]) -> None:
    with pytest.raises(Exception, match="no model here"):
        list(way[0].map(make_unmakeable, [1, 2], way[1]))


def test_a_full_disk_ends_the_run_and_names_the_place(way: tuple[Engine, Resources]) -> None:
    with pytest.raises(OSError, match="/data/2") as caught:
        list(way[0].map(make_full, [1, 2, 3], way[1]))
    assert caught.value.errno == errno.ENOSPC


def test_a_run_may_be_abandoned(way: tuple[Engine, Resources]) -> None:
    stream = way[0].map(make_square, list(range(100)), way[1])
    assert next(iter(stream)).error is None
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["processes", "ray"])
@pytest.mark.parametrize("deaths", [1, 5])
def test_a_killed_worker_takes_at_most_its_item(
    name: str, deaths: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "ray":
        request.getfixturevalue("ray_cluster")
    for mark in range(deaths):
        (tmp_path / str(mark)).touch()
    chosen = engine("ray" if name == "ray" else "local")
    outcomes = {
        outcome.item: outcome for outcome in chosen.map(make_dying(tmp_path), list(range(8)), Resources(2))
    }
    assert sorted(outcomes) == list(range(8))
    assert all(outcomes[item].value == item for item in range(8) if item != 3)
    if deaths == 1:
        assert (outcomes[3].value, outcomes[3].error, outcomes[3].tries) == (3, None, 2)
    else:
        assert "died" in str(outcomes[3].error) and outcomes[3].tries > 1
    if deaths == 5 and name == "ray":
        assert "the last words" in str(outcomes[3].error)  # the end of its log
    assert {outcomes[item].tries for item in range(8) if item != 3} == {1}


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process: nothing to share")
def test_all_of_ray_runs_in_one_process(request: pytest.FixtureRequest) -> None:
    """Two Rays at once find each other's clusters; a pytest that pytest-xdist doesn't know forgets the groups."""
    assert request.node.nodeid.endswith("@ray")


def test_unknown_engines_are_named() -> None:
    with pytest.raises(UsageError, match="there are local, ray"):
        engine("spark")


def test_a_script_without_a_guard_is_told_so_in_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from newtest.engines import LocalEngine, Resources\n"
        "def make():\n"
        "    return abs\n"
        "list(LocalEngine().map(make, [-1, 2, 3], Resources(workers=2)))\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.count("Traceback") == 1, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("newtest.errors.UsageError: worker processes import the script that starts them")
    assert last.endswith('put what it does under if __name__ == "__main__":')


def test_work_that_uses_all_cores_is_one_process_here_and_not_on_a_cluster() -> None:
    """A cluster takes ``workers`` as it is: 0 is all the room there."""
    assert Resources(alone=True).count(9) == 1
    assert (Resources(3, alone=True).count(9), Resources(alone=True).workers) == (3, 0)


@pytest.mark.parametrize(
    ("chosen", "count", "workers", "seen"),
    [
        (None, 2, 0, {"0", "1"}),
        (
            "3, GPU-8f6a,-1,5",
            2,
            0,
            {"3", "GPU-8f6a"},
        ),  # CUDA looks no further than a name that it does not know
        ("1", 1, 2, {"1"}),  # shared: a second name would be of a GPU that somebody else has
        ("", 0, 2, {""}),
    ],
)
def test_workers_see_the_gpus_that_were_chosen_outside(
    chosen: str | None, count: int, workers: int, seen: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GPU is needed: what torch would count is given."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    monkeypatch.setattr("newtest.clip.torch_runtime.gpus", lambda: count)
    asked = [["CUDA_VISIBLE_DEVICES"]] * 6
    outcomes = list(engine("local").map(make_device, asked, Resources(workers, gpus=1)))
    assert {outcome.value["CUDA_VISIBLE_DEVICES"] for outcome in outcomes} == seen
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == chosen
