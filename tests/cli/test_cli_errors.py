"""The sentence that a failed command ends with."""

from __future__ import annotations

import subprocess
import sys


def test_a_terminal_is_told_nothing_by_what_an_error_quotes() -> None:
    command = [
        sys.executable,
        "-c",
        "from newtest.cli import main; main()",
        "pool-status",
        "no\x1b[2J\x07where",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("newtest: no?[2J?where: there is no such folder")
    assert done.stderr[:-1].isprintable()
