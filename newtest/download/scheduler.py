"""Many downloads at once, from strangers, politely: hosts take turns, and nobody waits for the slowest.

A request is a value, and so is what became of it: bytes, or a kind (a short word, for counting) and a reason. Nothing
here knows of studies or pools. The rules:

- at most ``total`` requests in flight, ``per_host`` of them to one host; a host at its limit, silent, or told to wait
  holds up nobody else, and a request that waits for its next try occupies no place;
- a host that throttles (429, or 503 with Retry-After) is asked at the pace that it allows, which is learned and kept
  for later runs (``newtest.download.pace``); a refusal does not count as a try;
- a time-out for connecting and for each read, a least speed, and a deadline for the whole try, redirects included;
- other 5xx and broken connections are tried again after an exponential back-off with jitter, or after what Retry-After
  says; silence and dripping are not (they would hold a place for as long again), nor is anything the server meant;
- a host that always answered at once is waited for less, while silent requests hold the places of others;
- only http and https, only public addresses unless allowed (see ``newtest.download.addresses``), redirects alike;
- user names and passwords in URLs are neither sent nor repeated;
- connections are kept while their host has more to be asked for, and closed behind the last request: hosts by the
  thousand would leave as many open;
- bytes are counted while they stream; compressed transfers are refused, so that no few bytes become many;
- a server that says ``X-Robots-Tag: noai`` is obeyed (for all agents, or for ours by name), on a redirect too;
- robots.txt is obeyed where that is asked for (see ``newtest.download.robots``).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from functools import partial

import aiohttp

from newtest.download.addresses import Connections
from newtest.download.config import DownloadConfig
from newtest.download.hosts import Host, Hosts, Pending
from newtest.download.memory import Memory
from newtest.download.records import Download, Request
from newtest.download.robots import Robots
from newtest.download.traffic import Traffic
from newtest.download.transfer import Throttled, Transferred, TryAgain, robots_text, transfer
from newtest.download.urls import host_of
from newtest.draws import generator

__all__ = ["download"]

_MOST_REFUSALS = 20
"""A request that is refused so often, while others at its host are not, is given up for this run."""


async def download(
    requests: Iterable[Request],
    config: DownloadConfig,
    watch: Callable[[Traffic], None] | None = None,
    *,
    memory: Memory | None = None,
) -> AsyncGenerator[Download, None]:
    """Yield one Download per request, in the order in which they end; ``watch`` is told of the traffic once a second.
    Paces of hosts are looked up and left in ``memory``; without one in this machine's file, if ``config.remember``.

    ``requests`` is read ahead by ``config.read_ahead``, not counting those of hosts that throttle; no new one starts
    while ``config.total`` are in flight or waiting to be taken, so memory is bounded by ``total`` responses. Wrap in
    ``contextlib.aclosing`` to leave early.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=config.connect_timeout, sock_read=config.read_timeout)
    connections = Connections(allow_private=config.allow_private)
    async with aiohttp.ClientSession(
        connector=connections,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={
            "User-Agent": config.user_agent,
            "Accept": "image/*,*/*;q=0.5",
            "Accept-Encoding": "identity",
        },
    ) as session:
        run = _Run(session, connections, config, iter(requests), memory)
        watching = asyncio.create_task(_watch(run, watch)) if watch is not None else None
        try:
            while (outcome := await run.next()) is not None:
                yield outcome
        finally:
            if watching is not None:
                watching.cancel()
            await run.stop()


async def _watch(run: _Run, watch: Callable[[Traffic], None]) -> None:
    while True:
        watch(run.traffic())
        await asyncio.sleep(1.0)


class _Run:
    """One run: per host a queue, and a queue of the hosts that may start a request now."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connections: Connections,
        config: DownloadConfig,
        source: Iterator[Request],
        memory: Memory | None = None,
    ) -> None:
        self._session, self._config, self._source = session, config, source
        ask = partial(robots_text, session, config)
        self._robots = Robots(config.user_agent, ask) if config.robots else None
        self._connections = connections
        self._hosts = Hosts(config, memory)
        self._ready: deque[str] = deque()
        self._results: asyncio.Queue[Download | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._clock = asyncio.get_running_loop().time
        self._waiting = 0  # at hosts that do not throttle
        self._open = 0
        """Requests read from the source whose outcome has not been taken."""

    async def next(self) -> Download | None:
        """The next outcome; None when all requests have ended."""
        self._pump()
        if not self._open:
            return None
        outcome = await self._results.get()
        if isinstance(outcome, BaseException):
            raise outcome
        self._open -= 1
        return outcome

    async def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self._robots is not None:
            self._robots.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._hosts.remember(self._clock())

    def traffic(self) -> Traffic:
        """What is under way, and which hosts are asked at a pace of theirs."""
        return Traffic(len(self._tasks), self._hosts.paced(self._clock()))

    def _pump(self) -> None:
        self._read_ahead()
        while self._ready and len(self._tasks) + self._results.qsize() < self._config.total:
            name = self._ready.popleft()
            host = self._hosts.known[name]
            host.queued = False
            if not host.waiting or host.pace.wait(host.active, self._clock()) != 0:
                self._offer(name, host)
                continue
            pending = host.waiting.popleft()
            self._waiting -= not host.throttles
            host.active += 1
            host.pace.begin(self._clock())
            self._offer(name, host)
            task = asyncio.create_task(self._try(pending, host))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _read_ahead(self) -> None:
        while self._waiting < self._config.read_ahead and (request := next(self._source, None)) is not None:
            self._open += 1
            self._add(Pending(request, host_of(request.url)))

    def _add(self, pending: Pending) -> None:
        host = self._hosts.get(pending.host, self._clock())
        left = host.pace.rest_until - self._clock()
        if left > self._config.longest_rest:
            self._leave_alone(pending, left)
            return
        host.waiting.append(pending)
        self._waiting += not host.throttles
        self._offer(pending.host, host)

    def _offer(self, name: str, host: Host) -> None:
        """Put a host at the end of the turn, if it has work and may do it, or once it may."""
        if not host.waiting or host.queued or host.timer is not None:
            return
        wait = host.pace.wait(host.active, self._clock())
        if wait == 0:
            host.queued = True
            self._ready.append(name)
        elif wait is not None:

            def go_on() -> None:
                host.timer = None
                self._offer(name, host)
                self._pump()

            host.timer = self._after(wait, go_on)

    async def _try(self, pending: Pending, host: Host) -> None:
        pending.tries += 1
        begun = self._clock()
        result: Transferred | None = None
        try:
            patience = host.patience(self._config.read_timeout)
            result = await transfer(self._session, pending.request.url, self._config, self._robots, patience)
        finally:
            host.active -= 1
            if isinstance(result, Throttled):
                self._refused(pending, host, begun, result)
            elif result is not None:
                self._answered(pending, host, begun, result)
            self._leave(pending.host, host)

    def _answered(self, pending: Pending, host: Host, begun: float, result: Transferred) -> None:
        host.pace.end()
        if result.kind is None or result.kind.startswith("http-") or result.permanent:
            host.pace.answer(self._clock())
            host.answered(self._clock() - begun)
        if isinstance(result, TryAgain) and (wait := self._wait(pending, result)) is not None:
            self._after(wait, lambda: self._again(pending))
            return
        self._end(pending, result)

    def _refused(self, pending: Pending, host: Host, begun: float, result: Throttled) -> None:
        """The host needs fewer requests: this one waits for its turn again, unless the host needs too long a rest."""
        pending.tries -= 1
        pending.refusals += 1
        now = self._clock()
        if not host.throttles:  # from now on it does not hold up the reading of what others wait for
            self._waiting -= len(host.waiting)
        rest = host.pace.refuse(begun, result.retry_after, now)
        silent = now - (host.pace.answered_at if host.pace.answered_at is not None else begun)
        if rest > self._config.longest_rest or (
            host.pace.refusals > 1 and silent > self._config.longest_rest
        ):
            host.pace.rest_until = max(host.pace.rest_until, now + self._config.longest_rest + 1)
            self._leave_alone(pending, host.pace.rest_until - now)
            while host.waiting:
                self._leave_alone(host.waiting.popleft(), host.pace.rest_until - now)
        elif pending.refusals >= _MOST_REFUSALS:
            self._end(pending, result, throttled=True)
        else:
            host.waiting.append(pending)
        self._hosts.remember(now, at_most_every=2.0)

    def _leave_alone(self, pending: Pending, seconds: float) -> None:
        when = time.strftime("%H:%M on %d %B", time.localtime(time.time() + seconds))
        reason = f"{pending.host} asks for fewer requests, and to be left alone until {when}"
        self._end(pending, Transferred(None, "throttled", reason), throttled=True)

    def _end(self, pending: Pending, result: Transferred, *, throttled: bool = False) -> None:
        outcome = Download(
            pending.request.key,
            result.data,
            result.kind,
            result.reason,
            result.permanent,
            pending.tries,
            throttled,
        )
        self._results.put_nowait(outcome)

    def _wait(self, pending: Pending, result: TryAgain) -> float | None:
        """Seconds until the next try; None when there is none in this run."""
        if pending.tries > self._config.retries or result.retry_after > self._config.longest_wait:
            return None
        draw = generator(self._config.seed, "backoff", pending.request.key, str(pending.tries))
        backoff: float = self._config.backoff * 2 ** (pending.tries - 1) * draw.uniform(0.5, 1.0)
        return max(result.retry_after, min(backoff, self._config.longest_wait))

    def _again(self, pending: Pending) -> None:
        self._add(pending)
        self._pump()

    def _after(self, wait: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        def go() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(wait, go)
        self._timers.add(timer)
        return timer

    def _leave(self, name: str, host: Host) -> None:
        self._offer(name, host)
        if self._hosts.forget_if_idle(name):
            self._connections.let_go(name, most=self._config.total)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (
            error := task.exception()
        ) is not None:  # a defect of ours: whoever waits for outcomes must see it
            self._results.put_nowait(error)
        self._pump()
