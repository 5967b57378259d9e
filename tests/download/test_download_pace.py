"""Hosts that throttle, in a clock of the test's own: a minute takes no time, and every host is met in all its moods."""

from __future__ import annotations

import heapq
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from newtest.download.memory import CarriedMemory, HostMemory, Remembered
from newtest.download.pace import Pace

Host = Callable[[float], float | None]
"""At a time, None for an answer, or a refusal with the seconds of its Retry-After (0.0 for none)."""


@dataclass
class SlidingWindow:
    """``allowed`` in any ``seconds``; refused ones do not count, unless ``strict``."""

    allowed: int
    seconds: float
    asks: float | None = 0.0
    """Its Retry-After; None for the true time."""
    strict: bool = False
    times: deque[float] = field(default_factory=deque)

    def __call__(self, now: float) -> float | None:
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        fits = len(self.times) < self.allowed
        if fits or self.strict:
            self.times.append(now)
        if fits:
            return None
        return self.times[0] + self.seconds - now if self.asks is None else self.asks


@dataclass
class FixedWindow:
    """``allowed`` in each of the clock's own windows of ``seconds``; the first one is nearly over."""

    allowed: int
    seconds: float
    asks: float | None = 0.0
    window: int = -1
    used: int = 0

    def __call__(self, now: float) -> float | None:
        shifted = now + 0.8 * self.seconds
        if int(shifted // self.seconds) != self.window:
            self.window, self.used = int(shifted // self.seconds), 0
        if self.used < self.allowed:
            self.used += 1
            return None
        return (self.window + 1) * self.seconds - shifted if self.asks is None else self.asks


@dataclass
class Bucket:
    """A bucket of ``allowed`` tokens that fills in ``seconds``."""

    allowed: int
    seconds: float
    asks: float | None = 0.0
    tokens: float = -1.0
    last: float = 0.0

    def __call__(self, now: float) -> float | None:
        rate = self.allowed / self.seconds
        before = self.allowed if self.tokens < 0 else self.tokens
        self.tokens, self.last = min(self.allowed, before + (now - self.last) * rate), now
        if self.tokens >= 1:
            self.tokens -= 1
            return None
        return (1 - self.tokens) / rate if self.asks is None else self.asks


def simulated(
    host: Host, requests: int, latency: float = 0.05, pace: Pace | None = None
) -> tuple[float, int]:
    """Seconds until all requests were answered, and how many more were refused."""
    pace = pace or Pace(most_at_once=32)
    now, waiting, active, answered, refused, order = 0.0, requests, 0, 0, 0, 0
    events: list[tuple[float, int, float, bool, float | None]] = []
    while answered < requests:
        wait = pace.wait(active, now) if waiting else None
        if wait == 0:
            pace.begin(now)
            waiting, active, order = waiting - 1, active + 1, order + 1
            heapq.heappush(events, (now + latency / 2, order, now, True, None))
            continue
        if wait is not None and (not events or now + wait < events[0][0]):
            now += wait + 1e-9
            continue
        now, _, begun, arrives, asked = heapq.heappop(events)
        if arrives:
            order += 1
            heapq.heappush(events, (now + latency / 2, order, begun, False, host(now)))
            continue
        active -= 1
        if asked is None:
            pace.end()
            pace.answer(now)
            answered += 1
        else:
            pace.refuse(begun, asked, now)
            refused, waiting = refused + 1, waiting + 1
    return now, refused


HOSTS: dict[str, Callable[[], Host]] = {
    f"{kind.__name__} {allowed} {asks}": lambda kind=kind, allowed=allowed, asks=asks: kind(  # type: ignore[misc]
        allowed, 60.0, asks
    )
    for kind in (SlidingWindow, FixedWindow, Bucket)
    for allowed in (20, 30)
    for asks in (0.0, 1.0, None)
} | {"strict window": lambda: SlidingWindow(30, 60.0, strict=True)}


@pytest.mark.parametrize("latency", [0.02, 0.3])
@pytest.mark.parametrize("name", HOSTS)
def test_a_host_that_throttles_refuses_few_and_is_asked_for_most_of_what_it_allows(
    name: str, latency: float
) -> None:
    """300 images: at most a tenth of all requests refused, in no more than 1.3 times of the time that it takes."""
    host = HOSTS[name]()
    seconds, refused = simulated(host, 300, latency)
    assert refused <= 0.1 * (300 + refused), (refused, seconds)
    allowed = host.allowed
    assert seconds <= 1.3 * 60 * (300 - allowed) / allowed, (refused, seconds)


def test_a_host_that_refuses_nothing_gets_all_places_soon() -> None:
    seconds, refused = simulated(lambda _: None, 3200)
    assert refused == 0 and seconds < 0.05 * (3200 / 32 + 17), (
        "seventeen round trips later than with all at once"
    )


def test_a_host_that_was_known_before_refuses_next_to_nothing() -> None:
    pace = Pace(most_at_once=32, rate=0.475)
    _, refused = simulated(SlidingWindow(30, 60.0), 300, pace=pace)
    assert refused <= 6


def test_requests_under_way_together_are_one_refusal() -> None:
    pace = Pace(most_at_once=32)
    for _ in range(8):
        pace.begin(0.0)
    assert [pace.refuse(0.0, 0.0, 0.1 + n / 100) for n in range(8)] == pytest.approx(
        [1.0 - n / 100 for n in range(8)]
    )
    assert pace.refusals == 1 and pace.wait(0, 0.2) == pytest.approx(0.9) and pace.wait(1, 5.0) is None


def test_a_rest_of_a_thousand_years_is_a_day() -> None:
    assert Pace(most_at_once=1).refuse(0.0, 1e12, 1.0) == 86400.0


def test_paces_are_remembered_beside_those_of_other_processes(tmp_path: Path) -> None:
    present = time.time()
    HostMemory(tmp_path).save({"a.example": Remembered(0.5, 0.0, present)})
    HostMemory(tmp_path).save({"b.example": Remembered(2.0, present + 60, present)})
    assert HostMemory(tmp_path).load() == {
        "a.example": Remembered(0.5, 0.0, present),
        "b.example": Remembered(2.0, present + 60, present),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{" * 5000,
        '{"a": 1}',
        '{"a": {"rate": "x"}}',
        '{"a": {"rate": 0, "rest_until": 0, "seen": 9e99}}',
        '{"a": {"rate": NaN, "rest_until": 0, "seen": 9e99}}',
        json.dumps({"a": {"rate": 1, "rest_until": 0, "seen": 0}}),
    ],
)
def test_a_memory_that_cannot_be_read_or_is_old_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "paces.json").write_text(text)
    assert HostMemory(tmp_path).load() == {}


def test_what_one_worker_learned_of_a_host_goes_to_the_next_one_and_the_later_word_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWTEST_STATE", str(tmp_path))
    now = time.time()
    first = CarriedMemory({}, on_disk=False)
    first.save({"a": Remembered(0.5, 0.0, now)})
    assert CarriedMemory(first.learned, on_disk=False).load() == {"a": Remembered(0.5, 0.0, now)}
    assert HostMemory().load() == {}, "that was not to be remembered"
    HostMemory().save({"a": Remembered(2.0, 0.0, now - 60), "b": Remembered(3.0, 0.0, now)})
    second = CarriedMemory(first.learned, on_disk=True)
    assert {host: entry.rate for host, entry in second.load().items()} == {"a": 0.5, "b": 3.0}
    second.save({"c": Remembered(1.0, 0.0, now)})
    assert set(second.learned) == {"c"} < set(HostMemory().load())
