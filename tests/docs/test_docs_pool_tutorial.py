"""The tutorial of pools, from its first command to its last, on real photos behind Python's own file server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tutorials import Reader, blocks

pytestmark = pytest.mark.data

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial-pool.md"
PORT = "8123"


def lay_out(images: Path, folder: Path) -> None:
    """What the page describes: 64 photos, four of them twice, three of them a test set."""
    for name in ("photos", "val"):
        (folder / name).mkdir()
    photos = sorted(images.glob("n*_*"))[:64]
    for path in photos:
        shutil.copy(path, folder / "photos")
    for path in photos[:4]:
        shutil.copy(path, folder / "photos" / f"again-{path.name}")
    for path in photos[10:13]:
        shutil.copy(path, folder / "val")


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The page's `python -m http.server`, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", "photos"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        try:
            yield port
        finally:
            server.terminate()


def test_the_tutorial_of_pools_shows_what_its_page_says(data: Path, tmp_path: Path) -> None:
    lay_out(data / "images", tmp_path)
    with file_server(tmp_path) as port:
        steps = [replace(step, text=step.text.replace(PORT, port)) for step in blocks(PAGE)]
        assert not Reader(tmp_path).stale(steps)
