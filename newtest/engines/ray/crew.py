"""Workers, each with at most one item, and the items that wait: who comes, who is lost, whose node lacks the data."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from newtest.engines.base import Outcome
from newtest.engines.ray.lost import gone, losses, reason
from newtest.engines.ray.patience import Needs, Patience
from newtest.engines.ray.worker import Answer, Arrival, Cargo, Worker
from newtest.errors import ClusterError, FolderMissing
from newtest.version import __version__

__all__ = ["Crew"]

_ATTEMPTS = 3  # deaths of workers on one item
_NODES = (
    10  # nodes that went with an item: they are scaled down or preempted, and rarely is it the item's fault
)
_STARTS = 5  # workers that die before they have arrived, one after the other
_TICK_S, _GROW_S = 2.0, 10.0
_TOLD = 5  # losses that are told one by one


@dataclass
class _Held:
    actor: Any
    arrival: Arrival
    index: int
    item: Any


@dataclass
class Crew:
    """``workers`` 0 takes what the cluster has room for, also when it grows."""

    ray: Any
    cargo: Cargo
    needs: Needs
    waiting: deque[tuple[int, Any]]
    patience: Patience
    workers: int = 0
    without: dict[str, str] = field(default_factory=dict)
    """The nodes that lack a folder: by id, what they lack."""
    starting: dict[Any, Any] = field(default_factory=dict)
    held: dict[Any, _Held] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    deaths: Counter[int] = field(default_factory=Counter)
    nodes_lost: Counter[int] = field(default_factory=Counter)
    failed_starts: int = 0
    told: set[str] = field(default_factory=set)
    lost: int = 0
    grown: float = 0.0

    def run(self) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item. Raises ClusterError, FolderMissing."""
        left = len(self.waiting)
        lost = losses(self.ray)
        try:
            self._grow()
            while left:
                if not self.held:
                    self.patience.tried()
                done, _ = self.ray.wait(
                    [*self.held, *self.starting], num_returns=1, timeout=_TICK_S if not self.held else _GROW_S
                )
                for outcome in self._gone_on(done[0], lost) if done else ():
                    left -= 1
                    yield outcome
                if left:
                    self._grow()
        finally:
            for actor in (*self.starting.values(), *(held.actor for held in self.held.values())):
                self.ray.kill(actor)
        if self.lost:
            self._say(
                f"{self.lost} workers of Ray were lost, and {sum(n > 1 for n in self.tries.values())} items "
                "were begun again for that; what failed for good is counted apart"
            )

    def _gone_on(self, reference: Any, lost: tuple[type[BaseException], ...]) -> Iterator[Outcome[Any, Any]]:
        """A worker has arrived or is done with its item: the item's outcome, if it has one."""
        if reference in self.starting:
            actor = self.starting.pop(reference)
            try:
                self._arrived(actor, self.ray.get(reference))
            except lost as error:
                self._failed_start(error)
            return
        held = self.held.pop(reference)
        try:
            answer: Answer = self.ray.get(reference)
        except lost as error:
            yield from self._lost_with(held, error)
            return
        if answer.error is not None:
            raise answer.error
        if answer.missing is not None:
            self.waiting.appendleft((held.index, held.item))
            self._leave(held.actor, held.arrival, answer.missing)
            return
        assert answer.outcome is not None
        self._give(held.actor, held.arrival)
        # The item is the command's own; what came back is a copy.
        yield replace(answer.outcome, item=held.item, tries=self.tries[held.index])

    def _arrived(self, actor: Any, arrival: Arrival) -> None:
        self.failed_starts = 0
        if arrival.version != __version__:
            raise ClusterError(
                f"{arrival.place} has newtest {arrival.version}, and this machine {__version__}: install the same "
                "version on all machines of the cluster"
            )
        if arrival.missing is not None:
            self._leave(actor, arrival, arrival.missing)
            return
        if arrival.unset:
            self._say(
                f"{arrival.place} lacks the files or folders of these variables, so they stay there as they are: "
                f"{', '.join(arrival.unset)}"
            )
        self._give(actor, arrival)

    def _give(self, actor: Any, arrival: Arrival) -> None:
        self.patience.renewed()
        if arrival.node in self.without or not self.waiting:
            self.ray.kill(actor)
            return
        index, item = self.waiting.popleft()
        self.tries[index] += 1
        self.held[actor.run.remote(item)] = _Held(actor, arrival, index, item)

    def _leave(self, actor: Any, arrival: Arrival, missing: str) -> None:
        """No more work for a node that lacks a folder. Raises FolderMissing where no node is left."""
        self.ray.kill(actor)
        self.grown = 0
        if arrival.node in self.without:
            return
        self.without[arrival.node] = f"{arrival.place}: {missing}"
        if not any(
            node["Alive"] and node["NodeID"] not in self.without and self.needs.fit(node["Resources"])
            for node in self.ray.nodes()
        ):
            raise FolderMissing(
                "no node of the Ray cluster has the folder; put it where all machines see it, or on s3:// "
                f"({'; '.join(self.without.values())})"
            )
        self._say(f"{self.without[arrival.node]}; it gets no more work, and its items go to other nodes")

    def _lost_with(self, held: _Held, error: BaseException) -> Iterator[Outcome[Any, Any]]:
        self.lost += 1
        self.grown = 0  # another takes its place at once
        of = self.nodes_lost if gone(self.ray, error, held.arrival) else self.deaths
        of[held.index] += 1
        deaths, nodes = self.deaths[held.index], self.nodes_lost[held.index]
        last = deaths >= _ATTEMPTS or nodes >= _NODES
        why = reason(self.ray, error, held.arrival) if last or self.lost <= _TOLD else ""
        if last:
            yield Outcome(
                held.item,
                error=f"the worker died {deaths + nodes} times on it (the last {why})",
                tries=self.tries[held.index],
            )
            return
        self.waiting.appendleft((held.index, held.item))
        if why:
            self._say(f"a worker of Ray was lost, and its item is begun again elsewhere ({why})")

    def _failed_start(self, error: BaseException) -> None:
        self.failed_starts += 1
        why = reason(self.ray, error, None)
        if self.failed_starts >= _STARTS:
            raise ClusterError(f"{_STARTS} workers of Ray in a row did not start (the last {why})") from error
        if why not in self.told:
            self.told.add(why)
            self._say(f"a worker of Ray did not start ({why})")

    def _grow(self) -> None:
        """As many workers as there is work and room for. Those that find no room wait, and Ray's autoscaler sees it."""
        there = len(self.held) + len(self.starting)
        due = time.monotonic() - self.grown >= _GROW_S or there == 0
        if not self.waiting or (not due and not self.workers):
            return
        wanted = self.workers
        if not wanted:
            self.grown = time.monotonic()
            nodes = (
                node for node in self.ray.nodes() if node["Alive"] and node["NodeID"] not in self.without
            )
            wanted = max(1, sum(self.needs.fit(node["Resources"]) for node in nodes))
        # An item waits for each worker that is starting.
        for _ in range(min(wanted - there, len(self.waiting) - len(self.starting))):
            actor = self._actor()
            self.starting[actor.arrive.remote()] = actor

    def _actor(self) -> Any:
        options = self.needs.options() | {"max_restarts": 0}
        if self.without:
            from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

            options["scheduling_strategy"] = NodeLabelSchedulingStrategy(
                hard={"ray.io/node-id": NotIn(*self.without)}
            )
        return self.ray.remote(Worker).options(**options).remote(self.cargo)

    def _say(self, sentence: str) -> None:
        self.patience.progress.say(sentence)
