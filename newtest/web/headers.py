"""Response headers that keep a page to itself: nothing from other hosts, no frames, no referrer, no
sniffing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecurityHeaders", "content_security_policy", "script_hashes"]

_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)


def script_hashes(html: str) -> tuple[str, ...]:
    """The CSP sources (``'sha256-...'``) of the inline scripts of a page that we wrote ourselves.

    Take them from the template before strangers' text is put in: a script that comes in with a class name or
    a caption is then not among them, and the browser refuses to run it.
    """
    digests = (hashlib.sha256(body.encode()).digest() for _, body in _SCRIPT.findall(html))
    return tuple(dict.fromkeys(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests))


def content_security_policy(
    *,
    scripts: Iterable[str] = (),
    styles: Iterable[str] = (),
    images: Iterable[str] = (),
    sandbox: str | None = None,
    frame_ancestors: str = "'none'",
) -> str:
    """A policy under which a page loads images, styles and data from its own server alone.

    ``scripts``, ``styles`` (fonts too) and ``images`` are CSP sources beside ``'self'``; ``sandbox`` are a sandbox's
    permissions. All but ``scripts`` are for pages of others.
    """
    styles = list(styles)
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", *scripts]),
        "style-src": " ".join(["'self' 'unsafe-inline'", *styles]),
        **({"font-src": " ".join(["data:", *styles])} if styles else {}),
        "img-src": " ".join(["'self' data:", *images]),
        "connect-src": "'self'",
        "frame-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": frame_ancestors,
    }
    if sandbox is not None:
        policy["sandbox"] = sandbox
    return "; ".join(f"{name} {value}".strip() for name, value in policy.items())


class SecurityHeaders:
    """ASGI middleware: puts the headers on every response that has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


_HEADERS = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
