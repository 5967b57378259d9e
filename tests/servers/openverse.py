"""Openverse's API on loopback: /v1/images/ for an anonymous client, with its limits and errors.

At most 20 a page (more is 401), paging to ``depth`` pages (more is 400), ``license`` by codes, and a throttle: after
``burst`` calls one 429 with Retry-After: 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from tests.servers.faults import FaultyApi

__all__ = ["OpenverseServer"]

LICENSES = ("by", "by-sa", "cc0", "by-nc")


class OpenverseServer(FaultyApi):
    """``counts``: how many images each search text has; ``asked`` holds (q, page)."""

    def __init__(
        self, counts: Mapping[str, int], *, depth: int = 12, burst: int = 10**9, latency: float = 0.0
    ) -> None:
        super().__init__(latency)
        self.counts, self.depth, self.burst, self._calls = counts, depth, burst, 0

    @property
    def url(self) -> str:
        return f"{self.base}/v1/"

    async def fault(self, name: str) -> web.StreamResponse | None:
        if name == "strange":
            results = [{"title": "no id"}, 7, {"id": "u-1", "url": "javascript:alert(1)"}]
            return web.json_response(
                {"result_count": 3, "page_count": 1, "page_size": 20, "page": 1, "results": results}
            )
        return await super().fault(name)

    async def reply(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/images/":
            raise web.HTTPNotFound
        self._calls += 1
        if self._calls > self.burst:
            self._calls = 0
            return web.json_response(
                {"detail": "Request was throttled."}, status=429, headers={"Retry-After": "0"}
            )
        page, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 20))
        if size > 20:
            return web.json_response({"detail": "Ensure this value is less than or equal to 20."}, status=401)
        if page > self.depth:
            return web.json_response({"detail": {"page": ["too deep"]}}, status=400)
        q = request.query["q"]
        self.asked.append((q, page))
        allowed = request.query["license"].split(",") if "license" in request.query else LICENSES
        numbers = [n for n in range(self.counts.get(q, 0)) if LICENSES[n % 4] in allowed]
        shown = numbers[(page - 1) * size : page * size]
        return web.json_response(
            {
                "result_count": len(numbers),
                "page_count": min(self.depth, -(-len(numbers) // size)),
                "page_size": size,
                "page": page,
                "results": [self._entry(q, number) for number in shown],
            }
        )

    def _entry(self, q: str, number: int) -> dict[str, object]:
        return {
            "id": f"{q.replace(' ', '-')}-{number:04d}",
            "title": f"{q} {number}",
            "foreign_landing_url": f"https://www.flickr.com/photos/ann/{number}",
            "url": f"{self.base}/photo/{number}.jpg",
            "creator": "Ann",
            "creator_url": "https://www.flickr.com/photos/ann",
            "license": LICENSES[number % 4],
            "license_version": "2.0",
            "license_url": "https://creativecommons.org/licenses/by/2.0/",
            "provider": "flickr",
            "source": "flickr",
            "width": 1024,
            "height": 768,
        }
