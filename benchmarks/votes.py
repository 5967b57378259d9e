"""Importing votes in bulk and judging their workers: seconds of CPU and peak memory must grow with the votes alone.

    python benchmarks/votes.py --votes 500000 5000000

Ten votes an image by 5,000 workers, of images that the study knows, in one CSV file with all columns. Each command runs
as its own process; its CPU time and its peak resident memory are the system's figures (``wait4``).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
from pathlib import Path

from newtest.catalog import transaction
from newtest.study import Study

PER_IMAGE, WORKERS, CLASSES = 10, 5_000, 1_000
COMMAND = "from newtest.cli import main; main()"


def make(folder: Path, votes: int) -> Path:
    """A study with the images, and the CSV file of the votes."""
    names = [hashlib.sha1(str(n).encode()).hexdigest() for n in range(votes // PER_IMAGE)]
    wnids = [f"n{n:08d}" for n in range(CLASSES)]
    with Study(folder / "study", create=True) as study, transaction(study.catalog) as catalog:
        catalog.executemany("INSERT INTO classes VALUES (?, '[]', '', '[]', 'drawn')", [(w,) for w in wnids])
        catalog.executemany(
            "INSERT INTO images (image_id, source, source_id) VALUES (?, 'folder', ?)",
            [(n, n) for n in names],
        )
        pairs = [(name, wnids[n % CLASSES]) for n, name in enumerate(names)]
        catalog.executemany("INSERT INTO candidates VALUES (?, ?)", pairs)
    draw = random.Random(0)
    path = folder / "votes.csv"
    with open(path, "w", encoding="ascii") as file:
        file.write("image_id,wnid,worker_id,selected,hit_id,submitted_at,control\n")
        for n, (name, wnid) in enumerate(pairs):
            for worker in draw.sample(range(WORKERS), PER_IMAGE):
                row = f"{name},{wnid},A{worker:012d},{draw.random() < 0.7:d},H{n // 48}"
                file.write(f"{row},2026-01-02T03:04:{draw.randrange(60):02d}Z,\n")
    return path


def measured(*words: str) -> tuple[float, float]:
    """(CPU seconds, peak MiB) of a command."""
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", COMMAND, *words],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, nargs="+", default=[500_000, 5_000_000])
    print("votes      command        CPU s   s per million   peak MiB")
    for votes in parser.parse_args().votes:
        with tempfile.TemporaryDirectory() as folder:
            path, study = make(Path(folder), votes), str(Path(folder) / "study")
            for name, words in (
                ("votes import", ("votes", "import", str(path), "--study", study)),
                ("votes quality", ("votes", "quality", "--json", "--study", study)),
            ):
                cpu, peak = measured(*words)
                print(
                    f"{votes:<10,} {name:<14} {cpu:5.1f}   {cpu / votes * 1e6:13.1f}   {peak:8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
