"""The commands on pools that lie on S3 (moto's real local server): they give what they give on disk.

The shards are several times larger than what is fetched from a store at a time.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.s3.models import S3Backend
from pool_commands import contents, killed_at_event, newtest
from pool_tiny_model import tiny_model

from newtest.engines import LocalEngine
from newtest.pool.audit import AuditConfig, draw, write_audit
from newtest.pool.filtering.recipe import Recipe, run
from newtest.pool.scorers import Scorer
from newtest.pool.scoring import by_function, vectors_for
from newtest.pool.storage.location import place_of
from newtest.pool.storage.passes import complete
from newtest.pool.storage.pool import open_pool
from newtest.pool.storage.ranges import AHEAD as _BUFFER
from newtest.pool.storage.row_images import paired


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_model(tmp_path_factory.mktemp("model"))


def as_tables(pool: Path, folder: Path) -> Path:
    """The same samples in Parquet alone, as ``datasets`` writes them."""
    folder.mkdir()
    opened = open_pool(pool)
    for shard in opened.shards:
        texts = [text for batch in opened.batches(shard, ["text"]) for text in batch["text"].to_pylist()]
        images = [
            {"bytes": sample.image, "path": f"{row}.jpg"}
            for row, sample in sorted(paired(opened, shard), key=lambda pair: pair[0])
        ]
        pq.write_table(pa.table({"image": images, "text": texts}), folder / f"{shard.name}.parquet")
    return folder


def uploaded(folder: Path, address: str) -> str:
    place = place_of(address)
    for name in contents(folder):
        with place.writing(name) as path:
            shutil.copy(folder / name, path)
    return address


def stored(address: str) -> dict[str, bytes]:
    place = place_of(address)
    return {entry.name: place.open(entry.name).read() for entry in place.entries()}


@pytest.mark.parametrize("form", ["tars", "tables"])
def test_every_command_gives_what_it_gives_on_disk(
    form: str, model: str, bucket: str, photo_pool: Path, tmp_path: Path
) -> None:
    here = shutil.copytree(photo_pool, tmp_path / "pool")
    here = as_tables(photo_pool, tmp_path / "tables") if form == "tables" else here
    assert max(path.stat().st_size for path in here.iterdir()) > 2 * _BUFFER
    there = uploaded(here, f"{bucket}/{form}")
    made = {}
    for pool, written in ((str(here), str(tmp_path / "written")), (there, f"{bucket}/{form}-written")):
        folder = tmp_path / f"of-{len(made)}"
        folder.mkdir()
        (folder / "queries.txt").write_text("photo\nlizard\n")
        for command in (
            ["filter-pool", pool, "--clip-score", "--arch", model, "--fraction", "0.5", "--out", "score.npy"],
            ["filter-pool", pool, "--min-size", "300", "--report", "page", "--out", "size.npy"],
            ["dedup-pool", pool, "--method", "hash", "--out", "dedup.npy"],
            ["balance-pool", pool, "--queries", "queries.txt", "--cap", "5", "--out", "balanced.npy"],
            ["reshard-pool", pool, "--subset", "score.npy", "--out", written],
        ):
            done = newtest(*command, cwd=folder)
            assert done.returncode == 0, (command, done.stderr)
        made[pool] = {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    assert len(made[there]["score.npy"]) > 16 * 32
    assert made[str(here)] == made[there]
    written_here = {
        name: data
        for name, data in contents(tmp_path / "written").items()
        if not name.startswith("__newtest/")
    }
    written_there = {
        name: data
        for name, data in stored(f"{bucket}/{form}-written").items()
        if not name.startswith("__newtest/")
    }
    assert any(len(data) > _BUFFER for data in written_there.values())
    assert written_here == written_there


@pytest.mark.parametrize("after", [1, 3])
def test_killed_at_any_upload_the_layers_end_with_the_same_bytes(
    after: int, model: str, bucket: str, photo_pool: Path, tmp_path: Path
) -> None:
    command = ["--clip-score", "--arch", model, "--fraction", "0.5"]
    whole = f"{bucket}/whole"
    if not place_of(whole).entries():
        uploaded(photo_pool, whole)
        assert newtest("filter-pool", whole, *command, "--out", "whole.npy", cwd=tmp_path).returncode == 0
    killed = uploaded(photo_pool, f"{bucket}/killed-{after}")
    typed = ["filter-pool", killed, *command, "--out", "killed.npy"]
    killed_at_event(*typed, cwd=tmp_path, after=after, event="tempfile.mkdtemp")
    layers = "__newtest/layers"
    assert stored(f"{killed}/{layers}").items() < stored(f"{whole}/{layers}").items()
    done = newtest(*typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert stored(killed) == stored(whole)
    assert stored(f"{killed}/{layers}") == stored(f"{whole}/{layers}")


UPLOADING = """
import sys
from newtest.pool.storage.location import place_of
with place_of(sys.argv[1]).writing("large.tar") as path:
    path.write_bytes(bytes(int(sys.argv[2])))
"""


def test_an_interrupted_upload_leaves_a_whole_file_or_none(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, pool = 128 << 20, f"{bucket}/interrupted"
    child: list[subprocess.Popen[str]] = []
    upload_part = S3Backend.upload_part

    def interrupted(*arguments: Any, **named: Any) -> Any:
        child[0].send_signal(signal.SIGINT)  # before any part of it is answered
        return upload_part(*arguments, **named)

    monkeypatch.setattr(S3Backend, "upload_part", interrupted)
    command = [sys.executable, "-c", UPLOADING, pool, str(size)]
    child.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    try:
        assert "KeyboardInterrupt" in child[0].communicate(timeout=60)[1]
    finally:
        child[0].kill()
        child[0].wait()
    assert [entry.size for entry in place_of(pool).entries()] in ([], [size])


@pytest.mark.parametrize(
    "command",
    [
        ["pool-status", "POOL"],
        ["filter-pool", "POOL", "--basic", "--out", "kept.npy"],
        ["import-pool", "photos", "--out", "POOL"],
    ],
)
@pytest.mark.parametrize("wrong", ["no bucket", "no server"])
def test_a_store_that_cannot_be_reached_is_one_sentence(
    command: list[str],
    wrong: str,
    bucket: str,
    captioned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "photos").symlink_to(captioned)
    pool = f"{bucket}/pool" if wrong == "no server" else "s3://newtest-no-such-bucket/pool"
    if wrong == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("FSSPEC_S3", '{"retry_config": {"max_retries": 1}}')  # ten take seconds
    done = newtest(*(pool if word == "POOL" else word for word in command), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"newtest: {pool}: the store refused or failed (")
    assert not (tmp_path / "kept.npy").exists()


def test_scores_rules_and_audits_are_those_of_a_pool_on_disk(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    for number in range(2):
        rows = range(number * 50, number * 50 + 50)
        table = pa.table({"uid": [f"{row:032x}" for row in rows], "text": [f"caption {row}" for row in rows]})
        pq.write_table(table, tmp_path / "pool" / f"{number}.parquet")
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    scorer, engine = Scorer(lambda vectors: vectors[:, 0], version="1"), LocalEngine()
    made = []
    for address in (str(tmp_path / "pool"), uploaded(tmp_path / "pool", f"{bucket}/scored")):
        pool = open_pool(address)
        scoring = by_function(pool, "mine", scorer, vectors_for(pool, outside=str(tmp_path / "v.npy")))
        assert complete(scoring.outcomes(engine), 2) == {"rows": 100, "failed": 0, "computed": 2}
        subset = run(pool, Recipe(scores=("mine:0.5",), say_why=True), engine, 1)
        sample = draw(pool, AuditConfig(by="mine", size=30), subset, engine=engine)
        write_audit(pool, sample, tmp_path / f"audit-{len(made)}")
        assert subset.rules is not None
        made.append((subset.uids.tobytes(), subset.rules.tobytes(), sample.items, sample.population))
    assert made[0] == made[1]
    assert (tmp_path / "audit-1" / "sample.csv").read_text().count("caption ") == 30
