"""Reading predictions and writing the whole report: 67 models x 60,000 images must take under 10 s.

Run: python benchmarks/report.py [--repeat 3]. Two sets (50,000 and 10,000 images, 1,000 classes), every model's top-1
in one .npz a set, as ImageNetV2's are. Beside it, in the same run, the bare baseline: numpy reads the same files and
counts what is right. Then how it grows: 4 times the models, 4 times the images.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = 1000


def make(root: Path, models: int, sizes: tuple[int, int]) -> None:
    """Labels and answers of models between 40 % and 85 %, 12 points lower on the new set."""
    rng = np.random.default_rng(0)
    for name, images, drop in (("old", sizes[0], 0.0), ("new", sizes[1], 0.12)):
        labels = np.sort(rng.integers(0, CLASSES, images))
        ids = [f"{name}_{at:08d}.JPEG" for at in range(images)]
        pd.DataFrame({"image_id": ids, "label": labels}).to_csv(root / f"{name}.csv", index=False)
        share = np.linspace(0.40, 0.85, models) - drop
        wrong = rng.integers(0, CLASSES, (models, images), dtype=np.uint16)
        top1 = np.where(rng.random((models, images)) < share[:, None], labels.astype(np.uint16), wrong)
        np.savez_compressed(root / f"{name}.npz", models=[f"model-{at}" for at in range(models)], top1=top1)


def newtest(*words: str) -> None:
    command = [sys.executable, "-c", "from newtest.cli import main; main()", *words]
    subprocess.run(command, check=True, capture_output=True)


def ours(root: Path) -> float:
    """Seconds of the three commands, interpreters included."""
    shutil.rmtree(root / "results", ignore_errors=True)
    start = time.perf_counter()
    for name in ("old", "new"):
        answers = str(root / f"{name}.npz")
        newtest(
            "evaluate", str(root / f"{name}.csv"), "--predictions", answers, "--out", str(root / "results")
        )
    newtest("report", "html", str(root / "results"), "--original", "old", "--out", str(root / "page"))
    return time.perf_counter() - start


def bare(root: Path) -> float:
    """Seconds of reading the same files and counting, with nothing checked, kept, fitted or drawn."""
    start = time.perf_counter()
    for name in ("old", "new"):
        labels = pd.read_csv(root / f"{name}.csv")["label"].to_numpy()
        with np.load(root / f"{name}.npz") as answers:
            (answers["top1"] == labels).sum(axis=1)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {repeat} runs each: median (range) in seconds\n"
    )
    print("| models | images | newtest: evaluate twice, report html | bare numpy: read and count |")
    print("| ---: | ---: | ---: | ---: |")
    for models, sizes in ((67, (50_000, 10_000)), (268, (50_000, 10_000)), (67, (200_000, 40_000))):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            make(root, models, sizes)
            cells = []
            for measure in (ours, bare):
                seconds = [measure(root) for _ in range(repeat)]
                cells.append(f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})")
            print(f"| {models} | {sum(sizes):,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
