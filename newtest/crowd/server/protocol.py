"""MTurk's requester protocol over HTTP: JSON 1.1, the operation in X-Amz-Target, signature version 4."""

from __future__ import annotations

import json
import sqlite3
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
        self._terms = market.Terms(shared.config.balance, shared.config.allowed, shared.pictures.is_ours)

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [Route("/", self.call, methods=["POST"])]

    async def call(self, request: Request) -> Response:
        """Answer one call; errors have the types and the shapes that AWS clients expect."""
        body = await request.body()
        now = self._shared.config.clock()
        try:
            signed = self._check(request, body, now)
            operation = signed.headers["x-amz-target"].removeprefix(TARGET)
            if operation in market.UNSUPPORTED:
                raise TurkError("AWS.NotSupported", f"{operation} is not supported by this server.")
            if operation not in market.OPERATIONS:
                return _error("UnknownOperationException", f"There is no operation {operation[:80]!r} here.")
            values = json.loads(body or b"{}")
            if not isinstance(values, dict):
                raise ValueError("not an object")
            answer = await self._shared.database.write(market.call, operation, values, now, self._terms)
        except BadSignature as error:
            return _error(error.code, str(error))
        except TurkError as error:
            return _error("RequestError", f"{error} ({error.code})", TurkErrorCode=error.code)
        except (ValueError, RecursionError):
            return _error("SerializationException", "The body is not a JSON object.")
        except sqlite3.OperationalError as error:  # clients try again, as of any fault on the other side
            return _error("ServiceFault", f"The study cannot be written at the moment ({error}).", status=500)
        return _json(answer)

    def _check(self, request: Request, body: bytes, now: float) -> SignedRequest:
        """The request, rightly signed: what is read of it must be what was signed. Raises BadSignature."""
        headers = {name: ",".join(request.headers.getlist(name)) for name in request.headers}
        signed = SignedRequest(request.method, request.url.path, request.url.query, headers, body)
        self._replays.use(verify(signed, self._credentials, now), now)
        return signed


def _error(kind: str, message: str, *, status: int = 400, **more: str) -> Response:
    return _json({"__type": kind, "Message": message, **more}, status=status)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/x-amz-json-1.1")
