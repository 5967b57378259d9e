"""A Ray cluster: an existing one, or one that is started on this machine for the run.

Ray brings its own scheduling and its own word for a lost worker; what is ours is the contract: each item
once, failures as values, one more try for an item whose worker died.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newtest.engines.base import MakeWorker, Outcome, Resources, attempt
from newtest.errors import MissingExtra

__all__ = ["RayEngine"]

_ATTEMPTS = 3  # a node that dies may take an item with it twice before the rest of the cluster is steady


@dataclass(frozen=True)
class RayEngine:
    """``address`` None joins a cluster that Ray finds by itself (``RAY_ADDRESS``) or starts a local one."""

    address: str | None = None
    name: str = "ray"

    def map(
        self, make_worker: MakeWorker[Any, Any], items: Sequence[Any], resources: Resources = Resources()
    ) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item, in the order in which they end."""
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            ray.init(
                address=self.address, log_to_driver=False, include_dashboard=False, configure_logging=False
            )
        try:
            workers = resources.workers or max(
                1, int(ray.cluster_resources().get("GPU" if resources.gpus else "CPU", 1))
            )
            crew = _Crew(ray, ray.put(make_worker), resources, deque(enumerate(items)))
            yield from crew.run(min(workers, max(1, len(items))), len(items))
        finally:
            if ours:
                ray.shutdown()


@dataclass
class _Crew:
    """Actors, each with at most one item, and the items that wait."""

    ray: Any
    make_worker: Any
    resources: Resources
    waiting: deque[tuple[int, Any]]
    held: dict[Any, tuple[Any, int, Any]] = field(default_factory=dict)

    def run(self, workers: int, left: int) -> Iterator[Outcome[Any, Any]]:
        attempts: dict[int, int] = {}
        for _ in range(workers):
            self._give(self._actor())
        while left:
            done, _ = self.ray.wait(list(self.held), num_returns=1)
            actor, index, item = self.held.pop(done[0])
            try:
                outcome = self.ray.get(done[0])
            except (
                self.ray.exceptions.RayActorError,
                self.ray.exceptions.ObjectLostError,
                self.ray.exceptions.NodeDiedError,
            ):
                attempts[index] = attempts.get(index, 0) + 1
                if attempts[index] < _ATTEMPTS:
                    self.waiting.appendleft((index, item))
                else:
                    left -= 1
                    yield Outcome(item, error=f"the worker died {_ATTEMPTS} times on it")
                if self.waiting:
                    self._give(self._actor())
                continue
            if isinstance(outcome, OSError):
                raise outcome
            left -= 1
            self._give(actor)
            yield outcome

    def _actor(self) -> Any:
        options = {"num_cpus": 1, "num_gpus": self.resources.gpus, "max_restarts": 0}
        return self.ray.remote(_Actor).options(**options).remote(self.make_worker, str(Path.cwd()))

    def _give(self, actor: Any) -> None:
        if self.waiting:
            index, item = self.waiting.popleft()
            self.held[actor.run.remote(item)] = (actor, index, item)
        else:
            self.ray.kill(actor)


class _Actor:
    """A worker on some node of the cluster; it is made when its first item comes, so that an error names itself."""

    def __init__(self, make_worker: MakeWorker[Any, Any], folder: str) -> None:
        _work_in(folder)
        self.make_worker = make_worker
        self.worker: Any = None

    def run(self, item: Any) -> Outcome[Any, Any] | OSError:
        """The outcome; a full disk as a value, for Ray would wrap what is raised."""
        if self.worker is None:
            self.worker = self.make_worker()
        try:
            return attempt(self.worker, item)
        except OSError as error:
            return OSError(error.errno, error.strerror, error.filename)


def _work_in(folder: str) -> None:
    """Let relative paths mean what they mean to the command: a cluster's processes run in a folder of their own.

    Where a machine has no such folder they mean nothing at all, instead of files that nobody would find again.
    """
    try:
        os.chdir(folder)
    except OSError:
        gone = Path(tempfile.mkdtemp())
        os.chdir(gone)
        gone.rmdir()


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray
