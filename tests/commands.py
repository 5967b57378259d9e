"""``newtest`` commands in this process, or in one of their own without the seconds that each start of Python takes."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from newtest.cli.app import application

__all__ = ["invoke", "newtest"]

HOST = Path(__file__).with_name("command_host.py")


class _Host:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOST)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        atexit.register(self.close)
        assert self._line(180) == "ready"

    def close(self) -> None:
        """End with the tests."""
        assert self.process.stdin
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()

    def run(self, job: dict[str, object], timeout: float) -> int:
        """The exit code of one command; after ``timeout`` seconds it is killed, and TimeoutExpired is raised."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job) + "\n")
        child = json.loads(self._line(30))["pid"]
        try:
            return int(json.loads(self._line(timeout))["code"])
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            self._line(30)
            raise

    def _line(self, timeout: float) -> str:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("newtest", timeout)
        return self.process.stdout.readline().strip()


def invoke(words: Sequence[str | Path], **options: Any) -> Any:
    """Run ``newtest`` in this process, by typer's own runner; its Result holds the exception of a failure."""
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed[0]), typed, **options)


@cache
def _host() -> _Host:
    return _Host()


def newtest(
    *words: str | Path,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 180,
) -> subprocess.CompletedProcess[str]:
    """Run ``newtest`` to its end in a folder; ``env`` replaces this process's environment."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory(prefix="said-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        job = {
            "words": arguments, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env),
            "out": str(out), "err": str(err),
        }  # fmt: skip
        code = _host().run(job, timeout)
        return subprocess.CompletedProcess(["newtest", *arguments], code, out.read_text(), err.read_text())
