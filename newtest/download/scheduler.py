"""Many downloads at once, from strangers, politely: hosts take turns, and nobody waits for the slowest.

A request is a value, and so is what became of it: bytes, or a kind (a short word, for counting) and a reason. Nothing
here knows of studies or pools. The rules:

- at most ``total`` requests in flight, ``per_host`` of them to one host; a host at its limit, silent, or told to wait
  holds up nobody else, and a request that waits for its next try occupies no place;
- a time-out for connecting and for each read, a least speed, and a deadline for the whole try, redirects included;
- 429, 5xx and broken connections are tried again after an exponential back-off with jitter, or after what Retry-After
  says; silence and dripping are not (they would hold a place for as long again), nor is anything the server meant;
- only http and https, only public addresses unless allowed (see ``newtest.download.addresses``), redirects alike;
- bytes are counted while they stream; compressed transfers are refused, so that no few bytes become many;
- a server that says ``X-Robots-Tag: noai`` is obeyed (for all agents, or for ours by name).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from newtest.download.addresses import connector
from newtest.download.transfer import DownloadConfig, TryAgain, transfer
from newtest.draws import generator

__all__ = ["Outcome", "Request", "download"]


@dataclass(frozen=True)
class Request:
    """``key`` is the caller's name for it, unique in a run."""

    key: str
    url: str


@dataclass(frozen=True)
class Outcome:
    """Bytes, or else a ``kind`` and a ``reason``. ``permanent``: asking again is pointless, or unwelcome."""

    key: str
    data: bytes | None = field(repr=False, default=None)
    kind: str | None = None
    reason: str | None = None
    permanent: bool = False
    tries: int = 1


async def download(requests: Iterable[Request], config: DownloadConfig) -> AsyncGenerator[Outcome, None]:
    """Yield one Outcome a request, in the order in which they end.

    ``requests`` is read ahead by ``config.read_ahead``; no new one starts while ``config.total`` are in flight or
    waiting to be taken, so memory is bounded by ``total`` responses. Wrap in ``contextlib.aclosing`` to leave early.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=config.connect_timeout, sock_read=config.read_timeout)
    async with aiohttp.ClientSession(
        connector=connector(allow_private=config.allow_private),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={
            "User-Agent": config.user_agent,
            "Accept": "image/*,*/*;q=0.5",
            "Accept-Encoding": "identity",
        },
    ) as session:
        run = _Run(session, config, iter(requests))
        try:
            while (outcome := await run.next()) is not None:
                yield outcome
        finally:
            await run.stop()


@dataclass
class _Pending:
    request: Request
    host: str
    tries: int = 0


@dataclass
class _Host:
    waiting: deque[_Pending] = field(default_factory=deque)
    active: int = 0
    resting: bool = False
    queued: bool = False


class _Run:
    """One run: per host a queue, and a queue of the hosts that may start a request now."""

    def __init__(
        self, session: aiohttp.ClientSession, config: DownloadConfig, source: Iterator[Request]
    ) -> None:
        self._session, self._config, self._source = session, config, source
        self._hosts: dict[str, _Host] = {}
        self._ready: deque[str] = deque()
        self._results: asyncio.Queue[Outcome | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._waiting = 0
        self._open = 0
        """Requests read from the source whose outcome has not been taken."""

    async def next(self) -> Outcome | None:
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
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pump(self) -> None:
        self._read_ahead()
        while self._ready and len(self._tasks) + self._results.qsize() < self._config.total:
            name = self._ready.popleft()
            host = self._hosts[name]
            host.queued = False
            if host.resting:
                continue
            pending = host.waiting.popleft()
            self._waiting -= 1
            host.active += 1
            self._offer(name, host)
            task = asyncio.create_task(self._try(pending))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _read_ahead(self) -> None:
        while self._waiting < self._config.read_ahead and (request := next(self._source, None)) is not None:
            self._open += 1
            self._add(_Pending(request, _host_of(request.url)))

    def _add(self, pending: _Pending) -> None:
        host = self._hosts.setdefault(pending.host, _Host())
        host.waiting.append(pending)
        self._waiting += 1
        self._offer(pending.host, host)

    def _offer(self, name: str, host: _Host) -> None:
        """Put a host at the end of the turn, if it has work and may do it."""
        if host.waiting and not host.queued and not host.resting and host.active < self._config.per_host:
            host.queued = True
            self._ready.append(name)

    async def _try(self, pending: _Pending) -> None:
        pending.tries += 1
        request = pending.request
        try:
            result = await transfer(self._session, request.url, self._config)
        finally:
            self._leave(pending.host)
        if isinstance(result, TryAgain):
            wait = self._wait(pending, result)
            if wait is not None:
                self._later(wait, pending)
                if result.host_wide:
                    self._rest(pending.host, wait)
                return
        outcome = Outcome(
            request.key, result.data, result.kind, result.reason, result.permanent, pending.tries
        )
        self._results.put_nowait(outcome)

    def _wait(self, pending: _Pending, result: TryAgain) -> float | None:
        """Seconds until the next try; None when there is none in this run."""
        if pending.tries > self._config.retries or result.retry_after > self._config.longest_wait:
            return None
        draw = generator(self._config.seed, "backoff", pending.request.key, str(pending.tries))
        backoff: float = self._config.backoff * 2 ** (pending.tries - 1) * draw.uniform(0.5, 1.0)
        return max(result.retry_after, min(backoff, self._config.longest_wait))

    def _later(self, wait: float, pending: _Pending) -> None:
        def again() -> None:
            self._timers.discard(timer)
            self._add(pending)
            self._pump()

        timer = asyncio.get_running_loop().call_later(wait, again)
        self._timers.add(timer)

    def _rest(self, name: str, seconds: float) -> None:
        """Leave a host alone for a while, because it asked for that."""
        host = self._hosts.setdefault(name, _Host())
        if host.resting:
            return
        host.resting = True

        def wake() -> None:
            self._timers.discard(timer)
            host.resting = False
            self._offer(name, host)
            self._pump()

        timer = asyncio.get_running_loop().call_later(seconds, wake)
        self._timers.add(timer)

    def _leave(self, name: str) -> None:
        host = self._hosts[name]
        host.active -= 1
        self._offer(name, host)
        if not host.active and not host.waiting and not host.resting:
            del self._hosts[name]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (
            error := task.exception()
        ) is not None:  # a defect of ours: whoever waits for outcomes must see it
            self._results.put_nowait(error)
        self._pump()


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
