"""Openverse's API on loopback: /v1/images/, and /v1/auth_tokens/token/ for client credentials, with limits and errors.

A token holds for ``expires_in`` seconds; with one a page has up to 50. Answers as in WordPress/openverse,
api/api/examples/oauth2_responses.py; a wrong secret is django-oauth-toolkit's 401 ``invalid_client``.

At most 20 a page (more is 401), paging to ``depth`` pages (more is 400), ``license`` by codes, and a throttle: after
``burst`` calls one 429 with Retry-After: 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from servers.faults import FaultyApi

__all__ = ["OpenverseServer"]

LICENSES = ("by", "by-sa", "cc0", "by-nc")


class OpenverseServer(FaultyApi):
    """``counts``: how many images each search text has; ``asked`` holds (q, page)."""

    def __init__(
        self, counts: Mapping[str, int], *, depth: int = 12, burst: int = 10**9, latency: float = 0.0
    ) -> None:
        super().__init__(latency)
        self.client, self.expires_in, self.tokens = ("id", "secret"), 36000, 0
        self.valid: set[str] = set()
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
        if request.path == "/v1/auth_tokens/token/" and request.method == "POST":
            return await self._token(request)
        if request.path != "/v1/images/":
            raise web.HTTPNotFound
        bearer = request.headers.get("Authorization")
        if bearer is not None and bearer.removeprefix("Bearer ") not in self.valid:
            return web.json_response({"detail": "Invalid token."}, status=401)
        self._calls += 1
        if self._calls > self.burst:
            self._calls = 0
            return web.json_response(
                {"detail": "Request was throttled."}, status=429, headers={"Retry-After": "0"}
            )
        page, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 20))
        most = 20 if bearer is None else 50
        if size > most:
            status = 401 if bearer is None else 400
            detail = f"Ensure this value is less than or equal to {most}."
            return web.json_response({"detail": detail}, status=status)
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

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        self.valid.add(f"token{self.tokens}")
        return web.json_response(
            {
                "access_token": f"token{self.tokens}",
                "scope": "read write groups",
                "expires_in": self.expires_in,
                "token_type": "Bearer",
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
