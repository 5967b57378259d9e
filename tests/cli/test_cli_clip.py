"""newtest zeroshot and probe as they are typed; torch is kept out of reach where it must not be needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "open_clip", "sentence_transformers"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
from newtest.cli import main
main()
"""
NEWTEST = [sys.executable, "-c", WITHOUT_TORCH]


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NEWTEST, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, cwd=folder,
        env={**os.environ, "NEWTEST_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six classes, twelve images, embeddings with a little noise; the last image is of another class."""
    random, labels = np.random.default_rng(0), np.arange(12) % 6
    vectors = np.eye(6, 16)[labels] + random.normal(scale=0.05, size=(12, 16))
    vectors[11] = vectors[0]
    rows = [f"image-{at},n0000000{label}" for at, label in enumerate(labels)]
    (tmp_path / "set.csv").write_text("\n".join(["id,wnid", *rows]) + "\n")
    np.save(tmp_path / "images.npy", vectors)
    np.save(tmp_path / "texts.npy", np.eye(6, 16)[:, None].repeat(2, axis=1))
    np.savez(tmp_path / "train.npz", embeddings=vectors[:11], labels=labels[:11])
    np.savez(tmp_path / "test.npz", embeddings=vectors[:6], labels=labels[:6])
    return tmp_path


def test_zeroshot_from_embeddings_without_torch(folder: Path) -> None:
    arguments = ["zeroshot", "set.csv", "--image-embeddings", "images.npy", "--text-embeddings", "texts.npy"]
    ended = run(folder, *arguments, "--as", "mine", "--out", "results", "--json")
    assert ended.returncode == 0, ended.stderr
    [row] = json.loads(ended.stdout)["results"]
    assert (row["model"], row["k"], row["n"]) == ("mine", 11, 12)
    assert row["top5_k"] in (11, 12)  # the stray image is at right angles to its class but for noise
    ended = run(folder, *arguments, "--out", "results")
    assert "91.67" in ended.stdout and "kept in results/set-" in ended.stderr
    table = run(folder, "report", "table", "results")
    assert "mine" in table.stdout and "images zero-shot" in table.stdout


def test_zeroshot_says_what_is_missing(folder: Path) -> None:
    ended = run(folder, "zeroshot", "set.csv", "--image-embeddings", "images.npy")
    assert ended.returncode == 1 and 'pip install "newtest[' in ended.stderr
    ended = run(folder, "zeroshot", "set.csv", "--find", "x", "--text-embeddings", "texts.npy")
    assert ended.returncode == 2 and "leave --text-embeddings away" in ended.stderr
    (folder / "t.txt").write_text("no place for the name\n")
    ended = run(folder, "zeroshot", "set.csv", "--templates", "t.txt", "--image-embeddings", "images.npy")
    assert ended.returncode == 2 and "must hold {} once" in ended.stderr
    ended = run(folder, "zeroshot", "nowhere")
    assert ended.returncode == 1 and "no such file or folder" in ended.stderr


def test_probe_writes_figure_json_and_table(folder: Path) -> None:
    arguments = [
        "probe",
        "--train",
        "train.npz",
        "--test",
        "test.npz",
        "--shots",
        "1,4,all",
        "--zeroshot",
        "90",
    ]
    ended = run(folder, *arguments, "--out", "probe")
    assert ended.returncode == 0, ended.stderr
    assert (
        "all (1.83)" in ended.stdout and "zero-shot 90 % is matched by 1.0 labels per class" in ended.stdout
    )
    assert "4 shots are left out" in ended.stderr
    assert (folder / "probe" / "label-efficiency.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(folder, *arguments, "--json").stdout)
    assert found == json.loads((folder / "probe" / "probe.json").read_text())
    assert [point["shots"] for point in found["points"]] == [1, None]
    assert run(folder, *arguments[:5], "--shots", "none").returncode == 2
