"""One way to run an application: ``run`` for people, ``serving`` in a thread for tests and callers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from newtest.errors import MissingExtra, NewtestError
from newtest.web.access import TrustedHosts
from newtest.web.connections import ConnectionLimits, Connections, CrowdedOut, protocol_with_limits
from newtest.web.headers import SecurityHeaders
from newtest.web.limits import Limits, RequestLimits

if TYPE_CHECKING:
    import uvicorn

__all__ = ["Guarded", "guarded", "listen", "run", "serving"]

FILES = 8_192
"""Files and connections that a server needs to have open at once; where the machine allows fewer, it is fewer."""


class Guarded:
    """An application behind the host check, the security headers, and the limits on requests and connections."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app, self.connections = app, connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def guarded(
    app: ASGIApp,
    *,
    limits: Limits | None = None,
    hosts: Iterable[str] = (),
    connections: Connections | None = None,
    is_owner: Callable[[Request], bool] | None = None,
) -> Guarded:
    """The application with all guards; ``is_owner`` says who is answered when there is room for nobody else."""
    limits = limits or Limits()
    connections = connections or _connections(limits)
    inner = CrowdedOut(RequestLimits(app, limits, connections.counts), connections, is_owner)
    return Guarded(SecurityHeaders(TrustedHosts(inner, hosts)), connections)


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


def _connections(limits: Limits) -> Connections:
    return Connections(ConnectionLimits(header_seconds=limits.header_seconds))


def run(
    app: ASGIApp, listener: socket.socket, *, limits: Limits | None = None, proxies: Sequence[str] = ()
) -> None:
    """Serve until interrupted (Ctrl-C or SIGTERM); open requests get ten seconds to end.

    ``limits`` are for an application that is not guarded; ``proxies`` are addresses whose X-Forwarded-Proto and
    X-Forwarded-For are believed.
    """
    files = _raise_file_limit()
    server = _server(app, limits, proxies)
    if isinstance(app, Guarded):
        app.connections.fit(files)
    with listener:
        server.run(sockets=[listener])


@contextmanager
def serving(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits | None = None,
    proxies: Sequence[str] = (),
) -> Iterator[str]:
    """Serve in a thread while the block runs; gives the base URL, such as ``http://127.0.0.1:40123``."""
    listener = listen(host, port)
    server = _server(app, limits, proxies)
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


def _server(app: ASGIApp, limits: Limits | None, proxies: Sequence[str]) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "crowd") from error
    connections = app.connections if isinstance(app, Guarded) else _connections(limits or Limits())
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol_with_limits(connections),
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",  # what strangers send is not news: a line for each would fill a disk
            access_log=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            server_header=False,
            limit_concurrency=2 * (connections.limits.total + connections.limits.reserve),  # a backstop
            timeout_graceful_shutdown=10,
        )
    )


def _raise_file_limit() -> int:
    """Many systems let a process open 1,024 files unless it asks for more. Gives how many it may open."""
    try:
        import resource
    except ImportError:  # not on this system
        return FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return FILES if soft == resource.RLIM_INFINITY else soft
