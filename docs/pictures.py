"""Make the pictures of the gallery from the demo's digits: reports, the worker's and owner's pages, review, a filter.

    python docs/pictures.py [--keep DIR]

``make docs`` calls it. It runs ``newtest demo`` and the commands that the gallery names, and photographs their pages
with Chromium. Where there is no Chromium it says so and leaves the pictures as they are. A picture is written anew only
where it looks different, so that a rebuild without a change leaves the checkout as it was.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DOCS = Path(__file__).resolve().parent
NEWTEST = [sys.executable, "-m", "newtest"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
DIFFERENT = 1.5
"""Mean difference of pixels, of 255, from which on a picture looks different."""


def main() -> int:
    """Make all of them. Answers the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path, help="Work in this folder, and keep it.")
    options = parser.parse_args()
    if CHROMIUM is None:
        print(
            "docs/pictures.py: no Chromium here, so the gallery's pictures stay as they are (apt-get install chromium)"
        )
        return 0
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        work = options.keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        newtest(work, "demo", "--out", "newtest-demo")
        demo = work / "newtest-demo"
        reports(browser, demo)
        workers(browser, demo)
        review(browser, demo)
        filtered(browser, demo)
        browser.close()
    return 0


def reports(browser: Browser, demo: Path) -> None:
    """The demo's report, a figure of it, the atlas of its sets, and the forecast of larger studies."""
    photographed(browser, (demo / "report.html").as_uri(), (1000, 900), "demo-report.png")
    further_down(
        browser, (demo / "report.html").as_uri(), "Accuracy, new against original", (1000, 1420), "report.png"
    )
    panels = [Image.open(path).convert("RGB") for path in sorted((demo / "figures").glob("scatter-*.png"))]
    chosen = [panels[0], panels[-1]]  # matched frequencies, and the top images
    both = Image.new(
        "RGB", (sum(panel.width for panel in chosen) + 40, max(panel.height for panel in chosen)), "white"
    )
    both.paste(chosen[0], (0, 0))
    both.paste(chosen[1], (chosen[0].width + 40, 0))
    data = io.BytesIO()
    both.resize((both.width // 2, both.height // 2), Image.Resampling.LANCZOS).save(data, "PNG")
    written("demo-scatter.png", data.getvalue())
    newtest(demo, "report", "atlas", "results.csv", "--x", "original", "--out", "atlas.html")
    photographed(browser, (demo / "atlas.html").as_uri(), (1100, 940), "pictures/atlas.jpg")
    designs = ("--candidates", "50,100", "--votes", "5,10,3:20", "--within", "1")
    newtest(demo, "annotate", "design", "--study", "study", *designs, "--plot", "design.png")
    written("pictures/design.png", (demo / "design.png").read_bytes())


def workers(browser: Browser, demo: Path) -> None:
    """What workers and the owner see of HITs of the demo's study."""
    shutil.copytree(demo / "study", demo / "crowd")
    asked = ("--images", "24", "--positive", "3", "--negative", "2", "--assignments", "3")
    newtest(demo, "annotate", "plan", "--study", "crowd", *asked)
    newtest(demo, "annotate", "publish", "--study", "crowd", "--to", "local")
    with serving(demo, "annotate", "serve", "--study", "crowd") as said:
        owner = said(r"owner's page\s+(\S+)")
        link = re.search(r"https?://\S+", newtest(demo, "annotate", "invite", "Ana", "--study", "crowd"))
        assert link, "no link for a worker"
        for name, size in (("crowd-desk", (1280, 860)), ("crowd-phone", (390, 780))):
            page = opened(browser, link[0], size)
            started(page)
            photograph(page, size, f"pictures/{name}.jpg")
            page.context.close()
        photographed(browser, owner, (1180, 720), "pictures/crowd-owner.jpg")


def started(page: Page) -> None:
    """From the page of welcome to the first HIT."""
    for name in ("Start", "Begin", "Continue"):
        button = page.get_by_role("button", name=name)
        link = page.get_by_role("link", name=name)
        for one in (button, link):
            if one.count():
                one.first.click()
                page.wait_for_load_state("networkidle")
                return


def review(browser: Browser, demo: Path) -> None:
    """The overview, a class, and close pairs: a wide radius makes some of the digits wait for a person."""
    shutil.copytree(demo / "study", demo / "close")
    newtest(demo, "dedup", "--study", "close", "--radius", "20", "--auto-radius", "0")
    with serving(demo, "review", "--study", "close", "--reviewer", "ana") as said:
        link = said(r"ana\s+(\S+)")
        photographed(browser, link, (1200, 420), "review-overview.png")
        photographed(browser, f"{link}class/three", (1200, 700), "review-class.png")
        photographed(browser, f"{link}pairs", (1200, 700), "review-pairs.png")


def filtered(browser: Browser, demo: Path) -> None:
    """The page of a filter of the demo's scans, by how legible they are."""
    photos = demo / "captioned"
    photos.mkdir()
    said = (
        pd.read_csv(demo / "difficulty.csv").drop_duplicates("image_id").set_index("image_id")["probability"]
    )
    for scan in sorted((demo / "original").glob("*/*.png")):
        shutil.copy(scan, photos / scan.name)
        words = f"a handwritten {scan.parent.name}" if int(scan.stem.split("-")[1]) % 3 else scan.parent.name
        (photos / scan.name).with_suffix(".txt").write_text(words)
        legible = (
            f'{{"legibility": {float(said.get(scan.name, np.nan)):.6f}}}' if scan.name in said.index else "{}"
        )
        (photos / scan.name).with_suffix(".json").write_text(legible)
    newtest(demo, "import-pool", "captioned", "--out", "digits")
    newtest(
        demo, "filter-pool", "digits", "--score", "legibility:0.3", "--min-words", "2", "--report", "filtered",
        "--out", "legible.npy",
    )  # fmt: skip
    photographed(
        browser, (demo / "filtered" / "index.html").as_uri(), (1000, 900), "pictures/filter-report.jpg"
    )


def newtest(folder: Path, *words: str) -> str:
    """What a command prints. Raises CalledProcessError, after what it said."""
    done = subprocess.run([*NEWTEST, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        print(f"newtest {' '.join(words)}\n{done.stdout}{done.stderr}", file=sys.stderr)
        done.check_returncode()
    return done.stdout


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Callable[[str], str]]:
    """A server on a free port of loopback; gives a function that waits for what it prints."""
    log = folder / "served.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*NEWTEST, *words, "--port", "0"], cwd=folder, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def said(pattern: str) -> str:
        for _ in range(600):
            if found := re.search(pattern, log.read_text()):
                return found[1]
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        raise TimeoutError(
            f"newtest {' '.join(words)} said nothing like {pattern!r} in a minute: {log.read_text()}"
        )

    try:
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def opened(browser: Browser, address: str, size: tuple[int, int]) -> Page:
    page = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en").new_page()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return page


def photographed(browser: Browser, address: str, size: tuple[int, int], name: str) -> None:
    """A page as it opens."""
    page = opened(browser, address, size)
    photograph(page, size, name)
    page.context.close()


def further_down(browser: Browser, address: str, heading: str, size: tuple[int, int], name: str) -> None:
    """A page from a heading on."""
    page = opened(browser, address, size)
    box = page.get_by_role("heading", name=heading).first.bounding_box()
    assert box, heading
    clip = {"x": 0, "y": box["y"] - 12, "width": size[0], "height": size[1]}
    written(name, page.screenshot(full_page=True, clip=clip))  # type: ignore[arg-type]
    page.context.close()


def photograph(page: Page, size: tuple[int, int], name: str) -> None:
    """What a page shows now."""
    written(name, page.screenshot(clip={"x": 0, "y": 0, "width": size[0], "height": size[1]}))


def written(name: str, png: bytes) -> None:
    """Write a picture where it looks different from the one that is there."""
    path, new = DOCS / name, Image.open(io.BytesIO(png)).convert("RGB")
    if path.exists():
        old = Image.open(path).convert("RGB")
        if old.size == new.size:
            apart = np.abs(np.asarray(old, np.float32) - np.asarray(new, np.float32)).mean()
            if apart < DIFFERENT:
                return
    data = io.BytesIO()
    if path.suffix == ".jpg":
        new.save(data, "JPEG", quality=85)
    else:
        new.save(data, "PNG", optimize=True)
    path.write_bytes(data.getvalue())
    print(f"docs/pictures.py: {name} is new")


if __name__ == "__main__":
    raise SystemExit(main())
