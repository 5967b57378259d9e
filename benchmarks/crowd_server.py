"""A thousand people at once on the crowd server, against the same traffic on a bare one.

A load generator (this process) plays workers over loopback: list, take a HIT, its frame and page, its 48 pictures, a
pause as for looking at them, submit; then the next. The server is `newtest annotate serve` in a process of its own.
Printed for each pace and repeat: requests per second, latency at the median, the 95th and 99th percentile and the
largest, the most people who had a HIT open at once, the 99th percentile of what was asked after the last of them
arrived, lost and doubled assignments (from the catalog), and the ratio of the 99th percentile to that of a bare
Starlette application which answers the same paths with constant bytes. Processor milliseconds per request (of the
server's process, its start included) hardly depend on what else the machine is doing.

    python benchmarks/crowd_server.py [--workers 1000] [--seconds 45] [--repeats 3] [--pace 72] [--arrive 72]

All of a thousand people at once (they arrive over 50 s, and the run goes on until 72 s):

    python benchmarks/crowd_server.py --workers 1000 --pace 72 --arrive 50 --seconds 72 --repeats 1

The same with 30 people, in 23 s:

    python benchmarks/crowd_server.py --workers 30 --pace 4 --arrive 2 --seconds 8 --repeats 1
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from newtest.catalog import transaction
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.hits import PlanConfig
from newtest.crowd.links import invite
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.planning import make_plan, store_plan
from newtest.crowd.server.app import crowd_keys
from newtest.crowd.server.worker_images import Pictures, prepare_pictures
from newtest.images import encode_jpeg
from newtest.study import Study

CLASSES, CANDIDATES, REFERENCES = 30, 210, 40
PACES = (72.0, 30.0)
"""Mean seconds a worker looks at a HIT: the planner's own pace, and one faster than anybody works."""

BARE = """
import re, sys
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from newtest.web.serving import listen, run
fields = 'name="csrf" value="x" name="group" value="g" '
task = fields + "".join(f'src="/picture/{n}"' for n in range(48)) + " " * 26000
picture = bytes(30000)
async def page(request): return HTMLResponse(task)
async def take(request): await request.body(); return RedirectResponse("/work/t/assignment", 303)
async def submit(request): await request.body(); return RedirectResponse("/work/t/?notice=done", 303)
async def image(request): return Response(picture, media_type="image/jpeg")
routes = [Route("/picture/{n}", image), Route("/work/t/take", take, methods=["POST"]),
          Route("/work/t/{a}/submit", submit, methods=["POST"]), Route("/{path:path}", page)]
listener = listen("127.0.0.1", 0)
print(f"http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
run(Starlette(routes=routes), listener)
"""


def build(root: Path, workers: int) -> list[str]:
    """A study with HITs open to everybody; gives the paths of the workers' links."""
    with Study(root, create=True) as study:
        catalog = study.catalog
        hashes = []
        for n in range(16):
            noise = np.random.default_rng(n).integers(0, 255, (24, 32, 3), dtype=np.uint8)
            data = encode_jpeg(Image.fromarray(noise).resize((640, 480)))
            hashes.append(hashlib.sha256(data).hexdigest())
            study.image_path(hashes[-1]).parent.mkdir(parents=True, exist_ok=True)
            study.image_path(hashes[-1]).write_bytes(data)
        with transaction(catalog):
            catalog.execute("INSERT INTO references_ VALUES ('val', 'noise', 'x', 'now')")
            for c in range(CLASSES):
                wnid = f"n{c:08}"
                catalog.execute(
                    "INSERT INTO classes VALUES (?, ?, 'a thing', '[]', 'x')", (wnid, json.dumps([wnid]))
                )
                for n in range(CANDIDATES + REFERENCES):
                    image = hashlib.sha1(f"{c}/{n}".encode()).hexdigest()
                    catalog.execute(
                        "INSERT INTO images (image_id, source, source_id) VALUES (?, 'noise', ?)",
                        (image, f"{c}/{n}"),
                    )
                    catalog.execute(
                        "INSERT INTO files (image_id, state, sha256, attempts, fetched_at)"
                        " VALUES (?, 'ok', ?, 1, 'now')",
                        (image, hashes[n % len(hashes)]),
                    )
                    if n < CANDIDATES:
                        catalog.execute("INSERT INTO candidates VALUES (?, ?)", (image, wnid))
                    else:
                        catalog.execute("INSERT INTO reference_members VALUES ('val', ?, ?)", (image, wnid))
        wnids = [f"n{c:08}" for c in range(CLASSES)]
        plan = make_plan(
            catalog,
            PlanConfig(assignments=12),
            lambda w: wnids[wnids.index(w) + 1 :] + wnids[: wnids.index(w)],
        )
        # Candidates and references both lack votes here: all of them are asked about.
        store_plan(study, plan)
        hits = [hit.hit_id for hit in plan.hits]
        publish(study, LocalAnnotator(), PublishConfig(), hits)
        keys = crowd_keys(study)
        prepare_pictures(study, Pictures(study.root, keys), hits)
        with transaction(catalog):
            return [f"/work/{invite(catalog, keys, study.worker_key, f'w{n}')}/" for n in range(workers)]


def server_seconds() -> float:
    """Processor seconds of the servers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def serving(command: list[str]) -> Iterator[str]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = re.search(r"http://127.0.0.1:\d+", process.stderr.readline())
            assert found
            yield found.group()
        finally:
            process.terminate()
            process.wait(30)


class Session:
    """One person's connections, as many as a browser opens, from an address of their own. Bare sockets: a client that
    costs more than the server would measure itself."""

    def __init__(self, url: str, seed: int) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        self._from = (f"127.0.{1 + seed // 250}.{1 + seed % 250}", 0)
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def request(self, path: str, form: object = None) -> tuple[int, dict[str, str], bytes]:
        body = b"" if form is None else urlencode(form).encode()  # type: ignore[arg-type]
        head = f"{'GET' if form is None else 'POST'} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
        if form is not None:
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        reader, writer = await self._connection()
        writer.write(head.encode() + b"\r\n" + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        data = await reader.readexactly(int(headers["content-length"]))
        self._idle.append((time.monotonic(), reader, writer))
        return int(lines[0].split()[1]), headers, data

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < 2 and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(
            self._host, int(self._port), local_addr=self._from, limit=1 << 20
        )

    def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()


class Load:
    """Workers on one server; ``latencies`` in seconds by kind of request."""

    def __init__(self, url: str, pace: float, seconds: float, arrive: float) -> None:
        self.url, self.pace, self.arrive = url, pace, arrive
        self.ends = time.monotonic() + seconds
        self.arrived = time.monotonic() + arrive
        self.latencies: dict[str, list[float]] = {}
        self.late_latencies: list[float] = []
        """Of the requests that began after everybody had arrived."""
        self.done = self.late = self.active = self.most = 0

    async def ask(self, session: Session, kind: str, path: str, data: object = None) -> tuple[str, str]:
        everybody = time.monotonic() > self.arrived
        started = time.perf_counter()
        status, headers, body = await session.request(path, data)
        assert status in (200, 303), (kind, status)
        took = time.perf_counter() - started
        self.latencies.setdefault(kind, []).append(took)
        if everybody:
            self.late_latencies.append(took)
        return ("" if kind == "picture" else body.decode()), headers.get("location", "")

    async def picture(self, session: Session, path: str, turn: asyncio.Semaphore) -> None:
        async with turn:
            await self.ask(session, "picture", path)

    async def worker(self, link: str, seed: int) -> None:
        draws = random.Random(seed)
        await asyncio.sleep(draws.random() * self.arrive)
        session = Session(self.url, seed)
        try:
            six = asyncio.Semaphore(6)  # as many at once as a browser asks for
            while time.monotonic() < self.ends:
                text, _ = await self.ask(session, "list", link)
                groups = re.findall(r'name="group" value="([^"]+)"', text)
                if not groups:
                    return
                csrf = re.search(r'name="csrf" value="([^"]+)"', text)
                form = {"csrf": csrf.group(1) if csrf else "", "group": draws.choice(groups)}
                _, task = await self.ask(session, "take", link + "take", form)
                if "notice" in task:
                    continue
                self.active += 1
                self.most = max(self.most, self.active)
                await self.ask(session, "frame", task)
                page, _ = await self.ask(session, "page", task + "/page")
                pictures = re.findall(r'src="(/picture/[^"]+)"', page)
                await asyncio.gather(*(self.picture(session, picture, six) for picture in pictures))
                looks = draws.expovariate(1 / self.pace)
                if time.monotonic() + looks > self.ends:
                    # the end of the run is not a moment at which everybody submits: still looking then
                    await asyncio.sleep(max(0.0, self.ends - time.monotonic()))
                    return
                await asyncio.sleep(looks)
                csrf = re.search(r'name="csrf" value="([^"]+)"', page)
                fields = [("csrf", csrf.group(1) if csrf else ""), ("selected", "1"), ("selected", "7")]
                _, where = await self.ask(session, "submit", task + "/submit", fields)
                self.active -= 1
                self.done += where.endswith("done")
                self.late += not where.endswith("done")
        finally:
            session.close()


def run(url: str, links: list[str], pace: float, seconds: float, arrive: float) -> Load:
    load = Load(url, pace, seconds, arrive)

    async def main() -> None:
        await asyncio.gather(*(load.worker(link, n) for n, link in enumerate(links)))

    asyncio.run(main())
    return load


def figures(load: Load) -> dict[str, float]:
    values = np.array([x for kind in load.latencies.values() for x in kind]) * 1000
    points = dict(zip(("p50", "p95", "p99"), np.percentile(values, (50, 95, 99)), strict=True))
    points["all"] = np.percentile(load.late_latencies, 99) * 1000 if load.late_latencies else np.nan
    return {"requests": len(values), **{k: float(v) for k, v in points.items()}, "max": float(values.max())}


def check(root: Path, done: int) -> str:
    """Lost or doubled assignments, from the catalog."""
    with Study(root) as study:
        one = study.catalog.execute(
            "SELECT (SELECT count(*) FROM market_assignments WHERE state = 'submitted'),"
            " (SELECT count(*) FROM (SELECT 1 FROM market_assignments WHERE state = 'submitted'"
            "    GROUP BY worker, market_hit_id HAVING count(*) > 1)),"
            " (SELECT count(*) FROM market_hits WHERE taken > max_assignments)"
        ).fetchone()
        collected = collect(study, LocalAnnotator()).assignments
    lost = done - one[0]
    return f"{lost} lost, {one[1]} doubled, {one[2]} HITs over; collected {collected}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pace", type=float, action="append", help="mean seconds per HIT; may be repeated")
    parser.add_argument("--arrive", type=float, help="seconds in which people arrive (default: the pace)")
    options = parser.parse_args()
    columns = [
        "pace s",
        "repeat",
        "requests/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "most active",
        "p99 once all are there",
        "p99 bare ms",
        "ratio",
    ]
    columns += ["cpu ms a request", "bare", "assignments"]
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    worst: dict[float, list[float]] = {pace: [] for pace in options.pace or PACES}
    for pace in worst:
        arrive = options.arrive or pace
        for repeat in range(options.repeats):
            before = server_seconds()
            with serving([sys.executable, "-c", BARE]) as url:
                bare = figures(run(url, ["/work/t/"] * options.workers, pace, options.seconds, arrive))
            bare["cpu"] = 1000 * (server_seconds() - before) / bare["requests"]
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder) / "study"
                links = build(root, options.workers)
                command = [sys.executable, "-c", "from newtest.cli import main; main()", "annotate", "serve"]
                before = server_seconds()
                with serving([*command, "--study", str(root), "--port", "0"]) as url:
                    started = time.monotonic()
                    load = run(url, links, pace, options.seconds, arrive)
                    took = time.monotonic() - started
                found = figures(load)
                found["cpu"] = 1000 * (server_seconds() - before) / found["requests"]
                verdict = check(root, load.done)
            worst[pace].append(found["p99"])
            row = [f"{pace:g}", repeat + 1, f"{found['requests'] / took:.0f}"]
            row += [f"{found[k]:.0f}" for k in ("p50", "p95", "p99", "max")]
            row += [
                str(load.most),
                f"{found['all']:.0f}",
                f"{bare['p99']:.0f}",
                f"{found['p99'] / bare['p99']:.1f}",
            ]
            row += [
                f"{found['cpu']:.2f}",
                f"{bare['cpu']:.2f}",
                f"{load.done} done, {load.late} late; {verdict}",
            ]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    for pace, values in worst.items():
        middle, span = statistics.median(values), f"{min(values):.0f} to {max(values):.0f}"
        print(f"pace {pace:g} s: 99th percentile {middle:.0f} ms (range {span})")


if __name__ == "__main__":
    main()
