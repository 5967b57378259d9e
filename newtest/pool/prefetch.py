"""Read ahead: a thread that fetches the next things while the last ones are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")


class _End:
    """Nothing more comes, for the reason given: an error, or None at the end."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(things: Iterable[T], most: int) -> Generator[T, None, None]:
    """The same things in the same order, read by a thread, at most this many ahead; its errors are raised here.

    Close it (``contextlib.closing``) to end the thread early.
    """
    read: queue.Queue[T | _End] = queue.Queue(most)
    stopped = threading.Event()
    thread = threading.Thread(target=_read, args=(things, read, stopped), daemon=True)
    thread.start()
    try:
        while not isinstance(thing := read.get(), _End):
            yield thing
        if thing.error is not None:
            raise thing.error
    finally:
        stopped.set()
        thread.join()


def _read(things: Iterable[T], read: queue.Queue[T | _End], stopped: threading.Event) -> None:
    try:
        for thing in things:
            _give(thing, read, stopped)
            if stopped.is_set():
                return
        _give(_End(), read, stopped)
    except BaseException as error:  # handed to the thread that reads
        _give(_End(error), read, stopped)


def _give(thing: T | _End, read: queue.Queue[T | _End], stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            read.put(thing, timeout=0.1)
        except queue.Full:
            continue
        return
