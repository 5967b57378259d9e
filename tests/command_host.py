"""Runs ``newtest`` commands in forks of one process that has loaded everything, for ``commands.newtest``.

Starting Python and importing is most of the time that a small command takes. Each line of JSON on stdin is a job:
{"words", "cwd", "env", "out", "err"}; the answer is the exit code. How a command starts by itself, and what it imports,
is tested elsewhere (``tests/cli``).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import sys
import threading
from collections.abc import Callable
from typing import Any

from newtest.errors import NewtestError


def main() -> None:
    """Load, then answer jobs until there are no more."""
    import newtest.cli.app

    newtest.cli.app.command()
    for room in pkgutil.walk_packages(newtest.__path__, "newtest."):
        with contextlib.suppress(ImportError, NewtestError):  # an extra that is not here
            importlib.import_module(room.name)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os._exit(run(json.loads(line), newtest.cli.app.main))
        print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def run(job: dict[str, Any], command: Callable[[], None]) -> int:
    """One command, and what Python does at its end."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for stream, place in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = ["newtest", *job["words"]]
    code = 0
    try:
        command()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as at the end of a process: threads, then atexit
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
