"""MTurk's requester protocol over HTTP: JSON 1.1, the operation in X-Amz-Target, signature version 4."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from newtest.crowd.server import market
from newtest.crowd.server.parameters import TurkError
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.sigv4 import BadSignature, Credentials, ReplayGuard, SignedRequest, verify

__all__ = ["ACCESS_KEY", "Protocol"]

ACCESS_KEY = "newtest"
TARGET = "MTurkRequesterServiceV20170117."


class Protocol:
    """POST / : the requester's side of the market."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._credentials = Credentials(ACCESS_KEY, shared.config.access_token)
        self._replays = ReplayGuard()

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [Route("/", self.call, methods=["POST"])]

    async def call(self, request: Request) -> Response:
        """Answer one call; errors have the types and the shapes that AWS clients expect."""
        body = await request.body()
        now = self._shared.config.clock()
        try:
            self._check(request, body, now)
            operation = request.headers.get("x-amz-target", "").removeprefix(TARGET)
            if operation not in market.OPERATIONS:
                return _error("UnknownOperationException", f"There is no operation {operation[:80]!r} here.")
            values = json.loads(body or b"{}")
            if not isinstance(values, dict):
                raise ValueError("not an object")
            answer = await self._shared.database.write(
                market.call, operation, values, now, self._shared.config.balance
            )
        except BadSignature as error:
            return _error(error.code, str(error))
        except TurkError as error:
            return _error("RequestError", f"{error} ({error.code})", TurkErrorCode=error.code)
        except (ValueError, RecursionError):
            return _error("SerializationException", "The body is not a JSON object.")
        return _json(answer)

    def _check(self, request: Request, body: bytes, now: float) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = SignedRequest(request.method, request.url.path, request.url.query, headers, body)
        self._replays.use(verify(signed, self._credentials, now), now)


def _error(kind: str, message: str, **more: str) -> Response:
    return _json({"__type": kind, "Message": message, **more}, status=400)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/x-amz-json-1.1")
