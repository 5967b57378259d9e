"""Limits on what one request may cost: bytes of body, seconds to send them, seconds to take the answer.

What a connection may take as a whole is limited below ASGI, in ``newtest.web.connections``. Requests that their clients
broke off are counted: they are not faults, and no tracebacks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ClientStalledError", "Limits", "RequestLimits"]

_END = {"Connection": "close"}
_DRAINED = 16
"""Bodies up to so many times the limit are read, and forgotten, before they are refused."""


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds of one request."""

    body_bytes: int = 1_000_000
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    """A deadline for the whole body, not for each piece."""
    send_seconds: float = 60.0
    """How long one piece of an answer may wait for a client that does not read."""


class RequestLimits:
    """ASGI middleware: 413 for a body over the limit, 408 for one that drips in, an end to a client that
    stalls.

    The refusals are HTTPExceptions raised where the application reads the body, so that it answers in its own
    way; the rest of the body is not read and the connection is closed.
    """

    def __init__(self, app: ASGIApp, limits: Limits, counts: Counter[str] | None = None) -> None:
        self._app, self._limits = app, limits
        self._counts: Counter[str] = Counter() if counts is None else counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (length := _declared_length(scope)) > self._limits.body_bytes:
            if length <= _DRAINED * self._limits.body_bytes:
                await _drain(receive, self._limits.body_seconds)
            await PlainTextResponse(_too_large(self._limits), 413, headers=_END)(scope, receive, send)
        else:
            guard = _Guard(self._limits, receive, send)
            try:
                await self._app(scope, guard.receive, guard.send)
            except ClientDisconnect:  # it left in the middle of its form: nobody's fault, and nobody to tell
                self._counts["broken_off"] += 1
            except ClientStalledError:
                self._counts["stalled"] += 1


class ClientStalledError(Exception):
    """A client does not read what it is sent; the connection has a deadline of its own."""


class _Guard:
    """The receive and send of one request, with what they have used so far."""

    def __init__(self, limits: Limits, receive: Receive, send: Send) -> None:
        self._limits, self._receive, self._send = limits, receive, send
        self._deadline = asyncio.get_running_loop().time() + limits.body_seconds
        self._size = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # what comes now is the client's leaving, which has no deadline
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            text = f"The request took longer than {self._limits.body_seconds:g} seconds.\n"
            raise HTTPException(408, text, headers=_END) from None
        self._complete = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._limits.body_bytes:
            raise HTTPException(413, _too_large(self._limits), headers=_END)
        return message

    async def send(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._send(message)
        except TimeoutError:
            raise ClientStalledError from None


async def _drain(receive: Receive, seconds: float) -> None:
    """Read a body and forget it: a client that is still sending when the connection closes never sees the answer."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        return


def _too_large(limits: Limits) -> str:
    return f"The request is larger than {limits.body_bytes:,} bytes.\n"


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
