"""Who may come in: the rule for hosts, the Host header, and the owner's access token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Iterable
from urllib.parse import urlencode

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from newtest.errors import UsageError

__all__ = ["OwnerAccess", "TrustedHosts", "check_host", "is_loopback", "new_token"]

MIN_TOKEN = 16
_COOKIE = "newtest_owner"
SESSION_SECONDS = 7 * 86_400
"""How long an owner's browser stays let in."""


def new_token() -> str:
    """An access token of 32 random characters."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, token: str | None) -> str:
    """The access token to serve with: the given one, or on loopback a fresh one.

    Raises UsageError when others can reach ``host`` and no token was given, and for a token that is too
    short or cannot stand in a header.
    """
    if token is not None and len(token) < MIN_TOKEN:
        raise UsageError(f"the access token is too short: at least {MIN_TOKEN} characters are required")
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token):
        raise UsageError("the access token may hold printable ASCII characters only, no spaces around them")
    if token is None and not is_loopback(host):
        raise UsageError(
            f"`host` {host} is reachable from other machines: give an access token with `access_token` "
            "or NEWTEST_ACCESS_TOKEN, or listen on 127.0.0.1"
        )
    return token or new_token()


class TrustedHosts:
    """ASGI middleware: refuses requests for another Host, so that no foreign page rebinds its name to us.

    ``hosts`` are names without port; loopback names are always among them.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = {"localhost", "127.0.0.1", "::1", *(host.lower().strip("[]") for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
            if name.lower().strip("[]") not in self._hosts:
                await PlainTextResponse("This server does not go by that name.\n", 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OwnerAccess:
    """ASGI middleware for an owner's pages: lets in who shows the token, or a session that was begun with it.

    ``?token=...`` once (a session's cookie is given for it, and it is taken out of the address), the cookie, or
    ``Authorization: Bearer``. The cookie is HttpOnly and SameSite=Lax, Secure under https, and holds for ``path`` and
    for ``SESSION_SECONDS``; the token is not in it. Under SameSite=Strict the redirect of a link that was clicked
    in a mail would come without it; what changes anything is a POST with a token of its own.
    """

    def __init__(self, app: ASGIApp, token: str, path: str) -> None:
        self._app, self._token, self._path = app, token, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | None = None
        if scope["type"] == "http":
            response = self._answer(Request(scope))
        await (response or self._app)(scope, receive, send)

    def lets_in(self, request: Request) -> bool:
        """Whether a request shows the token or a session."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        shown = request.query_params.get("token", "")
        return (
            self._is_session(request.cookies.get(_COOKIE, ""))
            or self._is_token(bearer)
            or self._is_token(shown)
        )

    def _answer(self, request: Request) -> Response | None:
        """None for who may come in, else the redirect that sets the cookie, or the refusal."""
        if "token" in request.query_params and self._is_token(request.query_params["token"]):
            return self._remember(request)
        if self.lets_in(request):
            return None
        return PlainTextResponse("An access token is required: open the link that newtest printed.\n", 401)

    def _remember(self, request: Request) -> Response:
        kept = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        target = URL(scope=request.scope).path + ("?" + urlencode(kept) if kept else "")
        response = RedirectResponse("/" + target.lstrip("/"), 303)
        response.set_cookie(
            _COOKIE,
            self._session(int(time.time())),
            max_age=SESSION_SECONDS,
            path=self._path,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _session(self, begun: int) -> str:
        """A session: when it was begun, signed under the token."""
        signature = hmac.new(
            self._token.encode(), f"owner-session/{begun}".encode(), hashlib.sha256
        ).hexdigest()
        return f"{begun}.{signature}"

    def _is_session(self, shown: str) -> bool:
        begun = shown.partition(".")[0]
        if not (begun.isascii() and begun.isdigit() and len(begun) < 15):
            return False
        good = hmac.compare_digest(shown.encode(), self._session(int(begun)).encode())
        return good and time.time() - int(begun) < SESSION_SECONDS

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self._token.encode())
