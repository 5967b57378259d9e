"""Limits on whole connections: how many, from whom, and how long each may take.

Uvicorn limits how many connections there are at once (503 beyond) and how long an idle one is kept; it has no time-out
for a client that sends its headers drop by drop, for a body that drips after the answer, or for one that never reads,
and knows no addresses. So

- every connection has a deadline at every moment (``Deadlines``), after which it is cut;
- when there is no room, the connection that has waited longest without a request makes it: a thousand idle
  connections shut nobody out;
- beyond ``total``, and beyond what one address may have, there are ``reserve`` places more, in which only the owner is
  answered (``CrowdedOut``): behind a proxy the owner's address is everybody's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ConnectionLimits", "Connections", "CrowdedOut", "protocol_with_limits"]


RESERVED = "newtest.reserved"
"""Set in the state of a request whose connection is for the owner alone."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Numbers of connections, and seconds."""

    total: int = 3_000
    per_address: int = 1_000
    """A reverse proxy is one address, and so is a room full of people behind one router."""
    reserve: int = 50
    header_seconds: float = 10.0
    request_seconds: float = 120.0
    """From the first byte of a request to the last of its answer."""
    drain_seconds: float = 15.0
    """For what is still on its way when the answer is complete."""
    life_seconds: float = 900.0
    """An older connection is closed after its answer; an honest client opens another."""


@dataclass
class Connections:
    """The connections of a running server, and what became of those that were not served."""

    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    open: dict[Any, str] = field(default_factory=dict)
    """Connection -> the address it came from; the oldest first."""
    counts: Counter[str] = field(default_factory=Counter)
    """made_room: idle ones that were closed for others; refused; cut: past their deadline; broken_off: requests whose
    clients left in the middle; crowded_out: answered with 503."""

    reserved: set[Any] = field(default_factory=set)
    """Those whose address had all its places already."""

    def admit(self, connection: Any, address: str) -> bool:
        """Take a connection in, if need be in place of one that is idle. False: there is no room."""
        mine = sum(known == address for known in self.open.values())
        if mine >= self.limits.per_address and self._make_room(address):
            mine -= 1
        over = mine >= self.limits.per_address
        full = len(self.open) >= self.limits.total and not self._make_room(None)
        if (over and mine >= self.limits.per_address + self.limits.reserve) or (
            full and len(self.open) >= self.limits.total + self.limits.reserve
        ):
            self.counts["refused"] += 1
            return False
        self.open[connection] = address
        if over:
            self.reserved.add(connection)
        return True

    def fit(self, files: int) -> None:
        """Take no more connections than there are files to open, a hundred aside for the study and its pictures."""
        most = max(files - 100 - self.limits.reserve, 10)
        if most < self.limits.total:
            self.limits = replace(self.limits, total=most, per_address=min(self.limits.per_address, most))

    @property
    def crowded(self) -> bool:
        """Whether only the owner is answered."""
        return len(self.open) > self.limits.total

    def forget(self, connection: Any) -> None:
        """A connection has ended."""
        self.open.pop(connection, None)
        self.reserved.discard(connection)

    def _make_room(self, address: str | None) -> bool:
        for connection, known in self.open.items():
            if connection.is_idle and address in (None, known):
                self.forget(connection)
                self.counts["made_room"] += 1
                connection.cut()
                return True
        return False


class CrowdedOut:
    """ASGI middleware: 503 for everybody but the owner while there are more connections than ``total``."""

    def __init__(
        self, app: ASGIApp, connections: Connections, is_owner: Callable[[Request], bool] | None
    ) -> None:
        self._app, self._connections, self._is_owner = app, connections, is_owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        owner = scope["type"] == "http" and self._is_owner is not None and self._is_owner(Request(scope))
        crowded = self._connections.crowded or scope.get("state", {}).get(RESERVED, False)
        if scope["type"] == "http" and crowded and not owner:
            self._connections.counts["crowded_out"] += 1
            headers = {"Connection": "close", "Retry-After": "5"}
            text = "Too many people are here at the moment. Try again in a few seconds.\n"
            await PlainTextResponse(text, 503, headers=headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def protocol_with_limits(connections: Connections) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP/1.1 protocol with a deadline for whatever a connection is waiting for."""
    from h11 import DONE, IDLE, SEND_BODY
    from uvicorn.protocols.http.h11_impl import H11Protocol

    limits = connections.limits
    seconds = {
        "idle": limits.header_seconds,
        "request": limits.request_seconds,
        "rest": limits.drain_seconds,
    }

    class _Limited(H11Protocol):  # type: ignore[misc, unused-ignore]  # uvicorn's types may be absent
        app_state: dict[str, Any]
        _timer: asyncio.TimerHandle | None = None
        _phase = ""
        _began = 0.0

        @property
        def is_idle(self) -> bool:
            """Whether nobody is being answered: it waits for a whole request, or for the rest of one."""
            return self._phase != "request"

        def cut(self) -> None:
            """End it at once, whatever is still to be sent."""
            self.transport.abort()

        def connection_made(self, transport: Any) -> None:
            peer = transport.get_extra_info("peername")
            self.transport = transport
            self._began = self.loop.time()
            if not connections.admit(self, peer[0] if isinstance(peer, tuple) else ""):
                transport.abort()
                return
            if self in connections.reserved:
                self.app_state = self.app_state | {RESERVED: True}  # of which requests get a copy
            super().connection_made(transport)
            self._enter("idle")

        def data_received(self, data: bytes) -> None:
            if self._phase:
                super().data_received(data)
                self._look(afresh=False)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look(afresh=True)
            if self._phase == "idle" and self.loop.time() - self._began > limits.life_seconds:
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.forget(self)
            if self._timer is not None:
                self._timer.cancel()
            if self._phase:  # else it was never let in
                super().connection_lost(exc)

        def _look(self, *, afresh: bool) -> None:
            """See what the connection waits for now; a new request has its time afresh."""
            ours, theirs = self.conn.our_state, self.conn.their_state
            if self.transport.is_closing() or (ours is DONE and theirs is SEND_BODY):
                phase = "rest"  # an answer that is to be read yet, or a body that nobody reads any more
            else:
                phase = "idle" if theirs is IDLE else "request"
            if phase != self._phase or (afresh and phase == "request"):
                self._enter(phase)

        def _enter(self, phase: str) -> None:
            self._phase = phase
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds[phase], self._too_late)

        def _too_late(self) -> None:
            connections.counts["cut"] += 1
            self.cut()

    return _Limited
