"""Exit codes: what is not there is 1 in every command, and Ctrl-C is 130 at any moment, in one sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import here, newtest

from newtest.study import Study

NEWTEST = [sys.executable, "-c", "from newtest.cli import main; main()"]
NOT_THERE = [
    "status --study nope", "evaluate nope --predictions p.npy", "check nope", "check nope.json",
    "release r --study nope", "import-pool nope --out o", "fetch-pool nope", "pool-status nope", "embed-pool nope",
    "filter-pool nope --basic", "dedup-pool nope", "decontaminate-pool nope --against x", "balance-pool nope",
    "caption-pool a.csv b.csv", "reshard-pool nope --subset s.npy", "votes import nope.csv --study nope",
    "report html nope --original a --out o", "merge uniform a.pt b.pt --out c.pt", "collect --wnids-file nope",
    "reference add val --images nope", "zeroshot nope", "probe --train a --test b", "frequencies --study nope",
    "takedown x --reason y --study nope", "sample --study nope", "diff a b --study nope",
    "annotate plan --study nope", "diagnose r --study nope",
]  # fmt: skip


def test_what_is_not_there_is_exit_code_1_everywhere(tmp_path: Path) -> None:
    ended = {words: here(*words.split(), cwd=tmp_path) for words in NOT_THERE}
    wrong = {
        words: each.stderr
        for words, each in ended.items()
        if each.returncode != 1 or len(each.stderr.splitlines()) != 1
    }
    assert not wrong


@pytest.mark.parametrize("after", [0.03, 0.1, 0.2, 0.4])
def test_ctrl_c_has_one_ending_also_while_python_loads(after: float, tmp_path: Path) -> None:
    """Before Python has reached our first line the ending is Python's own (130 too, from the signal)."""
    (tmp_path / "votes").mkdir()
    running = subprocess.Popen(
        [*NEWTEST, "annotate", "serve", "--study", "s", "--port", "0"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(after)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode in (130, 1, -signal.SIGINT)  # 1: it had ended already, for there is no study
    if running.returncode == 130:
        assert said.count("interrupted") == 1 and "Traceback" not in said


def test_a_study_on_a_full_disk_is_not_called_damaged(tmp_path: Path) -> None:
    """The system's limit on the size of a file stands for a disk without room: SQLite's own files do not fit."""
    Study(tmp_path / "study", create=True).close()

    for study in ("study", "fresh"):
        words = ("collect", "--study", study, "--wnid", "n01443537", "--source", f"folder:{tmp_path}")
        ended = newtest(*words, cwd=tmp_path, room=4096)
        assert ended.returncode == 1
        assert len(ended.stderr.splitlines()) == 1 and "disk is full or failing" in ended.stderr, ended.stderr
