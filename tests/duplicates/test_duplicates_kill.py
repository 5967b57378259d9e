"""kill -9 at random moments of newtest dedup, again and again: the end equals the undisturbed run."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from io import BytesIO
from pathlib import Path

from commands import newtest, start
from PIL import Image, ImageOps

from newtest.study import Study

DEDUP = ("dedup", "--auto-radius", "8", "--study")
TABLES = {
    "hashes": "sha256, kind, value",
    "neighbours": "image_a, image_b, metric, distance",
    "compared": "image_id, metric, scope, radius",
    "verdicts": "image_a, image_b, duplicate, reviewer",
}


def kept(root: Path) -> dict[str, list[tuple[object, ...]]]:
    with Study(root) as study:
        return {
            table: sorted(tuple(row) for row in study.catalog.execute(f"SELECT {columns} FROM {table}"))
            for table, columns in TABLES.items()
        }


def test_a_killed_scan_ends_like_an_undisturbed_one(builder, data: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((data / "images").glob("*.JPEG"))[:60]):
        builder.add(f"p{number:03d}", path.read_bytes())
        buffer = BytesIO()
        ImageOps.mirror(Image.open(path).convert("RGB")).save(buffer, "JPEG")
        builder.add(f"m{number:03d}", buffer.getvalue(), reference="val" if number % 2 else None)
    builder.study.close()
    killed = tmp_path / "killed"
    shutil.copytree(builder.study.root, killed)
    with start(*DEDUP, builder.study.root) as calm:
        began = time.monotonic()
        assert calm.wait() == 0, calm.err
    whole, draw, kills = time.monotonic() - began, random.Random(7), 0
    for _ in range(8):
        with start(*DEDUP, killed) as running:
            try:
                running.wait(timeout=whole * draw.uniform(0.3, 0.95))
            except subprocess.TimeoutExpired:
                running.kill()
                kills += 1
    assert newtest(*DEDUP, killed).returncode == 0
    assert kills >= 1
    expected = kept(builder.study.root)
    assert kept(killed) == expected and len(expected["neighbours"]) == 60
