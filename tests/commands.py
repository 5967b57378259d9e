"""``newtest`` commands in this process, or in one of their own without the seconds that each start of Python takes."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from typer.testing import CliRunner

from newtest.cli import main
from newtest.cli.app import application

__all__ = ["Running", "here", "invoke", "newtest", "python", "start"]

HOST = Path(__file__).with_name("command_host.py")


class _Host:
    """The process that forks; it tells when a fork has begun and when one has ended."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOST)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._codes: dict[int, int] = {}
        self._told = ""
        atexit.register(self.close)
        assert self._lines(180) == ["ready"]

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

    def begin(self, job: dict[str, object]) -> int:
        """Fork for a job: the number of its process."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job) + "\n")
        while (begun := self._take(60)) is None:
            pass
        return begun

    def code(self, child: int, timeout: float) -> int | None:
        """The exit code of a fork; None if it still runs after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while child not in self._codes:
            try:
                self._take(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
        return self._codes[child]

    def _take(self, timeout: float) -> int | None:
        """Read what the host tells, and answer with the process that has begun, if one has."""
        begun = None
        for line in self._lines(timeout):
            told = json.loads(line)
            if "code" in told:
                self._codes[told["pid"]] = told["code"]
            else:
                begun = told["pid"]
        return begun

    def _lines(self, timeout: float) -> list[str]:
        assert self.process.stdout
        pipe = self.process.stdout.fileno()
        if not select.select([pipe], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("newtest", timeout)
        told = os.read(pipe, 65536).decode()
        assert told, "the host of the tests' commands has ended"
        *lines, self._told = (self._told + told).split("\n")
        return lines


@cache
def _host() -> _Host:
    return _Host()


class Running:
    """A command in a process of its own that can be waited for, sent signals, and killed; it dies with its block."""

    def __init__(self, job: dict[str, object], arguments: Sequence[str], typed: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="said-")
        given = Path(self._folder.name, "in")
        given.write_text(typed)
        self._out, self._err = Path(self._folder.name, "out"), Path(self._folder.name, "err")
        self.arguments = [*arguments]
        self.pid = _host().begin(
            job | {"in": str(given), "out": str(self._out), "err": job.get("err") or str(self._err)}
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._err.read_text() if self._err.exists() else ""

    def shown(self, pattern: str, timeout: float = 60) -> re.Match[str]:
        """Wait until it has written a text, on either stream.

        Raises:
            AssertionError: It has ended without, or has not written it in ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            code = self.poll()
            for said in (self.out, self.err):
                if found := re.search(pattern, said):
                    return found
            assert code is None and time.monotonic() < deadline, f"{code}: {self.out}\n{self.err}"
            time.sleep(0.01)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return _host().code(self.pid, 0)

    def wait(self, timeout: float = 180) -> int:
        """The exit code, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: It still runs after ``timeout`` seconds.
        """
        code = _host().code(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and what it has started; nothing once it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> int:
        """As kill -9 does: the exit code."""
        self.signal(signal.SIGKILL)
        return self.wait(30)

    def completed(self, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Wait for its end: its code and what it wrote."""
        return subprocess.CompletedProcess(self.arguments, self.wait(timeout), self.out, self.err)


def _start(
    words: Sequence[str | Path],
    cwd: Path | str | None,
    env: Mapping[str, str] | None,
    typed: str = "",
    **job: object,
) -> Running:
    job |= {"words": [str(word) for word in words], "cwd": str(cwd or Path.cwd())}
    return Running(
        {**job, "env": dict(os.environ if env is None else env)}, [str(word) for word in words], typed
    )


def start(
    *words: str | Path,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    room: int | None = None,
    typed: str = "",
) -> Running:
    """Start ``newtest``. ``room``: how many bytes a file of it may have, as a quota would say; ``typed``: its stdin."""
    return _start(["newtest", *words], cwd, env, typed, room=room)


def newtest(
    *words: str | Path,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 180,
    room: int | None = None,
    ending: tuple[str | int, ...] | None = None,
    until: Callable[[], bool] | None = None,
    values: Mapping[str, Any] | None = None,
    err: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``newtest`` to its end in a folder; ``env`` replaces this process's environment. It is killed (SIGKILL, and
    not the workers it has started) as soon as ``until`` says so, or by an ``ending``; it and ``values`` are described
    in ``command_host``. ``err``: a terminal that its errors go to.
    """
    job = {"room": room, "ending": ending, "values": dict(values or {}), "err": err}
    with _start(["newtest", *words], cwd, env, **job) as running:
        deadline = time.monotonic() + timeout
        while until is not None and time.monotonic() < deadline and running.poll() is None:
            if until():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        return running.completed(max(0.0, deadline - time.monotonic()))


def python(
    code: str,
    *arguments: str | Path,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
) -> Running:
    """Start some lines of Python where all of newtest is imported already."""
    return _start(["-c", *arguments], cwd, env, python=code)


def here(*words: object, cwd: Path | str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``newtest`` to its end in this process, with what it says of errors and the code that it ends with."""
    typed, code = [str(word) for word in words], 0
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, sys.argv = sys.argv, ["newtest", *typed]
    try:
        with contextlib.chdir(cwd or "."), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        assert ended.code is None or isinstance(ended.code, int), ended.code
        code = ended.code or 0
    finally:
        sys.argv = before
    said = (stream.detach().getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(["newtest", *typed], code, *said)


def invoke(words: Sequence[str | Path], **options: Any) -> Any:
    """Run ``newtest`` in this process, by typer's own runner; its Result holds the exception of a failure."""
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed[0]), typed, **options)
