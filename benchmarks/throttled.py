"""A host that allows 30 requests per minute beside one without a limit: what newtest fetch gets, and how politely.

    python benchmarks/throttled.py [--images 300] [--scale 1] [--kinds sliding fixed bucket]

Two servers on loopback in a process of their own. The first one answers 429 beyond its limit, without Retry-After
unless ``--retry-after`` is given: in any minute (*sliding*), in each minute of its clock (*fixed*), or by a bucket of
30 tokens that fills in a minute (*bucket*). The second one answers all after 50 ms. The study has ``--images`` images
at each. ``--scale S`` makes the server's minute, and newtest's first rest of a second, S times shorter, and nothing
else: latencies and processing are then relatively longer, so ``--scale 1`` is the honest figure and takes 25 minutes a
kind, hardly any of them computing.

A run is ``fetch_missing`` on an empty memory of paces; the second run of each kind gets as many new images and begins
with what the first one learned. The free host's time is that of its last image; *alone* is without the first host.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

ALLOWED, MINUTE, LATENCY = 30, 60.0, 0.05


@dataclass(frozen=True)
class Limit:
    """What the throttling server does; ``seconds`` is its minute."""

    kind: str
    seconds: float
    retry_after: float


def allowance(limit: Limit) -> Callable[[], bool]:
    """A function that says whether the next request is answered."""
    times: deque[float] = deque()
    window = [-1.0, 0.0]
    bucket = [float(ALLOWED), time.monotonic()]

    def sliding() -> bool:
        now = time.monotonic()
        while times and times[0] <= now - limit.seconds:
            times.popleft()
        if len(times) < ALLOWED:
            times.append(now)
            return True
        return False

    def fixed() -> bool:
        current = time.monotonic() // limit.seconds
        if current != window[0]:
            window[:] = [current, 0.0]
        window[1] += 1
        return window[1] <= ALLOWED

    def tokens() -> bool:
        now = time.monotonic()
        bucket[0] = min(ALLOWED, bucket[0] + (now - bucket[1]) * ALLOWED / limit.seconds)
        bucket[1] = now
        if bucket[0] < 1:
            return False
        bucket[0] -= 1
        return True

    return {"sliding": sliding, "fixed": fixed, "bucket": tokens}[limit.kind]


def serve(limit: Limit, ready: Connection) -> None:
    """Two applications; ``/asked`` of the first one tells how many requests it answered and refused."""
    from servers.images import made_photo

    photos = [made_photo(number) for number in range(64)]
    allowed = allowance(limit)
    asked = {"answered": 0, "refused": 0}

    async def picture(request: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY)
        number = int(request.match_info["number"])
        body = photos[number % len(photos)] + number.to_bytes(8, "big")
        return web.Response(body=body, content_type="image/jpeg")

    async def throttled(request: web.Request) -> web.Response:
        if not allowed():
            asked["refused"] += 1
            headers = {"Retry-After": f"{limit.retry_after:.0f}"} if limit.retry_after else {}
            return web.Response(status=429, headers=headers)
        asked["answered"] += 1
        return await picture(request)

    async def told(_: web.Request) -> web.Response:
        return web.json_response(asked)

    async def main() -> None:
        ports = []
        for answer in (throttled, picture):
            application = web.Application()
            application.router.add_get("/asked", told)
            application.router.add_get("/{number}.jpg", answer)
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
            ports.append(runner.addresses[0][1])
        ready.send(ports)
        await asyncio.sleep(7200)

    asyncio.run(main())


def run(limit: Limit, numbers: range, folder: Path, ports: list[int], scale: float, *, alone: bool) -> str:
    """One run's row: lost, refused, minutes (unscaled), the free host's seconds."""
    from newtest.catalog import transaction
    from newtest.fetching import DownloadConfig, FetchConfig, fetch_missing
    from newtest.study import Study

    hosts = ports[1:] if alone else ports
    rows = [
        (f"{port}-{number:05}", "bench", f"{port}-{number}", f"http://127.0.0.1:{port}/{number}.jpg")
        for port in hosts
        for number in numbers
    ]
    before = asked(ports[0])
    config = FetchConfig(DownloadConfig(allow_private=True, first_rest=1.0 / scale), thumbnails=False)
    with Study(folder, create=True) as study:
        with transaction(study.catalog):
            study.catalog.executemany(
                "INSERT INTO images (image_id, source, source_id, url) VALUES (?, ?, ?, ?)", rows
            )
        started = time.time()
        free: list[float] = []
        summary = fetch_missing(study, config, watch=None)
        seconds = time.time() - started
        free = [
            path.stat().st_mtime - started
            for (sha256,) in study.catalog.execute(
                "SELECT sha256 FROM files WHERE image_id LIKE ? AND state = 'ok'", (f"{ports[1]}-%",)
            )
            for path in [study.image_path(sha256)]
        ]
    after = asked(ports[0])
    refused, answered = after["refused"] - before["refused"], after["answered"] - before["answered"]
    share = refused / max(1, refused + answered)
    pace = answered / seconds * limit.seconds if not alone else 0.0
    return (
        f"{len(rows) - summary.fetched} of {len(rows)} | {refused} of {refused + answered} ({share:.1%}) | "
        f"{seconds * scale / 60:.1f} | {pace:.1f} | {max(free):.2f}"
    )


def asked(port: int) -> dict[str, int]:
    import json
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/asked") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--retry-after", type=float, default=0.0, help="seconds, as the server sends them")
    parser.add_argument("--kinds", nargs="+", default=["sliding", "fixed", "bucket"])
    options = parser.parse_args()
    print(
        f"{options.images} images at each host, time scaled by {options.scale:g}, {os.cpu_count()} cores, "
        f"{platform.machine()}\n"
    )
    print(
        "| limit | run | lost | refused | minutes (unscaled) | answered per minute | free host, last image s |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in options.kinds:
        limit = Limit(kind, MINUTE / options.scale, options.retry_after)
        here, there = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(limit, there), daemon=True)
        server.start()
        ports = here.recv()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["NEWTEST_STATE"] = f"{folder}/state"
            for number, name in enumerate(("free host alone", "first", "second, remembering")):
                numbers = range(number * options.images, (number + 1) * options.images)
                row = run(limit, numbers, Path(folder) / str(number), ports, options.scale, alone=number == 0)
                print(f"| {kind} | {name} | {row} |", flush=True)
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
