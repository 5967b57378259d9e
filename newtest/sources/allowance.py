"""So many calls in so many seconds, over all processes and restarts: the times of the calls lie in a small file.

The file is outside any study, because a limit belongs to a key or an address: ``$NEWTEST_STATE``, else
``$XDG_STATE_HOME/newtest``, else ``~/.local/state/newtest``.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from newtest.errors import SourceUnavailable
from newtest.files import state_folder

__all__ = ["LONGEST_WAIT", "Allowance"]

LONGEST_WAIT = 3700.0
"""Seconds that are still waited for: a little more than an hour, the time over which Flickr counts."""


class Allowance:
    """``limit`` calls in any ``seconds``, shared by all processes that name the same ``who`` (a key or a host)."""

    def __init__(self, who: str, limit: int, seconds: float, folder: Path | None = None) -> None:
        self._limit, self._seconds = limit, seconds
        name = f"{hashlib.sha256(who.encode()).hexdigest()[:16]}-{seconds:.0f}.calls"  # a key is not written down
        self._path = (folder or state_folder()) / name

    def take(self, say: Callable[[str], None] | None = None) -> None:
        """Count one call, before it is made; waits until it is allowed, and says so first.

        Raises SourceUnavailable instead of waiting for more than about an hour.
        """
        while (wait := self._try()) > 0:
            used_up = f"{self._limit} calls in {self._seconds:.0f} s are used up"
            if wait > LONGEST_WAIT:
                raise SourceUnavailable(
                    f"{used_up}; what was collected is kept, run the same command again in {wait / 3600:.1f} hours"
                )
            if say is not None and wait >= 1:
                say(f"{used_up}; going on in {wait:.0f} s")
            time.sleep(wait)

    def _try(self) -> float:
        """Count one call and give 0.0, or give the seconds until one is allowed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            data = handle.read()
            calls = array.array("d", data[: len(data) // 8 * 8])
            present = time.time()
            recent = array.array("d", [call for call in calls if present - self._seconds < call <= present])
            if len(recent) >= self._limit:
                return recent[-self._limit] + self._seconds - present
            recent.append(present)
            handle.seek(0)
            handle.write(recent.tobytes())
            handle.truncate()
        return 0.0
