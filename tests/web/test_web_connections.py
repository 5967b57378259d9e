"""Whole connections have limits: how many, from whom, how long; and the owner has a place."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from newtest.web.access import OwnerAccess
from newtest.web.connections import ConnectionLimits, Connections
from newtest.web.forms import read_form
from newtest.web.limits import Limits
from newtest.web.serving import guarded, serving

TOKEN = "a-token-of-some-length"
SHORT = ConnectionLimits(
    total=20,
    per_address=20,
    reserve=3,
    header_seconds=5,
    request_seconds=1.5,
    drain_seconds=0.5,
    life_seconds=60,
)


SLOW = (
    b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\na=1"
)


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def large(request: Request) -> Response:
    return PlainTextResponse("x" * 30_000_000)


async def form(request: Request) -> Response:
    return PlainTextResponse((await read_form(request)).one("a"))


@dataclass
class Served:
    at: tuple[str, int]
    connections: Connections

    def ask(self, path: str = "/", **headers: str) -> int:
        connection = http.client.HTTPConnection(*self.at, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def raw(self, data: bytes = b"") -> socket.socket:
        opened = socket.create_connection(self.at, timeout=10)
        opened.sendall(data)
        return opened


@contextmanager
def served(limits: ConnectionLimits = SHORT) -> Iterator[Served]:
    owner = OwnerAccess(Starlette(routes=[Route("/", hello)]), TOKEN, "/owner")
    routes = [
        Route("/", hello),
        Route("/large", large),
        Route("/form", form, methods=["POST"]),
        Mount("/owner", owner),
    ]
    connections = Connections(limits)
    app = guarded(
        Starlette(routes=routes),
        limits=Limits(body_seconds=60, send_seconds=60),
        connections=connections,
        is_owner=owner.lets_in,
    )
    with serving(app) as url:
        parts = urlsplit(url)
        yield Served((str(parts.hostname), int(parts.port or 0)), connections)


def is_cut(opened: socket.socket, seconds: float = 8) -> bool:
    """Whether the server ends a connection; what it still sends is read."""
    opened.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        while opened.recv(65_536):
            pass
    return True


def wait_for(condition: object, seconds: float = 5) -> None:
    ends = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_idle_connections_shut_nobody_out() -> None:
    with served() as server:
        idle = [server.raw() for _ in range(200)]
        assert server.ask() == 200
        assert len(server.connections.open) <= SHORT.total + 1
        assert server.connections.counts["made_room"] >= 180
        for opened in idle:
            opened.close()


def test_one_address_cannot_take_every_place() -> None:
    limits = ConnectionLimits(total=20, per_address=5, reserve=3, request_seconds=30)
    with served(limits) as server:
        busy = [server.raw(SLOW) for _ in range(5)]
        wait_for(lambda: sum(not c.is_idle for c in server.connections.open) == 5)
        assert server.ask() == 503
        assert server.ask("/owner/", authorization="Bearer wrong") == 503
        # The owner's address may be everybody's: behind a proxy, or on this machine.
        assert server.ask("/owner/", authorization=f"Bearer {TOKEN}") == 200
        assert server.connections.counts["crowded_out"] == 2
        more = [server.raw(SLOW) for _ in range(10)]
        assert server.ask("/owner/", authorization=f"Bearer {TOKEN}") == 200
        assert sum(one not in server.connections.reserved for one in server.connections.open) == 5
        elsewhere = socket.create_connection(server.at, timeout=10, source_address=("127.0.0.2", 0))
        elsewhere.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in elsewhere.recv(100)
        for opened in (*busy, *more, elsewhere):
            opened.close()


def test_what_is_no_request_fills_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    with served() as server:
        for _ in range(50):
            with server.raw(b"\x16\x03\x01 no request\r\n\r\n") as opened:
                assert is_cut(opened)
        assert server.ask() == 200
    assert capfd.readouterr().err == ""


def test_the_owner_has_a_place_when_all_others_are_taken() -> None:
    limits = ConnectionLimits(total=10, per_address=400, reserve=3, request_seconds=30)
    with served(limits) as server:
        busy = [server.raw(SLOW) for _ in range(10)]
        wait_for(lambda: sum(not c.is_idle for c in server.connections.open) == 10)
        assert server.ask() == 503
        assert server.ask("/owner/", authorization="Bearer wrong") == 503
        assert server.ask("/owner/", authorization=f"Bearer {TOKEN}") == 200
        assert server.connections.counts["crowded_out"] == 2
        for opened in busy:
            opened.close()
        wait_for(lambda: not server.connections.open)
        assert server.ask() == 200


@pytest.mark.parametrize(
    "start",
    [
        SLOW,
        b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\na",  # answered before it is read
    ],
)
def test_a_body_that_drips_on_is_cut_off(start: bytes) -> None:
    with served() as server, server.raw(start) as opened:
        opened.settimeout(0.05)
        ends = time.monotonic() + 8
        cut = False
        while not cut and time.monotonic() < ends:
            try:
                opened.sendall(b"x")
                time.sleep(0.1)
                opened.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                cut = True
        assert cut
        assert server.connections.counts["cut"] == 1


def test_a_client_that_never_reads_is_cut_off() -> None:
    with served() as server, server.raw(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        wait_for(lambda: server.connections.counts["cut"] == 1, 8)
        wait_for(lambda: not server.connections.open)


def test_an_old_connection_is_closed_after_its_answer() -> None:
    with served(ConnectionLimits(life_seconds=0.2)) as server, server.raw() as opened:
        ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        opened.sendall(ask)
        assert b"200" in opened.recv(10_000)
        time.sleep(0.3)
        opened.sendall(ask)
        assert is_cut(opened)
        assert server.ask() == 200


def test_requests_in_a_row_on_one_connection_are_all_answered() -> None:
    with served() as server:
        connection = http.client.HTTPConnection(*server.at, timeout=10)
        for _ in range(30):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        connection.close()
        with server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3) as piped:
            piped.settimeout(3)
            got = b""
            while got.count(b"hello") < 3:
                got += piped.recv(65_536)
        wait_for(lambda: not server.connections.open)
        assert server.connections.counts["cut"] == 0


def test_broken_off_posts_are_counted_and_no_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    with served() as server, caplog.at_level(logging.INFO):
        for _ in range(30):
            opened = server.raw(SLOW)
            time.sleep(0.01)
            opened.close()
        wait_for(lambda: server.connections.counts["broken_off"] == 30)
        assert server.ask() == 200
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
