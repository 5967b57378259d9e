"""MTurk's requester protocol over HTTP: JSON 1.1, the operation in X-Amz-Target, signature version 4."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from newtest.catalog import market as calls
from newtest.crowd.server import market
from newtest.crowd.server.database import StudyBusyError
from newtest.crowd.server.parameters import TurkError
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.sigv4 import BadSignature, Credentials, SignedRequest, use_signature, verify
from newtest.reading.jsons import parse_json

__all__ = ["ACCESS_KEY", "Protocol"]

ACCESS_KEY = "newtest"
CREATES = frozenset({"CreateHIT", "CreateHITWithHITType", "CreateAdditionalAssignmentsForHIT"})
TARGET = "MTurkRequesterServiceV20170117."


class Protocol:
    """POST / : the requester's side of the market."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._credentials = Credentials(ACCESS_KEY, shared.config.access_token)
        self._terms = market.Terms(
            shared.config.balance, shared.config.allowed, shared.pictures.is_ours, shared.config.max_cost
        )

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [Route("/", self.call, methods=["POST"])]

    async def call(self, request: Request) -> Response:
        """Answer one call; errors have the types and the shapes that AWS clients expect."""
        body = await request.body()
        now = self._shared.config.clock()
        try:
            signed, signature = self._check(request, body, now)
            await self._shared.database.write(use_signature, signature, now)
            operation = signed.headers["x-amz-target"].removeprefix(TARGET)
            if operation in market.UNSUPPORTED:
                raise TurkError("AWS.NotSupported", f"{operation} is not supported by this server.")
            if operation not in market.OPERATIONS:
                return _error("UnknownOperationException", f"There is no operation {operation[:80]!r} here.")
            values = parse_json(body or b"{}")
            if not isinstance(values, dict):
                raise ValueError("not an object")
            answer = await self._shared.database.write(
                _call_once, _call_id(signature, signed), operation, values, now, self._terms
            )
        except BadSignature as error:
            return _error(error.code, str(error))
        except TurkError as error:
            return _error("RequestError", f"{error} ({error.code})", TurkErrorCode=error.code)
        except (ValueError, RecursionError):
            return _error("SerializationException", "The body is not a JSON object.")
        except StudyBusyError:  # clients try again, as of any fault on the other side
            return _error("ServiceFault", "The study is busy at the moment.", status=503)
        except sqlite3.OperationalError as error:  # clients try again, as of any fault on the other side
            return _error("ServiceFault", f"The study cannot be written at the moment ({error}).", status=500)
        return _json(answer)

    def _check(self, request: Request, body: bytes, now: float) -> tuple[SignedRequest, str]:
        """The request, rightly signed: what is read of it must be what was signed. Raises BadSignature."""
        headers = {name: ",".join(request.headers.getlist(name)) for name in request.headers}
        signed = SignedRequest(request.method, request.url.path, request.url.query, headers, body)
        return signed, verify(signed, self._credentials, now)


def _call_id(signature: str, signed: SignedRequest) -> str:
    """What a call and its repetitions have in common: the id that AWS's clients give a call and keep when they try it
    again, or else the signature. (They do not sign that id: two calls that are alike and are made within a second have
    one signature, and two ids.)"""
    invocation = signed.headers.get("amz-sdk-invocation-id", "")[:100]
    return f"{signed.headers['x-amz-target']}/{invocation}" if invocation else signature


def _call_once(
    catalog: sqlite3.Connection,
    call_id: str,
    operation: str,
    values: dict[str, Any],
    now: float,
    terms: market.Terms,
) -> dict[str, Any]:
    """Answer a call; one that creates something and is repeated gets the answer that it had."""
    if operation not in CREATES:
        return market.call(catalog, operation, values, now, terms)
    known = calls.find_call(catalog, call_id)
    if known is not None and known[1] is not None:
        return dict(parse_json(known[1]))
    answer = market.call(catalog, operation, values, now, terms)
    calls.remember_call(catalog, call_id, at=now, answer=json.dumps(answer))
    return answer


def _error(kind: str, message: str, *, status: int = 400, **more: str) -> Response:
    return _json({"__type": kind, "Message": message, **more}, status=status)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/x-amz-json-1.1")
