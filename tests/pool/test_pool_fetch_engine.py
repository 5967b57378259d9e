"""fetch-pool by several workers: the same bytes, limits that hold for all of them together, and nothing asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from pool_commands import COMMAND, contents, left_over
from servers.images import ImageServer, made_photo, serving

from newtest.download import DownloadConfig
from newtest.download.urls import host_of
from newtest.pool.fetch_below import Below
from newtest.pool.fetching import fetch_shards, run
from newtest.pool.fetching.dealing import Asked, dealt
from newtest.pool.url_tables import url_tables

HOSTS = 5
TOGETHER = 4
CONFIG = DownloadConfig(allow_private=True, backoff=0.01, total=TOGETHER, per_host=2, remember=False)


class Hosts(ImageServer):
    """One server under several addresses of this machine; ``most`` is how many were open at once, by host."""

    def __init__(self) -> None:
        super().__init__([made_photo(number) for number in range(4)], latency=0.02)
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.connections: set[tuple[str, int]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.now[request.host] += 1
        self.most[request.host] = max(self.most[request.host], self.now[request.host])
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername")[:2])
        try:
            return await super().answer(request)
        finally:
            self.now[request.host] -= 1

    def at(self, host: int, path: str) -> str:
        return f"http://127.0.{host // 250}.{1 + host % 250}:{self.base.rpartition(':')[2]}/{path}"


@pytest.fixture
def server() -> Iterator[Hosts]:
    with serving(Hosts(), "0.0.0.0") as running:
        yield running


def urls_of(server: Hosts, rows: int) -> list[str]:
    moods = {7: "flaky-1/", 11: "status-404/"}
    return [server.at(row % HOSTS, f"{moods.get(row % 13, '')}{row}.jpg") for row in range(rows)]


def table_of(server: Hosts, folder: Path, rows: int) -> Path:
    urls = urls_of(server, rows)
    (folder / "urls").mkdir(parents=True)
    pq.write_table(
        pa.table({"url": urls, "text": [f"caption {row}" for row in range(rows)]}),
        folder / "urls" / "0.parquet",
    )
    return folder / "urls"


def asked_of(urls: list[str]) -> dict[str, list[Asked]]:
    rows = [(f"{row:032x}", url) for row, url in enumerate(urls)]
    return {"00000000": rows[: len(rows) // 2], "00000001": rows[len(rows) // 2 :]}


def test_no_host_is_dealt_to_two_workers_and_every_url_to_one() -> None:
    urls = [f"http://h{row % 7 if row % 3 else 0}.org:{80 + row % 2}/{row}" for row in range(200)]
    asked = asked_of([*urls, "", "no url", "file:///a/b.jpg"])
    hands = dealt(asked, 3, total=10, per_host=32, below=Below())
    assert hands == dealt(asked, 3, total=10, per_host=32, below=Below())
    given = [{host_of(url) for rows in hand.asked.values() for _, url in rows} for hand in hands]
    assert sum(map(len, given)) == len(set().union(*given)), "a host in two hands"
    assert sorted(row for hand in hands for rows in hand.asked.values() for row in rows) == sorted(
        row for rows in asked.values() for row in rows
    )
    assert sum(hand.total for hand in hands) == 10 and min(hand.total for hand in hands) >= 1
    loads = [sum(map(len, hand.asked.values())) for hand in hands]
    assert max(loads) - min(loads) < 34, "as even as the largest host allows"


@pytest.mark.parametrize(("workers", "total", "hands"), [(8, 3, 3), (8, 100, 5), (1, 100, 1)])
def test_there_are_no_more_hands_than_downloads_at_once_or_hosts(
    workers: int, total: int, hands: int
) -> None:
    asked = asked_of([f"http://h{row % 5}/{row}" for row in range(40)])
    assert len(dealt(asked, workers, total=total, per_host=2, below=Below())) == hands
    assert dealt({}, workers, total=total, per_host=2, below=Below()) == ()


def test_files_have_no_limit_and_go_round(tmp_path: Path) -> None:
    asked = asked_of([f"file://{tmp_path}/{row}.jpg" for row in range(256)])
    hands = dealt(asked, 4, total=8, per_host=2, below=Below.of([str(tmp_path)]))
    assert [sum(map(len, hand.asked.values())) for hand in hands] == [64] * 4


def test_any_number_of_workers_writes_the_same_bytes_and_keeps_the_limits_of_all(
    server: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_GROUP_ROWS", 20)  # three groups, so that one is written while the next comes
    tables = url_tables(str(table_of(server, tmp_path, 60)))
    told = {}
    for workers in (1, 2):
        server.asked.clear()
        server.most.clear()
        server.peak = 0
        out = tmp_path / str(workers)
        shards = list(fetch_shards(tables, str(out), CONFIG, shard_rows=10, workers=workers))
        told[workers] = [(shard.shard, shard.success, shard.retry, dict(shard.errors)) for shard in shards]
        assert len(server.most) == HOSTS and max(server.most.values()) <= CONFIG.per_host
        assert server.peak <= TOGETHER
        assert left_over(out) == []
    assert told[1] == told[2]
    assert [name for name, *_ in told[1]] == [f"{number:08d}" for number in range(6)]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    again = list(fetch_shards(tables, str(tmp_path / "2"), CONFIG, shard_rows=10, workers=2))
    assert sum(shard.asked for shard in again) == 0


def started(folder: Path) -> subprocess.Popen[str]:
    command = (
        "fetch-pool",
        "urls",
        "--allow-private",
        "--shard-rows",
        "20",
        "--workers",
        "2",
        "--connections",
        "4",
        "--json",
    )
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *command, "--json"],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(server: Hosts, requests: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while server.asked.total() < requests:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def ended(process: subprocess.Popen[str]) -> dict[str, int]:
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return dict(json.loads(told))


def test_a_killed_run_and_a_killed_worker_lose_nothing_and_ask_nothing_twice(
    server: Hosts, tmp_path: Path
) -> None:
    rows = 80
    for name in ("whole", "killed"):
        table_of(server, tmp_path / name, rows)
    tables, config = (
        url_tables(str(tmp_path / "whole" / "urls")),
        DownloadConfig(allow_private=True, remember=False),
    )
    whole = list(fetch_shards(tables, str(tmp_path / "whole" / "shards"), config, shard_rows=20))
    requests = server.asked.total()
    server.asked.clear()

    process = started(tmp_path / "killed")
    until(server, 10, process)
    process.kill()
    process.communicate()
    time.sleep(0.3)
    stopped = server.asked.total()
    time.sleep(0.3)
    assert server.asked.total() == stopped < rows, "its workers have gone on without it"

    process = started(tmp_path / "killed")
    until(server, stopped + 10, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(int(workers[0]), signal.SIGKILL)
    told = ended(process)
    assert told["success"] == sum(shard.success for shard in whole)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert left_over(tmp_path / "killed") == []
    # What was under way when the run or the worker died had to be asked for again: at most four, and two or three.
    assert server.asked.total() <= requests + 4 + 3


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_connections_are_used_again_and_not_kept_for_hosts_that_are_done(
    server: Hosts, tmp_path: Path
) -> None:
    """Also behind answers without an image. 120 hosts with a connection left open would be 240 descriptors here."""
    paths = [f"{'status-404/' if row % 3 else ''}{row}.jpg" for row in range(60)]
    (tmp_path / "one.txt").write_text("\n".join(server.at(0, path) for path in paths))
    list(fetch_shards(url_tables(str(tmp_path / "one.txt")), str(tmp_path / "one"), CONFIG))
    assert len(server.connections) <= CONFIG.per_host + 1

    (tmp_path / "many.txt").write_text("\n".join(server.at(host, "1.jpg") for host in range(120)))
    most, done = [0], threading.Event()

    def count() -> None:
        while not done.wait(0.01):
            most.append(descriptors())

    before = descriptors()
    watcher = threading.Thread(target=count)
    watcher.start()
    shards = list(fetch_shards(url_tables(str(tmp_path / "many.txt")), str(tmp_path / "many"), CONFIG))
    done.set()
    watcher.join()
    assert sum(shard.success for shard in shards) == 120
    assert max(most) < before + 60
