"""Passes over a pool show on a terminal how far they are, and nowhere else."""

from __future__ import annotations

import os
import pty
import threading
from contextlib import suppress
from pathlib import Path

import commands
import pytest
from pool_commands import newtest


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """What the command writes to its standard error, a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def listen() -> None:
        with suppress(OSError):  # how Linux says that nobody writes to the terminal any more
            while piece := os.read(ours, 1 << 16):
                pieces.append(piece)

    listening = threading.Thread(target=listen)
    listening.start()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = commands.newtest(*arguments, cwd=cwd, env=environment, err=os.ttyname(theirs))
    os.close(theirs)
    listening.join(60)
    os.close(ours)
    assert done.returncode == 0, b"".join(pieces)
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
