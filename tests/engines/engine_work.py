"""Work that the engines' tests hand out; in a module of its own, so that other processes can import it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from newtest.errors import FolderMissing

__all__ = [
    "make_device",
    "make_dying",
    "make_elsewhere",
    "make_full",
    "make_late",
    "make_slow",
    "make_square",
    "make_unmakeable",
    "make_variables",
]


def make_square() -> Callable[[int], int]:
    """Squares; 13 brings bad luck."""

    def square(item: int) -> int:
        if item == 13:
            raise ValueError("thirteen")
        return item * item

    return square


def make_unmakeable() -> Callable[[int], int]:
    raise RuntimeError("no model here")


class make_dying:  # called like a function, picklable with its folder
    """Item 3 kills its worker as often as there are marks to take from the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> Callable[[int], int]:
        return self.run

    def run(self, item: int) -> int:
        marks = sorted(self.folder.iterdir())
        if item == 3 and marks:
            marks[0].unlink()
            print("the last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return item


def make_full() -> Callable[[int], int]:
    """Item 2 finds the disk full."""

    def write(item: int) -> int:
        if item == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/2")
        return item

    return write


def make_slow() -> Callable[[int], tuple[int, str]]:
    """Takes a moment, and says on which of Ray's nodes it ran."""
    import ray

    def slow(item: int) -> tuple[int, str]:
        time.sleep(0.2)
        return item, ray.get_runtime_context().get_node_id()

    return slow


def make_late() -> Callable[[int], int]:
    return _late


def _late(item: int) -> int:
    """Takes longer than half of ``local.HERE_S``, and says which process did it."""
    time.sleep(0.3)
    return os.getpid()


class make_elsewhere:
    """Its folder is missing on some of Ray's nodes, which it finds out when it is unpacked there."""

    def __init__(self, without: list[str]) -> None:
        self.without = without

    def __setstate__(self, state: dict[str, Any]) -> None:
        import ray

        self.__dict__.update(state)
        if ray.get_runtime_context().get_node_id() in self.without:
            raise FolderMissing("there is no folder /data/pool on this machine")

    def __call__(self) -> Callable[[int], tuple[int, str]]:
        return make_slow()


def make_variables() -> Callable[[list[str]], dict[str, str | None]]:
    return _variables


def _variables(names: list[str]) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in names}


def make_device() -> Callable[[list[str]], dict[str, str | None]]:
    """Slow enough that each worker does something."""

    def variables(names: list[str]) -> dict[str, str | None]:
        time.sleep(0.2)
        return _variables(names)

    return variables
