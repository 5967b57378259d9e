"""The tutorial with colleagues, from its first command to its last; three browsers are the colleagues."""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
from crowd_browser import chromium
from tutorials import Block, Reader, blocks, not_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.data]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-colleagues.md"
BIRDS = (
    "n01531178", "n01560419", "n01608432", "n01796340", "n01807496", "n01824575", "n01843383",
)  # fmt: skip
STRAYS = {
    "dog": ("n01667778", "n01685808", "n01693334", "n01770393", "n01734418"),
    "bird": ("n01644373", "n01774750"),
}


def is_a(wnid: str, cls: str) -> bool:
    """WordNet's dogs of ImageNet are n02085620 to n02113978."""
    return wnid in BIRDS if cls == "bird" else "n02085620" <= wnid <= "n02113978"


def lay_out(images: Path, photos: Path) -> list[Path]:
    """The photos that the page describes, in class folders, strays among them."""
    copies = []
    for cls in ("dog", "bird"):
        (photos / cls).mkdir(parents=True)
        for path in sorted(images.glob("n*_*")):
            wnid = path.name[:9]
            if is_a(wnid, cls) or wnid in STRAYS[cls]:
                copies.append(Path(shutil.copy(path, photos / cls)))
    return copies


class Eyes:
    """Tells which of the photos a page shows: it re-encodes them, and its addresses say nothing."""

    def __init__(self, photos: list[Path]) -> None:
        self._photos = photos
        self._seen = np.stack([self._tiny(path.read_bytes()) for path in photos])

    def wnid(self, data: bytes) -> str:
        return self._photos[int((self._seen @ self._tiny(data)).argmax())].name[:9]

    @staticmethod
    def _tiny(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        grey = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("L").resize((16, 16)), dtype=float).ravel()
        grey -= grey.mean()
        return grey / np.linalg.norm(grey)


@contextmanager
def served(reader: Reader, block: Block) -> Iterator[None]:
    """The page's `annotate serve`, on a free port, until the block ends; it must end well on Ctrl-C."""
    command = ["bash", "-c", f"exec {block.text.strip()} --port 0"]
    with subprocess.Popen(
        command,
        cwd=reader.folder,
        env=reader.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            assert "owner's page" in server.stdout.readline()
            time.sleep(0.2)
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)


def vote(browser: Browser, link: str, eyes: Eyes) -> None:
    """One colleague does both tasks, by mouse."""
    context = browser.new_context(viewport={"width": 1180, "height": 900})
    page = context.new_page()
    for _ in range(2):
        page.goto(link)
        page.get_by_role("button", name="Start").first.click()
        frame = page.frame_locator("iframe")
        frame.locator(".cell").first.wait_for()
        for cell in frame.locator(".cell").all():
            picture = cell.locator("img").first.evaluate("image => image.src")
            if is_a(eyes.wnid(context.request.get(picture).body()), page.title()):
                cell.locator(".pick").click()
            cell.scroll_into_view_if_needed()
            cell.evaluate(
                "c => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
        frame.locator("#send").click()
        page.locator(".notice").wait_for()
        assert "saved" in str(page.locator(".notice").text_content())
    context.close()


def test_the_tutorial_with_colleagues_shows_what_its_page_says(data: Path, tmp_path: Path) -> None:
    eyes = Eyes(lay_out(data / "images", tmp_path / "photos"))
    reader = Reader(tmp_path)
    steps = list(blocks(PAGE))
    serve = next(n for n, step in enumerate(steps) if step.skipped)
    links = next(n for n, step in enumerate(steps) if n > serve and step.language == "text")
    stale = reader.stale(steps[:serve])
    with served(reader, steps[serve]), chromium() as browser:
        invited = reader.run(steps[serve + 1])
        stale += not_in(steps[links].text, invited)
        for link in re.findall(r"http://\S+/work/\S+", invited):
            vote(browser, link, eyes)
    stale += reader.stale(steps[links + 1 :])
    assert not stale
