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
import time
from collections.abc import Callable, Mapping, Sequence
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

    def run(self, job: dict[str, object], timeout: float, until: Callable[[], bool] | None = None) -> int:
        """The exit code of one command; after ``timeout`` seconds it is killed, and TimeoutExpired is raised. It is
        killed as well as soon as ``until`` says so.
        """
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job) + "\n")
        child = json.loads(self._line(60))["pid"]
        try:
            if until is not None:
                self._kill_when(until, child, timeout)
            return int(json.loads(self._line(timeout))["code"])
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            self._line(30)
            raise

    def _kill_when(self, until: Callable[[], bool], child: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not until():
            if select.select([self.process.stdout], [], [], 0.002)[0]:
                return  # it has ended by itself
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("newtest", timeout)
        os.kill(child, signal.SIGKILL)

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
    ending: tuple[str | int, ...] | None = None,
    until: Callable[[], bool] | None = None,
    values: Mapping[str, Any] | None = None,
    err: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``newtest`` to its end in a folder; ``env`` replaces this process's environment. It is killed (SIGKILL, and
    not the workers it has started) as soon as ``until`` says so, or by an ``ending``; it and ``values`` are described
    in ``command_host``. ``err``: a terminal that its errors go to.
    """
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory(prefix="said-") as folder:
        out, errors = Path(folder, "out"), Path(folder, "err")
        out.touch()  # a command may be killed before it opens them
        errors.touch()
        job = {
            "words": arguments, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env),
            "out": str(out), "err": err or str(errors), "ending": ending, "values": dict(values or {}),
        }  # fmt: skip
        code = _host().run(job, timeout, until)
        return subprocess.CompletedProcess(["newtest", *arguments], code, out.read_text(), errors.read_text())
