"""Runs commands in forks of one process that has loaded everything, for ``commands``.

Starting Python and importing is most of the time that a small command takes. Each line of JSON on stdin is a job:
{"words", "cwd", "env", "in", "out", "err", "room", "python", "ending", "values"}. The answers are {"pid"} when a fork
has begun and {"pid", "code"} when one has ended. ``room`` is how many bytes a file may have, ``python`` the code to run
instead of ``newtest``. ``ending`` is none, or says what Python's audit hooks do to the command: ["kill", event, n]
kills it when the event is to happen for the (n + 1)th time, and ["lose", name, path] removes a file as soon as one
whose name ends so is opened. ``values`` are those of names of modules, "module:name", in the command and not in workers
that it starts. How a command starts by itself, and what it imports, is tested elsewhere (``tests/cli``).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from newtest.errors import NewtestError

DEAR = ("torch", "open_clip", "timm", "efficientnet_lite_pytorch", "sentence_transformers")
"""What takes long to import. The first command that has done so pays; then the host does it for all that follow. None
of it starts threads when it is imported, which a fork would leave dead. Variables that they look at then are the
host's."""


def main() -> None:
    """Load, then answer jobs until there are no more."""
    import newtest.cli.app
    from newtest.clip.torch_runtime import library

    newtest.cli.app.command()
    for room in pkgutil.walk_packages(newtest.__path__, "newtest."):
        with contextlib.suppress(ImportError, NewtestError):  # an extra that is not here
            importlib.import_module(room.name)
    signal.signal(signal.SIGCHLD, lambda *_: ended())
    os.write(1, b"ready\n")
    reading, writing = os.pipe()
    for line in sys.stdin:
        while select.select([reading], [], [], 0)[0]:  # what the commands before have imported
            for name in os.read(reading, 65536).decode().split():
                with contextlib.suppress(ImportError, NewtestError):  # the commands say what they lack
                    library(name, name, "")
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = run(json.loads(line), newtest.cli.app.main)
            os.write(writing, " ".join([*(name for name in DEAR if name in sys.modules), ""]).encode())
            os._exit(code)
        with contextlib.suppress(OSError):  # here too: it may be sent a signal before it has done so itself
            os.setpgid(child, child)
        tell({"pid": child})


def tell(what: dict[str, int]) -> None:
    """One line in one write, for the handler of a signal may write between."""
    os.write(1, json.dumps(what).encode() + b"\n")


def ended() -> None:
    """Tell the codes of all forks that have ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            tell({"pid": child, "code": os.waitstatus_to_exitcode(status)})


def run(job: dict[str, Any], command: Callable[[], None]) -> int:
    """One command, and what Python does at its end."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    os.dup2(os.open(job["in"], os.O_RDONLY), 0)
    for stream, place in ((1, job["out"]), (2, job["err"])):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if job.get("room") is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["room"], job["room"]))
    for name, value in job.get("values", {}).items():
        module, _, name = name.partition(":")
        setattr(importlib.import_module(module), name, value)
    if job.get("ending"):
        what, *about = job["ending"]
        sys.addaudithook({"kill": _killing, "lose": _losing}[what](*about))
    sys.argv = [*job["words"]]
    code = 0
    try:
        if (lines := job.get("python")) is None:
            command()
        else:
            sys.path.insert(0, "")
            exec(compile(lines, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as at the end of a process: threads, then atexit
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _killing(wanted: str, left: int) -> Callable[[str, Any], None]:
    moments = iter(range(left))

    def count(event: str, arguments: Any) -> None:
        if event == wanted and next(moments, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def _losing(begun: str, gone: str) -> Callable[[str, Any], None]:
    def lose(event: str, arguments: Any) -> None:
        if event == "open" and str(arguments[0]).endswith(begun) and Path(gone).exists():
            Path(gone).unlink()

    return lose


if __name__ == "__main__":
    main()
