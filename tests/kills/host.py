"""Runs commands in forks of one process that has loaded newtest, and kills them at the moment that is asked for.

Starting Python is most of the time that a small command takes, so this process loads everything once. Each line of
JSON on stdin is a job: {"words", "cwd", "at", "room"}; ``at`` is the number of the moment before which the command
dies, null for never; ``room`` is how many bytes a file may have. A moment is a file that is opened to be written,
made, renamed, linked or removed, or a statement that changes a database. The answer: {"code", "moments", "said"}.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from newtest.errors import NewtestError

FILES = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree",
}  # fmt: skip
CONNECT = sqlite3.connect
WRITES = ("insert", "update", "delete", "replace", "create", "drop", "alter", "commit")


class Moments:
    """Counts the moments at which something changes on the disk, and dies before the one that is asked for."""

    def __init__(self, at: int | None) -> None:
        self.at, self.count, self.own = at, 0, os.getpid()

    def watch(self, event: str, values: tuple[Any, ...]) -> None:
        """An audit hook."""
        if event == "open":
            flags = values[2]
            if (
                isinstance(flags, int)
                and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                and not str(values[0]).startswith("/dev/")
            ):
                self._one()
        elif event in FILES:
            self._one()

    def connect(self, *given: Any, **named: Any) -> sqlite3.Connection:
        """``sqlite3.connect`` whose statements are counted."""
        connection = CONNECT(*given, **named)
        connection.set_trace_callback(self._statement)
        return connection

    def _statement(self, statement: str) -> None:
        if statement.lstrip().lower().startswith(WRITES):
            self._one()

    def _one(self) -> None:
        if os.getpid() != self.own:
            return
        if self.count == self.at:
            os.kill(self.own, signal.SIGKILL)
        self.count += 1


def main() -> None:
    """Load, then answer jobs until there are no more."""
    import newtest.cli.app

    newtest.cli.app.command()
    rooms = (one.name for one in pkgutil.walk_packages(newtest.__path__, "newtest."))
    for name in (*sys.argv[1:], *rooms):
        with contextlib.suppress(ImportError, NewtestError):  # an extra that is not here
            importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), newtest.cli.app.main)), flush=True)


def run(job: dict[str, Any], command: Callable[[], None]) -> dict[str, Any]:
    """One command in a fork."""
    cwd = Path(job["cwd"])
    said, counted = cwd.with_name(f"{cwd.name}.said"), cwd.with_name(f"{cwd.name}.moments")
    counted.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os._exit(_child(job, cwd, said, counted, command))
    _, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "moments": int(counted.read_text()) if counted.exists() else None,
        "said": said.read_text(),
    }


def _child(job: dict[str, Any], cwd: Path, said: Path, counted: Path, command: Callable[[], None]) -> int:
    os.chdir(cwd)
    os.environ |= {
        name: str(cwd.with_name(f"{cwd.name}.home")) for name in ("NEWTEST_STATE", "NEWTEST_CACHE")
    }
    told = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(told, stream)
    sys.argv = ["newtest", *job["words"]]
    if job["room"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["room"], resource.RLIM_INFINITY))
    moments = Moments(job["at"])
    sys.addaudithook(moments.watch)
    sqlite3.connect = moments.connect
    code = 0
    try:
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    moments.at = None
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.flush()
    sys.stderr.flush()
    counted.write_text(str(moments.count))
    return code


if __name__ == "__main__":
    main()
