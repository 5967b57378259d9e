"""search-pool and fetch-pool on Ray: the bytes of the local engine, also of a search that is killed and run again.

The paths are relative: the processes of a cluster that is there already were started in a folder of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_commands import contents, killed_when, left_over, newtest
from servers.images import ImageServer, made_photo, serving

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
    ),
    pytest.mark.xdist_group("ray"),
]

ARGUMENTS = ("--wnid", "n02084071", "--wnid", "n02958343", "--per-class", "7", "--exclude-others", "--json")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray of the tests' own, so that a killed command leaves none behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


def test_ray_and_this_machine_write_the_same_bytes(datacomp: Path, tmp_path: Path, address: str) -> None:
    def run(name: str, engine: str) -> list[str]:
        own = ["--layers", f"{name}-layers", "--out", f"{name}.parquet", "--engine", engine]
        return ["search-pool", str(datacomp), *ARGUMENTS, *own]

    here = newtest(*run("here", "local"), cwd=tmp_path)
    assert here.returncode == 0, here.stderr
    begun = tmp_path / "there-layers"
    killed_when(lambda: any(begun.rglob("*.parquet")), *run("there", f"ray:{address}"), cwd=tmp_path)
    there = newtest(*run("there", f"ray:{address}"), cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()
    told = [json.loads(done.stdout) | {"out": None} for done in (here, there)]
    assert told[0] == told[1] and told[0]["candidates"] == 14
    layers = [
        {path.relative_to(tmp_path / f"{name}-layers"): path.read_bytes() for path in files}
        for name in ("here", "there")
        if (files := list((tmp_path / f"{name}-layers").rglob("*.parquet")))
    ]
    assert len(layers) == 2 and layers[0] == layers[1]


def test_fetch_pool_on_ray_writes_the_same_bytes_and_keeps_the_limits(tmp_path: Path, address: str) -> None:
    with serving(ImageServer([made_photo(number) for number in range(4)], latency=0.01), "0.0.0.0") as server:
        port = server.base.rpartition(":")[2]
        paths = [f"{'flaky-1/' if row % 9 == 5 else ''}{row}.jpg" for row in range(30)]
        urls = [f"http://127.0.0.{1 + row % 4}:{port}/{path}" for row, path in enumerate(paths)]
        for name, engine in (("here", "local"), ("there", f"ray:{address}")):
            (tmp_path / name).mkdir()
            (tmp_path / name / "urls.txt").write_text("\n".join(urls))
            server.peak = 0
            options = (
                "--allow-private",
                "--shard-rows",
                "10",
                "--connections",
                "3",
                "--engine",
                engine,
                "--workers",
                "2",
            )
            done = newtest("fetch-pool", "urls.txt", *options, "--json", cwd=tmp_path / name)
            assert json.loads(done.stdout)["success"] == len(urls), done.stderr
            assert server.peak <= 3
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert left_over(tmp_path / "there") == []
