"""``benchmarks/gpu.py --dry``: each part of the script for a GPU runs in small on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_part_runs_in_small_and_what_it_found_is_written(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "gpu.py"),
        "--dry",
        "--out",
        str(tmp_path / "gpu.json"),
    ]
    parts = "peak,join,kmeans,embedding,evaluate"  # "tests" are these very tests
    done = subprocess.run([*command, "--only", parts], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert (told["dry"], told["failures"], len(told["found"])) == (True, [], 6)
    by_name = {row["what"].split(",")[0].split(" of")[0]: row for row in told["found"]}
    assert by_name.keys() == {"matrix product", "join", "k-means", "embed-pool", "evaluate"}
    assert all(row["value"] > 0 for row in told["found"])
    assert "the same centroids" in by_name["k-means"]["note"]
    assert "24 of 24 answers the same, 0 unreadable" in by_name["evaluate"]["note"]
    assert "0 failed" in by_name["embed-pool"]["note"]
