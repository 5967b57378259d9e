"""This machine: one worker runs in the process itself, several in processes or threads of their own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from newtest.engines.base import MakeWorker, Outcome, Resources, attempt, cores, sendable
from newtest.engines.devices import VISIBLE, visible_gpus
from newtest.errors import UsageError

__all__ = ["LocalEngine"]

_ATTEMPTS = 2
HERE_S = 0.5
"""About what starting a process costs that imports newtest."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_UNGUARDED = os.EX_CONFIG
"""A child ends with this code when it came to this engine while it imported the script that started it."""


@dataclass(frozen=True)
class LocalEngine:
    """Processes are spawned, never forked: torch and Arrow keep threads that a fork would leave dead."""

    name: str = "local"

    def map(
        self, make_worker: MakeWorker[Any, Any], items: Sequence[Any], resources: Resources = Resources()
    ) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item, in the order in which they end."""
        workers = resources.count(len(items))
        devices = visible_gpus() if resources.gpus else ()
        if resources.gpus and not resources.workers:
            workers = min(max(1, len(devices)), max(1, len(items)))
        if workers == 1:
            return _in_process(make_worker, items)
        if resources.kind == "thread":
            return _in_threads(make_worker, items, workers)
        threads = max(1, cores() // workers) if resources.share_cores else 0
        if resources.light and not resources.workers:
            return _begun_here(make_worker, items, threads)
        return _in_processes(make_worker, items, workers, devices=devices, threads=threads)

    @contextmanager
    def keeping(
        self, make_worker: MakeWorker[Any, Any]
    ) -> Iterator[Callable[[Sequence[Any], int], Iterator[Outcome[Any, Any]]]]:
        """Give a function that maps (items, workers), for several maps one after another: processes that one has
        started do the next one too. One worker runs in this process.
        """
        crew = _Crew(make_worker, keeps=True)

        def mapped(items: Sequence[Any], workers: int) -> Iterator[Outcome[Any, Any]]:
            workers = Resources(workers).count(len(items))
            return _in_process(make_worker, items) if workers == 1 else crew.map(items, workers)

        try:
            yield mapped
        finally:
            crew.stop()


def _in_process(make_worker: MakeWorker[Any, Any], items: Sequence[Any]) -> Iterator[Outcome[Any, Any]]:
    worker = make_worker() if items else None
    for item in items:
        assert worker is not None
        yield attempt(worker, item)


def _begun_here(
    make_worker: MakeWorker[Any, Any], items: Sequence[Any], threads: int
) -> Iterator[Outcome[Any, Any]]:
    """Work of a moment is done before a process has started: items are taken here first, and what is left after
    ``HERE_S`` seconds by one process per core."""
    until = time.monotonic() + HERE_S
    worker = make_worker()
    for done, item in enumerate(items):
        if time.monotonic() > until:
            left = items[done:]
            workers = Resources().count(len(left))
            yield from (
                _in_processes(make_worker, left, workers, threads=threads)
                if workers > 1
                else _in_process(make_worker, left)
            )
            return
        yield attempt(worker, item)


def _in_threads(
    make_worker: MakeWorker[Any, Any], items: Sequence[Any], workers: int
) -> Iterator[Outcome[Any, Any]]:
    waiting: deque[Any] = deque(items)
    done: queue.Queue[Outcome[Any, Any] | BaseException] = queue.Queue(maxsize=2 * workers)
    stopped = threading.Event()

    def run() -> None:
        try:
            worker = make_worker()
            while not stopped.is_set():
                try:
                    item = waiting.popleft()
                except IndexError:
                    return
                done.put(attempt(worker, item))
        except BaseException as error:  # handed to the caller's thread, which raises it
            done.put(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        stopped.set()
        for thread in threads:
            while thread.is_alive():
                with suppress(queue.Empty):  # of a run that was abandoned: the thread may wait for room
                    done.get_nowait()
                thread.join(0.02)  # over as soon as the thread is


@dataclass
class _Child:
    process: Any
    pipe: Connection
    held: tuple[int, Any] | None = None
    device: str | None = None


@dataclass
class _Crew:
    """The running children and the items that wait for them."""

    make_worker: MakeWorker[Any, Any]
    threads: int = 0
    keeps: bool = False
    """Whether children with nothing to do wait for the next map."""
    waiting: deque[tuple[int, Any]] = field(default_factory=deque)
    children: list[_Child] = field(default_factory=list)

    def start(self, device: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_child, args=(theirs, self.make_worker, device), daemon=True)
        with _threads(self.threads):
            _start(process)
        theirs.close()
        self.children.append(_Child(process, ours, device=device))
        self.give(self.children[-1])

    def give(self, child: _Child) -> None:
        child.held = self.waiting.popleft() if self.waiting else None
        if child.held is None and self.keeps:
            return
        try:
            child.pipe.send(child.held)
        except (BrokenPipeError, ConnectionResetError):
            return  # it died between two items: the next wait finds its pipe closed and deals with what it held
        except BaseException:
            self.stop()
            raise

    def map(
        self, items: Sequence[Any], workers: int, *, devices: Sequence[str] = ()
    ) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item, by the children that are there and as many more as make ``workers``. Each of them
        sees one of the ``devices``; more workers than devices share them.
        """
        self.waiting = deque(enumerate(items))
        attempts: dict[int, int] = {}
        for child in self.children:
            self.give(child)
        for number in range(len(self.children), workers):
            self.start(devices[number % len(devices)] if devices else None)
        left = len(items)
        while left:
            pipes = {child.pipe: child for child in self.children if child.held is not None}
            for pipe in wait(list(pipes)):
                child = pipes[pipe]  # type: ignore[index]
                assert child.held is not None
                index, item = child.held
                try:
                    value, error = child.pipe.recv()
                except (EOFError, ConnectionResetError):
                    attempts[index] = attempts.get(index, 0) + 1
                    self.children.remove(child)
                    child.process.join()
                    if child.process.exitcode == _UNGUARDED:
                        raise UsageError(
                            "worker processes import the script that starts them, and this one starts its own while it "
                            'is imported; put what it does under if __name__ == "__main__":'
                        ) from None
                    if attempts[index] < _ATTEMPTS:
                        self.waiting.appendleft((index, item))
                    else:
                        left -= 1
                        yield Outcome(
                            item,
                            error=f"the worker process died twice on it (exit code {child.process.exitcode})",
                            tries=_ATTEMPTS,
                        )
                    if self.waiting:
                        self.start(child.device)
                    continue
                if isinstance(error, BaseException):
                    raise error
                left -= 1
                self.give(child)
                yield Outcome(item, value, error, attempts.get(index, 0) + 1)

    def stop(self) -> None:
        for child in self.children:
            child.process.terminate()
        for child in self.children:
            child.process.join()
            child.pipe.close()


def _in_processes(
    make_worker: MakeWorker[Any, Any],
    items: Sequence[Any],
    workers: int,
    *,
    devices: Sequence[str] = (),
    threads: int = 0,
) -> Iterator[Outcome[Any, Any]]:
    crew = _Crew(make_worker, threads)
    try:
        yield from crew.map(items, workers, devices=devices)
    finally:
        crew.stop()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """What is started meanwhile multiplies with so many threads, unless the user has chosen otherwise; 0 changes
    nothing. The libraries look when they are loaded, so the child's environment is the way.
    """
    names = [name for name in _THREADS if count and name not in os.environ]
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def _start(process: Any) -> None:
    """Start a child; a process that is itself a child, still importing its parent's script, ends without a word: the
    parent says what is wrong.
    """
    try:
        process.start()
    except RuntimeError as error:
        if "bootstrapping phase" in str(
            error
        ):  # multiprocessing's words for it; there is no type and no flag
            raise SystemExit(_UNGUARDED) from None
        raise


def _child(pipe: Connection, make_worker: MakeWorker[Any, Any], device: str | None) -> None:
    if device is not None:
        os.environ[VISIBLE] = device
    try:
        worker = None
        while (held := pipe.recv()) is not None:
            try:
                if worker is None:
                    worker = make_worker()
                outcome = attempt(worker, held[1])
                pipe.send((outcome.value, outcome.error))
            except BaseException as error:
                pipe.send((None, sendable(error)))
                return
    except (EOFError, KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone or was interrupted: what was finished is on disk
