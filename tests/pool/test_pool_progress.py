"""Passes over a pool show on a terminal how far they are, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from pool_commands import COMMAND, newtest


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """What the command writes to its standard error, a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", COMMAND, *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 1 << 16):
            pieces.append(piece)
    except OSError:  # how Linux says that nobody writes to the terminal any more
        pass
    finally:
        os.close(ours)
    assert child.wait(timeout=60) == 0, b"".join(pieces)
    return b"".join(pieces).decode()


@pytest.mark.parametrize(
    ("command", "passes"),
    [
        (
            ["filter-pool", "--clip-score", "--basic", "--report", "page"],
            ["reading scores", "filtering", "reporting"],
        ),
        (["balance-pool", "--queries", "queries.txt", "--cap", "20"], ["counting", "drawing"]),
    ],
)
def test_a_terminal_sees_each_pass(
    datacomp: Path, tmp_path: Path, command: list[str], passes: list[str]
) -> None:
    (tmp_path / "queries.txt").write_text("wedding\nthe\n")
    shards = len(list(datacomp.rglob("*.parquet")))
    typed = [command[0], str(datacomp), *command[1:], "--out", "kept.npy"]
    if command[0] == "filter-pool":
        typed += ["--layers", "layers"]
    shown = on_a_terminal(*typed, cwd=tmp_path)
    for each in passes:
        assert each in shown
    assert f"{shards}/{shards}" in shown

    silent = newtest(*typed, cwd=tmp_path)
    assert silent.returncode == 0, silent.stderr
    assert not any(each in silent.stderr for each in passes)
