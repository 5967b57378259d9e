"""AWS signature version 4, verified (the scheme is AWS's "Signing AWS API requests").

Why not botocore: it signs and does not check, and a local server would need the ``mturk`` extra for it. Signing again
to compare would take 2.1 times the CPU time (``benchmarks/results/own-code-2cores-2026-11.md``).

A signature is good for five minutes around its time, as with AWS, but (other than with AWS) not for a replay:
its time has a resolution of one second, so an honest client sends the same signature again only for the same
call within that second, a retry for instance. What comes again after ``GRACE_SECONDS`` was recorded by
somebody.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from newtest.catalog import market

__all__ = ["BadSignature", "Credentials", "SignedRequest", "use_signature", "verify"]

REGION, SERVICE = "us-east-1", "mturk-requester"
"""Where MTurk was, and what a client of MTurk's signs for."""

WINDOW_SECONDS = 300.0
GRACE_SECONDS = 2.0
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/\s,]+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request,\s*"
    r"SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Credentials:
    """What a requester's client is configured with: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

    access_key: str
    secret_key: str


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came; header names in lower case, the values of one that came twice joined by commas."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class BadSignature(Exception):
    """``code`` is the AWS error type that clients know."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def use_signature(catalog: sqlite3.Connection, signature: str, now: float) -> None:
    """Note a signature. Raises BadSignature when it was first used more than ``GRACE_SECONDS`` ago.

    They are kept in the study for a day: a restart, or a clock that is put back, makes none good again.
    """
    known = market.find_call(catalog, signature)
    if known is None:
        market.remember_call(catalog, signature, at=now)
    elif not 0 <= now - known[0] <= GRACE_SECONDS:
        raise BadSignature(
            "InvalidSignatureException", "This signature was used before: sign each request anew."
        )


def verify(request: SignedRequest, credentials: Credentials, now: float) -> str:
    """The signature of a request that is rightly signed. ``now`` in seconds since 1970. Raises
    BadSignature."""
    header = request.headers.get("authorization", "")
    if not header:
        raise BadSignature("MissingAuthenticationTokenException", "The request is not signed.")
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        raise BadSignature(
            "IncompleteSignatureException", "The Authorization header is not of signature version 4."
        )
    access_key, day, region, service, signed, signature = match.groups()
    if (region, service) != (REGION, SERVICE):
        raise BadSignature(
            "InvalidSignatureException",
            f"Credential should be scoped to the region {REGION} and the service {SERVICE}.",
        )
    if not hmac.compare_digest(access_key.encode(), credentials.access_key.encode()):
        raise BadSignature("UnrecognizedClientException", "The access key is not this server's.")
    stamp = request.headers.get("x-amz-date", "")
    _check_time(stamp, day, now)
    names = signed.split(";")
    if not {"host", "x-amz-date", "x-amz-target"} <= set(names):
        raise BadSignature(
            "IncompleteSignatureException", "Host, X-Amz-Date and X-Amz-Target must be signed."
        )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, _sha256(_canonical(request, names).encode())))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise BadSignature(
            "InvalidSignatureException", "The signature does not match: check the secret access key."
        )
    return signature


def _check_time(stamp: str, day: str, now: float) -> None:
    try:
        at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise BadSignature("IncompleteSignatureException", "X-Amz-Date is missing or malformed.") from None
    if stamp[:8] != day or abs(at.timestamp() - now) > WINDOW_SECONDS:
        raise BadSignature(
            "InvalidSignatureException", f"Signature expired: {stamp} is too far from the server's time."
        )


def _canonical(request: SignedRequest, names: list[str]) -> str:
    query = "&".join(
        f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
        for key, value in sorted(parse_qsl(request.query, keep_blank_values=True))
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/-_.~"),
            query,
            headers,
            ";".join(names),
            _sha256(request.body),
        )
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
