"""The hosts of a run: what waits for each, at what pace it is asked, and what is remembered of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from newtest.download.config import DownloadConfig
from newtest.download.memory import HostMemory, Memory, Remembered
from newtest.download.pace import Pace
from newtest.download.records import Request
from newtest.download.traffic import HostTraffic

__all__ = ["Host", "Hosts", "Pending"]


_KNOWN, _LEAST_PATIENCE, _TIMES = 60, 3.0, 10.0
"""A host is known after so many answers; then silence is waited for so many seconds at least, and so many times as long
as its slowest answer took."""


@dataclass
class Pending:
    """A request that has not ended. ``refusals``: how often its host wanted fewer requests."""

    request: Request
    host: str
    tries: int = 0
    refusals: int = 0


@dataclass
class Host:
    """One host in a run; ``queued`` while it waits for its turn, ``timer`` while it waits for its time."""

    pace: Pace
    waiting: deque[Pending] = field(default_factory=deque)
    active: int = 0
    queued: bool = False
    timer: asyncio.TimerHandle | None = None
    answers: int = 0
    slowest: float = 0.0
    """Seconds that the slowest of its answers took, from the request to the last byte."""

    def answered(self, seconds: float) -> None:
        """It answered a request, whatever it said, after so long."""
        self.answers += 1
        self.slowest = max(self.slowest, seconds)

    def patience(self, full: float) -> float:
        """Seconds that it may be silent: fewer than ``full`` while it holds up others and has always been quick.

        A silent request holds one of the host's places. A later run asks again, with more patience: it knows of no
        answers yet.
        """
        if self.answers < _KNOWN or not self.waiting:
            return full
        return min(full, max(_LEAST_PATIENCE, _TIMES * self.slowest))

    @property
    def throttles(self) -> bool:
        """Whether it ever asked for fewer requests."""
        return self.pace.rate is not None or self.pace.refusals > 0


class Hosts:
    """The hosts that a run has something for, by name, and those that throttle. Times are the event loop's."""

    def __init__(self, config: DownloadConfig, memory: Memory | None = None) -> None:
        self.known: dict[str, Host] = {}
        self._config = config
        self._memory: Memory | None = memory or (HostMemory() if config.remember else None)
        self._before = self._memory.load() if self._memory else {}
        self._saved = float("-inf")

    def get(self, name: str, now: float) -> Host:
        """A host; what earlier runs learned of it holds."""
        if (host := self.known.get(name)) is not None:
            return host
        pace = Pace(self._config.per_host, self._config.first_rest)
        if before := self._before.get(name):
            pace.rate = before.rate
            pace.rest_until = now + max(0.0, before.rest_until - time.time())
        return self.known.setdefault(name, Host(pace))

    def forget_if_idle(self, name: str) -> bool:
        """Drop a host that has nothing to do and nothing to be remembered; whether it has nothing to do."""
        host = self.known[name]
        idle = not host.active and not host.waiting
        if idle and not host.throttles:
            del self.known[name]
        return idle

    def paced(self, now: float) -> tuple[HostTraffic, ...]:
        """The hosts that throttle and that something waits for, in the order in which they were met."""
        return tuple(
            HostTraffic(name, len(host.waiting), host.pace.rate, max(0.0, host.pace.rest_until - now))
            for name, host in self.known.items()
            if host.waiting and host.throttles
        )

    def remember(self, now: float, *, at_most_every: float = 0.0) -> None:
        """Keep what was learned for later runs; said at each refusal, for a killed run has learned too."""
        if self._memory is None or now - self._saved < at_most_every:
            return
        self._saved, clock = now, time.time()
        hosts = {
            name: Remembered(host.pace.known_rate(), clock + host.pace.rest_until - now, clock)
            for name, host in self.known.items()
            if host.throttles
        }
        self._memory.save(hosts)
