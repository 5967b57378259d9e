"""One way to run an application: ``run`` for people, ``serving`` in a thread for tests and callers.

Uvicorn has no time-out for a client that sends its headers drop by drop; ``_DeadlineProtocol`` gives it one.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from newtest.errors import MissingExtra, NewtestError
from newtest.web.access import TrustedHosts
from newtest.web.headers import SecurityHeaders
from newtest.web.limits import Limits, RequestLimits

if TYPE_CHECKING:
    import uvicorn

__all__ = ["guarded", "listen", "run", "serving"]

MAX_CONNECTIONS = 2_000


def guarded(app: ASGIApp, *, limits: Limits | None = None, hosts: Iterable[str] = ()) -> ASGIApp:
    """The application behind the host check, the security headers and the request limits."""
    return SecurityHeaders(TrustedHosts(RequestLimits(app, limits or Limits()), hosts))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises NewtestError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without it each answer waits 40 ms for an
    # ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise NewtestError(
            f"cannot listen on {host} port {port} ({error.strerror or error}); choose another with `port`"
        ) from error
    return listener


def run(app: ASGIApp, listener: socket.socket, *, limits: Limits | None = None) -> None:
    """Serve until interrupted (Ctrl-C or SIGTERM); open requests get ten seconds to end."""
    server = _server(app, limits or Limits())
    with listener:
        server.run(sockets=[listener])


@contextmanager
def serving(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None
) -> Iterator[str]:
    """Serve in a thread while the block runs; gives the base URL, such as ``http://127.0.0.1:40123``."""
    listener = listen(host, port)
    server = _server(app, limits or Limits())
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="newtest-web", daemon=True
    )
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listener.close()


def _server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "crowd") from error
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_deadline_protocol(limits.header_seconds),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=10,
        )
    )


def _deadline_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP/1.1 protocol with a deadline for each request's headers."""
    from h11 import IDLE
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class _DeadlineProtocol(H11Protocol):  # type: ignore[misc, unused-ignore]  # uvicorn's types may be absent
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not IDLE:
                self._stop_waiting()
            elif self._timer is None:
                self._wait_for_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait_for_headers(self) -> None:
            close: Callable[[], None] = self.transport.abort
            self._timer = self.loop.call_later(seconds, close)

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return _DeadlineProtocol
