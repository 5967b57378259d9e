"""How evenly a class of the review pages scrolls, next to the same page with plain boxes in place of the pictures.

    python benchmarks/review_scroll.py [--photos ../shared/data/images] [--tiles 300 1000] [--repeat 3]

``newtest review`` runs as a command; headless Chromium (software rendering) opens a class and scrolls to its end by
``--step`` pixels a frame, noting when each frame came. *opened*: two seconds after the page was loaded, nothing in the
browser's cache before; *again*: once more from the top; *at once*: from the moment that the markup is there. *boxes*:
the same markup, script and style sheet with a coloured box for every picture, which is the best that this machine's
rendering can do. A frame is due every 16.7 ms; *dropped* is the share of those due that did not come, *blank* counts
frames in which a picture in view was not there yet. 120 pixels a frame are nine windows of 800 pixels a second. The
last column is processor time of the page's main thread, which a busy machine does not blur.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from newtest.catalog import transaction  # noqa: E402
from newtest.fetching.store import Store  # noqa: E402
from newtest.fetching.thumbnails import make_thumbnails  # noqa: E402
from newtest.study import Study  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

FRAME = 1000 / 60
Run = tuple[list[float], int, float]
"""Milliseconds between frames, how many frames lacked a picture, processor milliseconds of the page's main thread."""
SCROLL = """step => new Promise(done => {
  const times = [], pictures = [...document.querySelectorAll(".tile img")];
  let blank = 0, at = 0;
  const rows = new Map();  // where the pictures lie is looked up once: asking in each frame would cost what it measures
  for (const one of pictures) { const top = Math.round(one.parentElement.getBoundingClientRect().top + scrollY);
    rows.set(top, [...(rows.get(top) || []), one]); }
  const tops = [...rows.keys()].sort((a, b) => a - b), end = document.documentElement.scrollHeight - innerHeight;
  const frame = now => {
    times.push(now);
    for (const top of tops) if (top + 180 > at && top < at + innerHeight && rows.get(top).some(one => !one.complete))
      { blank++; break; }
    if (at >= end) return done({ times, blank });
    at = Math.min(end, at + step);
    scrollTo(0, at);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def make_study(root: Path, photos: list[Path], tiles: int) -> None:
    """A class of so many different pictures: the photos at a long side of 500 pixels, each time cut elsewhere."""
    draws = np.random.default_rng(0)
    with Study(root, create=True) as study, transaction(study.catalog) as catalog:
        catalog.execute("INSERT INTO classes VALUES ('n01443537', '[\"goldfish\"]', 'a fish', '[]', 'x')")
        hashes = []
        for number in range(tiles):
            image = Image.open(photos[number % len(photos)]).convert("RGB")
            left, top = (
                int(side * share) for side, share in zip(image.size, draws.uniform(0, 0.2, 2), strict=True)
            )
            cut = image.crop((left, top, left + int(image.width * 0.8), top + int(image.height * 0.8)))
            cut.thumbnail((500, 500))
            buffer = BytesIO()
            cut.save(buffer, "JPEG", quality=90)
            hashes.append(sha256 := hashlib.sha256(buffer.getvalue()).hexdigest())
            study.image_path(sha256).parent.mkdir(parents=True, exist_ok=True)
            study.image_path(sha256).write_bytes(buffer.getvalue())
            name = f"p{number:05}"
            catalog.execute(
                "INSERT INTO images (image_id, source, source_id) VALUES (?, 'x', ?)", (name, name)
            )
            catalog.execute(
                "INSERT INTO files (image_id, state, sha256, attempts, fetched_at) VALUES (?, 'ok', ?, 1, 'x')",
                (name, sha256),
            )
            catalog.execute("INSERT INTO candidates VALUES (?, 'n01443537')", (name,))
        make_thumbnails(study, Store(study, "bench"), hashes)


@contextmanager
def reviewing(root: Path) -> Iterator[str]:
    """The link of a reviewer on a server that runs as a command."""
    command = [sys.executable, "-c", "from newtest.cli import main; main()", "review", "--study", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as server:
        assert server.stdout is not None
        text = "".join(iter(server.stdout.readline, "}\n"))
        try:
            yield str(json.loads(text + "}")["links"]["reviewer"])
        finally:
            server.terminate()
            server.wait(20)


def boxes(html: str) -> str:
    """The page with a coloured box for every picture."""
    shade = iter(range(10**6))
    return re.sub(
        r"<img[^>]*>",
        lambda _: (
            f'<div style="width:176px;height:180px;background:hsl({next(shade) * 37 % 360} 50% 60%)"></div>'
        ),
        html,
    )


def passes(browser: Browser, link: str, step: int, page_kind: str) -> dict[str, Run]:
    """The runs over one page that was opened anew, by name."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    if page_kind == "boxes":

        def bare(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, body=boxes(answer.text()))

        page.route("**/class/*", bare)
    hurried = page_kind == "at once"
    page.goto(link + "class/n01443537", wait_until="domcontentloaded" if hurried else "load")
    page.wait_for_timeout(0 if hurried else 2000)
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    found = {}
    for name in (page_kind, "again") if page_kind == "opened" else (page_kind,):
        if name == "again":
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(1000)
        before = busy()
        seen = page.evaluate(SCROLL, step)
        found[name] = np.diff(seen["times"]).tolist(), int(seen["blank"]), busy() - before
    context.close()
    return found


def row(runs: list[Run]) -> list[str]:
    """p50, p95, p99, max, dropped %, blank, CPU a frame: the median over the runs with the range."""
    kept = []
    for times, blank, work in runs:
        spans = np.array(times)
        due = spans.sum() / FRAME
        dropped = 100 * max(0.0, 1 - len(spans) / due)
        kept.append([*np.percentile(spans, (50, 95, 99)), spans.max(), dropped, blank, work / len(spans)])
    columns = list(zip(*kept, strict=True))
    return [f"{statistics.median(column):.1f} ({min(column):.1f} to {max(column):.1f})" for column in columns]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "images")
    parser.add_argument("--tiles", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--step", type=int, default=40, help="pixels a frame; 40 is three screens of 800 a second"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    photos = sorted(options.photos.glob("*.JPEG"))
    print(f"load {os.getloadavg()[0]:.1f}")
    print("| tiles | page | p50 ms | p95 | p99 | max | dropped % | blank frames | CPU ms a frame |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for tiles in options.tiles:
            root = Path(folder) / f"study{tiles}"
            make_study(root, photos, tiles)
            with reviewing(root) as link:
                runs: dict[str, list[Run]] = {}
                for _ in range(options.repeat):  # in turns, so that a busy moment hits all of them
                    for kind in (
                        "boxes",
                        "opened",
                        "at once",
                    ):  # a browser each, so that nothing is left over
                        browser = playwright.chromium.launch(
                            executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"]
                        )
                        for name, found in passes(browser, link, options.step, kind).items():
                            runs.setdefault(name, []).append(found)
                        browser.close()
            for name, every in runs.items():
                print(f"| {tiles} | {name} | " + " | ".join(row(every)) + " |", flush=True)


if __name__ == "__main__":
    main()
