"""What goes wrong with an API, in the order in which it shall go wrong."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

__all__ = ["FaultyApi"]


class FaultyApi:
    """Answers of ``faults`` come first, one a request; ``asked`` is the log of what was answered properly.

    A fault is ``429`` (with Retry-After: 0), ``rest`` (429 with Retry-After: 9999), ``503``, ``404``, ``html`` (status
    200, not JSON), ``list`` (JSON of another shape), ``hang`` (no answer), or what a subclass adds.
    """

    def __init__(self, latency: float = 0.0) -> None:
        self.base = ""
        self.faults: deque[str] = deque()
        self.asked: list[tuple[object, ...]] = []
        self.requests = 0
        self.latency = latency

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.faults and (response := await self.fault(self.faults.popleft())) is not None:
            return response
        return await self.reply(request)

    async def reply(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    async def fault(self, name: str) -> web.StreamResponse | None:
        if name == "hang":
            await asyncio.sleep(60)
        if name in ("429", "rest"):
            return web.Response(
                status=429, headers={"Retry-After": "9999" if name == "rest" else "0"}, text="slow down"
            )
        if name == "html":
            return web.Response(text="<html>sign in</html>", content_type="text/html")
        if name == "list":
            return web.json_response([1, 2, 3])
        return web.Response(status=int(name), text="no") if name.isdecimal() else None
