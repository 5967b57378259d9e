"""The command line as a process of its own: run to its end, or killed (SIGKILL) at a moment that a test names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import commands

__all__ = ["contents", "killed_at_event", "killed_when", "left_over", "losing", "newtest"]

COMMAND = "from newtest.cli import main; main()"


def newtest(
    *arguments: str,
    cwd: Path,
    setup: Callable[[], None] | None = None,
    values: Mapping[str, Any] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``newtest`` in a folder; with ``setup``, which runs in the child first (limits), as a fresh process."""
    if setup is None:
        return commands.newtest(*arguments, cwd=cwd, values=values)
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False, preexec_fn=setup,
    )  # fmt: skip


def killed_at_event(
    *arguments: str,
    cwd: Path,
    after: int,
    event: str = "os.rename",
    values: Mapping[str, Any] | None = None,
) -> None:
    """Kill ``newtest`` when it has made so many files appear and is about to make the next one. ``values``: as
    ``command_host`` has them.

    Every file appears by a rename (on a store by an upload, which begins with a folder for it: the ``event``
    "tempfile.mkdtemp"), and Python tells audit hooks of both before they happen.
    """
    done = commands.newtest(*arguments, cwd=cwd, ending=("kill", event, after), values=values)
    assert done.returncode == -9, (
        f"it was to die after {after} files and ended with {done.returncode}: {done.stderr}"
    )


def losing(begun: str, gone: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``newtest``; a file is gone as soon as one whose name ends in ``begun`` is opened."""
    return commands.newtest(*arguments, cwd=cwd, ending=("lose", begun, str(gone)))


def killed_when(ready: Callable[[], bool], *arguments: str, cwd: Path) -> None:
    """Kill ``newtest`` as soon as ``ready`` says so."""
    done = commands.newtest(*arguments, cwd=cwd, until=ready, timeout=60)
    assert done.returncode == -9, f"it ended before it was killed: {done.stderr}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative name, but for what is hidden."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    }


def left_over(folder: Path) -> list[str]:
    """What is hidden below a folder: nothing, where a run has ended well."""
    return sorted(
        str(path)
        for path in folder.rglob("*")
        if _is_hidden(path.relative_to(folder)) and path.name != ".newtest-made"  # the list of what we wrote
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
