"""Images per second from a local server with 50 ms latency, in one run: newtest, img2dataset, and a bare fetch.

    python benchmarks/fetch.py [--images 8000] [--hosts 16] [--repeat 3] [--only NAME ...] [--peer-python PATH]

All download the same URLs (real photos where the shared data is there, each made unique by a few bytes behind its
end) from the same server, a process of its own on the same cores, under so many loopback addresses. *bare* keeps 256
connections alive with aiohttp, reads the bodies and drops them. *bare, kept* does so in a process per core, hashes each
body and writes it twice, as ``fetch-pool`` must that may be killed at any moment: the most that these cores, which the
server needs too, leave to any such program (``fetch_bare.py``). ``fetch-pool`` checks every image and writes tars with
tables, as img2dataset does, which is told not to re-encode (``resize_mode=no``, ``disable_all_reencoding``), so it
writes what it got without looking at it. ``fetch`` stores images in a study by their hash; thumbnails are left out.
img2dataset lives in its own virtual environment, made on first use in ~/.cache/newtest-bench. Three servers: *calm*;
*faults* (5 % answer 503 twice, 2 % hang, 1 % send no image, 1 % are 404); *drips* (one in a thousand sends a byte every
0.2 s for a minute). All numbers are of whole processes, from their start to their end. Peak memory is the largest
resident set of the process tree, sampled ten times per second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

COMMAND = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from newtest.cli import main; main()"
LATENCY = 0.05
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where both write: what is measured is the downloading, not the disk, which others may be using."""
SERVERS = ("calm", "faults", "drips")
PEER_OPTIONS = {
    "its defaults": {"processes_count": 1, "thread_count": 256, "retries": 0},
    "2 processes": {"processes_count": 2, "thread_count": 128, "retries": 0},
    "2 processes, 3 retries": {"processes_count": 2, "thread_count": 128, "retries": 3},
}


LEFT_OUT = {
    "faults": ("bare", "bare, kept", "img2dataset, 2 processes"),
    "drips": ("bare", "bare, kept", "img2dataset, its defaults", "img2dataset, 2 processes, 3 retries"),
}
"""Those that would take minutes to say what another says already."""


@dataclass(frozen=True)
class Result:
    """Of one run: seconds, images stored, transient errors recovered, peak memory in MiB."""

    seconds: float
    stored: int
    recovered: int
    memory: float


def photos() -> list[bytes]:
    for place in (os.environ.get("NEWTEST_DATA"), ROOT.parent / "shared" / "data"):
        if place and (Path(place) / "images").is_dir():
            return [path.read_bytes() for path in sorted((Path(place) / "images").iterdir())]
    from servers.images import made_photo

    return [made_photo(n, (500, 375)) for n in range(200)]


def fault_of(server: str, number: int) -> str:
    """What the server does for this number; the same share everywhere in the list."""
    if server == "drips":
        return "drip" if number % 1000 == 500 else ""
    if server == "faults":
        place = number * 37 % 100
        return (
            "503"
            if place < 5
            else "hang"
            if place < 7
            else "text"
            if place < 8
            else "404"
            if place < 9
            else ""
        )
    return ""


def serve(server: str, ready: multiprocessing.connection.Connection) -> None:
    pictures = photos()
    asked: dict[int, int] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        fault = fault_of(server, number)
        asked[number] = asked.get(number, 0) + 1
        await asyncio.sleep(LATENCY)
        if fault == "503" and asked[number] <= 2:
            return web.Response(status=503)
        if fault == "404":
            return web.Response(status=404)
        if fault == "hang":
            await asyncio.sleep(600)
        if fault == "text":
            return web.Response(text="<html>gone fishing</html>", content_type="text/html")
        body = pictures[number % len(pictures)] + number.to_bytes(8, "big")
        if fault == "drip":
            response = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await response.prepare(request)
            with suppress(ConnectionResetError):  # whoever has lost patience
                for value in body[:300]:
                    await response.write(bytes([value]))
                    await asyncio.sleep(0.2)
            return response
        return web.Response(body=body, content_type="image/jpeg")

    async def forget(request: web.Request) -> web.Response:
        asked.clear()
        return web.Response()

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/forget", forget)
        application.router.add_get("/{number}.jpg", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 0, backlog=1024).start()
        ready.send(runner.addresses[0][1])
        await asyncio.sleep(7200)

    asyncio.run(main())


def measured(command: list[str], folder: Path, urls: list[str]) -> tuple[float, float]:
    """Run a command in a folder with urls.txt, also its standard input; (seconds, peak MiB of its process tree)."""
    listed = folder / "urls.txt"
    listed.write_text("\n".join(urls))
    started, peak = time.monotonic(), 0.0
    with (
        listed.open() as given,
        subprocess.Popen(
            command, cwd=folder, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as running,
    ):
        stop = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not stop.wait(0.1):
                peak = max(peak, tree_memory(running.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        running.wait(timeout=900)
        stop.set()
        watcher.join()
    return time.monotonic() - started, peak


def tree_memory(pid: int) -> float:
    """MiB resident in a process and its descendants; pages that forked processes share are counted in each."""
    total, todo = 0, [pid]
    while todo:
        current = todo.pop()
        try:
            total += int(Path(f"/proc/{current}/statm").read_text().split()[1])
            for task in Path(f"/proc/{current}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, IndexError):
            continue
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_newtest(urls: list[str], server: str, folder: Path) -> Result:
    from newtest.catalog import transaction
    from newtest.study import Study

    with Study(folder / "study", create=True) as study, transaction(study.catalog):
        study.catalog.executemany(
            "INSERT INTO images (image_id, source, source_id, url) VALUES (?, 'bench', ?, ?)",
            [(f"i{n:06}", str(n), url) for n, url in enumerate(urls)],
        )
    options = ["fetch", "--allow-private", "--per-host", "256", "--study", "study", "--no-thumbnails"]
    seconds, memory = measured([sys.executable, "-c", COMMAND, *options], folder, urls)
    with Study(folder / "study") as study:
        rows = study.catalog.execute(
            "SELECT i.source_id FROM files f JOIN images i USING (image_id) WHERE state = 'ok'"
        )
        stored = [int(row[0]) for row in rows]
    return Result(seconds, len(stored), sum(fault_of(server, n) == "503" for n in stored), memory)


def run_bare(*options: str) -> Callable[[list[str], str, Path], Result]:
    def run(urls: list[str], server: str, folder: Path) -> Result:
        command = [sys.executable, str(ROOT / "benchmarks" / "fetch_bare.py"), *options]
        seconds, memory = measured(command, folder, urls)
        return Result(seconds, len((folder / "answers.txt").read_text().split()), 0, memory)

    return run


def run_pool(*options: str) -> Callable[[list[str], str, Path], Result]:
    def run(urls: list[str], server: str, folder: Path) -> Result:
        command = [
            "fetch-pool",
            "urls.txt",
            "--out",
            "out",
            "--allow-private",
            "--shard-rows",
            "1000",
            *options,
        ]
        seconds, memory = measured([sys.executable, "-c", COMMAND, *command], folder, urls)
        return stored_in(folder / "out", server, seconds, memory)

    return run


def stored_in(pool: Path, server: str, seconds: float, memory: float) -> Result:
    """What the tables of a pool say, ours or img2dataset's."""
    import pyarrow.parquet

    stored = []
    for table in pool.glob("*.parquet"):
        read = pyarrow.parquet.read_table(table, columns=["url", "status"])
        stored += [u.as_py() for u, s in zip(*read.columns, strict=True) if s.as_py() == "success"]
    numbers = [int(url.rpartition("/")[2].removesuffix(".jpg")) for url in stored]
    return Result(seconds, len(stored), sum(fault_of(server, n) == "503" for n in numbers), memory)


def run_peer(python: Path, options: dict[str, int]) -> Callable[[list[str], str, Path], Result]:
    def run(urls: list[str], server: str, folder: Path) -> Result:
        arguments = {
            "url_list": "urls.txt", "output_folder": "out", "output_format": "webdataset", "resize_mode": "no",
            "disable_all_reencoding": True, "number_sample_per_shard": 1000, "disallowed_header_directives": [],
            **options,
        }  # fmt: skip
        code = (
            "import json, sys, img2dataset\n"
            "if __name__ == '__main__': img2dataset.download(**json.loads(sys.argv[1]))"
        )
        (folder / "peer.py").write_text(code)
        seconds, memory = measured([str(python), "peer.py", json.dumps(arguments)], folder, urls)
        return stored_in(folder / "out", server, seconds, memory)

    return run


def peer_python(given: Path | None) -> Path:
    """img2dataset's interpreter; its environment is made when it is not there."""
    home = Path.home() / ".cache" / "newtest-bench" / "img2dataset"
    python = given or home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "img2dataset", "pyarrow<16"], check=True
        )
    return python


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--hosts", type=int, default=16, help="addresses of the server, at most 250")
    parser.add_argument("--only", nargs="+", help="names of programs, or their beginnings")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--servers", nargs="+", default=SERVERS, choices=SERVERS)
    parser.add_argument("--peer-python", type=Path)
    options = parser.parse_args()
    python = peer_python(options.peer_python)
    at_once = ("--per-host", "256")
    contestants: dict[str, Callable[[list[str], str, Path], Result]] = {
        "bare": run_bare(),
        "bare, kept": run_bare("--kept"),
        "fetch-pool": run_pool(*at_once),
        "fetch-pool, 1 worker": run_pool(*at_once, "--workers", "1"),
        "fetch-pool, 32 per host": run_pool(),
        "fetch": run_newtest,
    }
    contestants |= {f"img2dataset, {name}": run_peer(python, chosen) for name, chosen in PEER_OPTIONS.items()}
    if options.only:
        contestants = {name: run for name, run in contestants.items() if name.startswith(tuple(options.only))}
    print(
        f"{options.images} images, {options.hosts} hosts, {os.cpu_count()} cores, {platform.machine()}, load "
        f"{os.getloadavg()[0]:.1f} at the start, median of {options.repeat} (range)\n"
    )
    print("| server | program | seconds | stored | 503s recovered | images/s | of the first | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for server in options.servers:
        chosen = {name: contestants[name] for name in contestants if name not in LEFT_OUT.get(server, ())}
        compare(server, chosen, options.images, options.hosts, options.repeat)


def compare(
    server: str,
    contestants: dict[str, Callable[[list[str], str, Path], Result]],
    images: int,
    hosts: int,
    repeat: int,
) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(server, there), daemon=True)
    process.start()
    port = here.recv()
    base = f"http://127.0.0.1:{port}"
    urls = [f"http://127.0.0.{1 + number % hosts}:{port}/{number}.jpg" for number in range(images)]
    transient = sum(fault_of(server, number) == "503" for number in range(images))
    results: dict[str, list[Result]] = {name: [] for name in contestants}
    for _ in range(repeat):  # turn about, so that a busy machine is busy for all
        for name, run in contestants.items():
            with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
                forget(base)
                results[name].append(run(urls, server, Path(folder)))
                shutil.rmtree(folder, ignore_errors=True)
                Path(folder).mkdir()
    process.terminate()
    process.join()
    first = results.get("bare") or next(iter(results.values()))
    reference = statistics.median(r.stored / r.seconds for r in first)
    for name, runs in results.items():
        seconds = [run.seconds for run in runs]
        rate = statistics.median(run.stored / run.seconds for run in runs)
        middle = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        counts = f"{middle.stored} | {middle.recovered} of {transient}"
        figures = f"{rate:.0f} | {rate / reference:.2f} | {middle.memory:.0f}"
        print(f"| {server} | {name} | {spread} | {counts} | {figures} |", flush=True)


def forget(base: str) -> None:
    import urllib.request

    with urllib.request.urlopen(f"{base}/forget"):
        pass


if __name__ == "__main__":
    main()
