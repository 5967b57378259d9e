"""The engine's protocol and what passes through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from newtest.errors import NewtestError
from newtest.files import is_full_disk

__all__ = [
    "Engine",
    "Item",
    "MakeWorker",
    "Outcome",
    "Resources",
    "Value",
    "Worker",
    "attempt",
    "cores",
    "failure",
    "sendable",
]

Item = TypeVar("Item")
Value = TypeVar("Value")
Worker = Callable[[Item], Value]
MakeWorker = Callable[[], Callable[[Item], Value]]
"""Called once in each worker (where a model is loaded), gives the function that is called for each item.

It must be picklable where workers are processes: a module's function, a ``functools.partial`` of one, a dataclass."""


@dataclass(frozen=True)
class Resources:
    """What a run may use. ``workers`` 0 is one per core, or one per GPU where ``gpus`` (a worker's share) is not 0.

    ``kind`` "thread" suits work that holds no interpreter lock (Arrow, numpy); a cluster takes processes for both.
    """

    workers: int = 0
    gpus: float = 0.0
    kind: Literal["process", "thread"] = "process"
    share_cores: bool = False
    """Whether processes on this machine share its cores, so that each multiplies matrices on its part of them. Only
    for work whose results do not depend on the number of threads."""
    alone: bool = False
    """Whether one process uses all cores of a machine, as a model does: ``workers`` 0 is then one on this machine where
    there is no GPU, and still as many as find room on a cluster."""
    light: bool = False
    """Whether an item needs little memory and no decoder that a stranger's bytes could crash. Work of a moment is then
    done without starting processes on this machine, unless ``workers`` is given."""

    def count(self, items: int) -> int:
        """How many workers to start on this machine for so many items."""
        return max(1, min(self.workers or (1 if self.alone else cores()), items))


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: its value, or one sentence that says why there is none."""

    item: Item
    value: Value | None = None
    error: str | None = None
    tries: int = 1
    """How often the item was begun: more than once where a worker was lost. That is not a failure."""


class Engine(Protocol):
    """Maps a worker over items."""

    @property
    def name(self) -> str:
        """The engine's name, for results."""
        ...

    def map(
        self, make_worker: MakeWorker[Any, Any], items: Sequence[Any], resources: Resources = ...
    ) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item, in the order in which they end."""
        ...


def attempt(worker: Worker[Any, Any], item: Any) -> Outcome[Any, Any]:
    """Call a worker; what goes wrong becomes the outcome's error.

    A full disk is raised instead (OSError): no other item will fare better.
    """
    try:
        return Outcome(item, worker(item))
    except OSError as error:
        if is_full_disk(error):
            raise
        return Outcome(item, error=failure(error))
    except Exception as error:
        return Outcome(item, error=failure(error))


def cores() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def failure(error: BaseException) -> str:
    """An exception as the reason of an outcome: its text, with the type where it is not one of ours."""
    return str(error) if isinstance(error, NewtestError) else f"{type(error).__name__}: {error}"


def sendable(error: BaseException) -> BaseException:
    """What the parent raises: exceptions of foreign types may not survive the way, so they travel as text."""
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror, error.filename)
    if isinstance(error, NewtestError):
        return NewtestError(str(error))
    return RuntimeError(failure(error))
