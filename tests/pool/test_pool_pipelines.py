"""The recipes run from the command line, and are short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newtest.pool.storage import subset as subsets

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("datacomp_filter", "semdedup", "decontaminate", "imagenot")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """20 samples with scores and vectors; 18 and 19 are copies of 0 and 1."""
    folder = tmp_path / "pool"
    folder.mkdir()
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(20, 16)).astype(np.float16)
    vectors[18:] = vectors[:2]
    uids = [f"{row:032x}" for row in range(20)]
    scores = np.linspace(0.1, 0.5, 20).astype(np.float32)
    table = {"uid": uids, "clip_l14_similarity_score": scores, "text": ["a photo of a red car"] * 20}
    pq.write_table(pa.table(table), folder / "0.parquet")
    np.savez(folder / "0.npz", l14_img=vectors)
    np.save(tmp_path / "set.npy", vectors[5:6].astype(np.float32))
    return folder


@pytest.mark.parametrize(
    ("name", "arguments", "kept"),
    [
        ("datacomp_filter", ["--near", "set.npy"], set(range(14, 20))),
        ("semdedup", ["--clusters", "1"], set(range(2, 20))),
        ("decontaminate", ["--against", "set.npy"], set(range(20)) - {5}),
    ],
)
def test_a_recipe_keeps_what_its_method_says(
    name: str, arguments: list[str], kept: set[int], pool: Path
) -> None:
    command = [
        sys.executable,
        str(ROOT / "pipelines" / f"{name}.py"),
        str(pool),
        *arguments,
        "--out",
        "out.npy",
    ]
    done = subprocess.run(command, cwd=pool.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {low for _, low in subsets.read(pool.parent / "out.npy").uids.tolist()} == kept


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_reads_like_a_method_section(name: str) -> None:
    lines = (ROOT / "pipelines" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 80
    assert any(line.startswith("Method. ") for line in lines)
