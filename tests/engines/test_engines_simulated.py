"""Ray's engine on a thousand simulated workers, of which one in twenty is lost: its own code, a clock of our own."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from newtest.engines import Outcome
from newtest.engines.ray.crew import Crew
from newtest.engines.ray.patience import Needs, Patience
from newtest.engines.ray.worker import Answer, Arrival
from newtest.pool.dedup.joins import block_rows
from newtest.pool.storage.row_ranges import ranges
from newtest.progress import UNWATCHED
from newtest.version import __version__

WORKERS, SECONDS, STARTS = 1000, 60.0, 20.0
ROWS = 12_800_000
RANGES = len(ranges((0, ROWS), block_rows(ROWS)))
ITEMS = RANGES * (RANGES + 1) // 2
"""Those of an exact join of 12.8 M rows: all take as long, but on machines that differ."""


class Lost(Exception):
    """A worker is gone."""


@dataclass
class Cluster:
    """What the engine asks of Ray, with events on a heap instead of machines. A worker that dies is started anew
    elsewhere, which takes a while; the time it had spent on its item is lost.
    """

    draw: np.random.Generator
    doomed: int
    now: float = 0.0
    busy: float = 0.0
    started: int = 0
    events: list[tuple[float, int]] = field(default_factory=list)
    results: dict[int, Any] = field(default_factory=dict)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(RayActorError=Lost, ObjectLostError=Lost, NodeDiedError=Lost)
    )

    def remote(self, _: Any) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self.actor))

    def actor(self, *_: Any) -> Any:
        dies = self.draw.uniform(0, ITEMS / WORKERS * SECONDS) if self.started < self.doomed else np.inf
        self.started += 1
        speed = self.draw.uniform(0.8, 1.25)
        worker = SimpleNamespace(
            speed=speed, ready=self.now + STARTS * self.draw.random(), dies=self.now + dies
        )
        worker.arrive = SimpleNamespace(remote=lambda: self.arrived(worker))
        worker.run = SimpleNamespace(remote=lambda item: self.begin(worker, item))
        return worker

    def arrived(self, worker: Any) -> int:
        reference = len(self.results)
        self.results[reference] = Arrival("node", "10.0.0.1", __version__)
        heapq.heappush(self.events, (worker.ready, reference))
        return reference

    def begin(self, worker: Any, item: int) -> int:
        start = max(self.now, worker.ready)
        takes = SECONDS * worker.speed * float(self.draw.lognormal(0, 0.1))
        reference = len(self.results)
        if start + takes < worker.dies:
            self.busy += takes
            self.results[reference] = Answer(Outcome(item, item * 2))
            heapq.heappush(self.events, (start + takes, reference))
        else:
            self.results[reference] = Lost()
            heapq.heappush(self.events, (max(start, worker.dies), reference))
        worker.ready = start + takes
        return reference

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": "node", "Alive": True, "Resources": {}}]

    def wait(self, held: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        assert num_returns == 1 and len(held) <= WORKERS
        self.now, reference = heapq.heappop(self.events)
        return [reference], []

    def get(self, reference: int) -> Any:
        result = self.results[reference]
        if isinstance(result, Lost):
            raise result
        return result

    def kill(self, worker: Any) -> None: ...


@pytest.mark.parametrize("seed", [0, 1])
def test_a_thousand_workers_of_which_one_in_twenty_is_lost(seed: int) -> None:
    cluster = Cluster(np.random.default_rng(seed), doomed=WORKERS // 20)
    needs = Needs()
    items = deque(enumerate(range(ITEMS)))
    crew = Crew(cluster, None, needs, items, Patience(cluster, needs, UNWATCHED), WORKERS)  # type: ignore[arg-type]
    outcomes = list(crew.run())
    assert sorted(outcome.item for outcome in outcomes) == list(range(ITEMS))
    assert all(outcome.value == 2 * outcome.item for outcome in outcomes)
    assert (
        cluster.started > WORKERS + WORKERS // 25
    )  # most of the doomed died at work, and others took their place
    assert cluster.started - WORKERS <= sum(
        outcome.tries > 1 for outcome in outcomes
    )  # retries are told apart
    assert not any(outcome.error for outcome in outcomes)
    assert cluster.busy / (WORKERS * cluster.now) >= 0.9


@pytest.mark.parametrize(
    ("words", "lost", "failed"),
    [
        ("The actor died because its node has died.", 9, None),
        ("The actor died because its node has died.", 10, "the worker died 10 times on it (the last on 10.0.0.1"),
        ("The worker process died.", 2, None),
        ("The worker process died.", 3, "the worker died 3 times on it (the last on 10.0.0.1"),
    ],
)  # fmt: skip
def test_nodes_that_go_are_told_from_an_item_that_kills(words: str, lost: int, failed: str | None) -> None:
    """Spot machines go again and again; Ray 2.60's own words of it."""
    cluster = _Preempted(np.random.default_rng(0), 0, words=words, lost=lost)
    needs = Needs()
    crew = Crew(cluster, None, needs, deque([(0, 7)]), Patience(cluster, needs, UNWATCHED), 1)  # type: ignore[arg-type]
    (outcome,) = crew.run()
    assert outcome.tries == lost + (failed is None)
    assert (outcome.value, outcome.error) == (14, None) if failed is None else failed in str(outcome.error)


@dataclass
class _Preempted(Cluster):
    words: str = ""
    lost: int = 0

    def begin(self, worker: Any, item: int) -> int:
        reference = super().begin(worker, item)
        if self.lost:
            self.lost -= 1
            self.results[reference] = Lost(self.words)
        return reference
