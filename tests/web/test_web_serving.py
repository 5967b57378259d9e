"""A real server on loopback, and clients that misbehave."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from newtest.errors import NewtestError, UsageError
from newtest.web.access import OwnerAccess, check_host, is_loopback
from newtest.web.forms import read_form
from newtest.web.limits import Limits
from newtest.web.serving import guarded, listen, serving

LIMITS = Limits(body_bytes=1_000, header_seconds=0.5, body_seconds=0.5, send_seconds=5)
TOKEN = "a-token-of-some-length"


async def echo(request: Request) -> PlainTextResponse:
    form = await read_form(request)
    return PlainTextResponse("|".join(form.all("a")) + "/" + form.one("b", "none"))


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    owner = OwnerAccess(Starlette(routes=[Route("/", hello)]), TOKEN, "/owner")
    app = Starlette(
        routes=[Route("/", hello), Route("/form", echo, methods=["POST"]), Mount("/owner", owner)]
    )
    with serving(guarded(app, limits=LIMITS), limits=LIMITS) as url:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port


def ask(
    address: tuple[str, int], method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
    response = connection.getresponse()
    result = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode()
    connection.close()
    return result


FORM = {"content_type": "application/x-www-form-urlencoded"}


def test_every_response_keeps_the_page_to_itself(address: tuple[str, int]) -> None:
    _, headers, text = ask(address, "GET", "/")
    assert text == "hello"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "form-action 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_a_form_is_read_and_anything_else_is_not(address: tuple[str, int]) -> None:
    assert ask(address, "POST", "/form", "a=1&a=%C3%A9&b=x", **FORM)[2] == "1|é/x"
    assert ask(address, "POST", "/form", "a=1", content_type="text/plain")[0] == 415
    assert ask(address, "POST", "/form", "no form at all", **FORM)[0] == 400
    assert ask(address, "POST", "/form", "a=%FF%FE", **FORM)[0] == 400
    assert ask(address, "POST", "/form", "", **FORM)[2] == "/none"


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(address: tuple[str, int]) -> None:
    assert ask(address, "POST", "/form", "a=" + "x" * 2_000, **FORM)[0] == 413
    with socket.create_connection(address, timeout=10) as raw:
        raw.sendall(
            b"POST /form HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        raw.sendall(b"320\r\n" + b"a=" + b"x" * 798 + b"\r\n" + b"320\r\n" + b"x" * 800 + b"\r\n")
        assert b" 413 " in raw.recv(1_000).split(b"\r\n")[0]


def test_a_client_that_drips_its_body_is_told_and_let_go(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as raw:
        raw.sendall(
            b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\na"
        )
        assert b" 408 " in raw.recv(1_000).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "start", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET "]
)
def test_a_client_that_never_ends_its_headers_is_cut_off(address: tuple[str, int], start: bytes) -> None:
    with socket.create_connection(address, timeout=10) as raw:
        raw.sendall(start)
        ended = False
        for _ in range(40):
            try:
                raw.sendall(b"x") if start else None
                raw.settimeout(0.2)
                if raw.recv(4_096) == b"":
                    ended = True
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended


def test_other_host_names_are_refused(address: tuple[str, int]) -> None:
    assert ask(address, "GET", "/", host="evil.example")[0] == 421
    assert ask(address, "GET", "/", host="localhost:1")[0] == 200
    assert ask(address, "GET", "/", host="LOCALHOST")[0] == 200


def test_the_owner_comes_in_by_link_cookie_or_bearer(address: tuple[str, int]) -> None:
    assert ask(address, "GET", "/owner/")[0] == 401
    assert ask(address, "GET", "/owner/?token=wrong")[0] == 401
    status, headers, _ = ask(address, "GET", f"/owner/?token={TOKEN}&x=%20y")
    assert (status, headers["location"]) == (303, "/owner/?x=+y")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert ask(address, "GET", "/owner/", cookie=cookie.split(";")[0])[2] == "hello"
    assert ask(address, "GET", "/owner/", authorization=f"Bearer {TOKEN}")[2] == "hello"
    assert ask(address, "GET", f"/owner//evil.example/?token={TOKEN}")[1]["location"].startswith("/owner/")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.2", False),
        ("x.org", False),
    ],
)
def test_only_loopback_goes_without_a_given_token(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    if loopback:
        assert len(check_host(host, None)) >= 32
    else:
        with pytest.raises(UsageError, match="access token"):
            check_host(host, None)
    assert check_host(host, TOKEN) == TOKEN
    with pytest.raises(UsageError, match="too short"):
        check_host(host, "short")
    for token in ("ein Schlüssel für alle", " sixteen and more", "sixteen\nand more."):
        with pytest.raises(UsageError, match="printable ASCII"):
            check_host(host, token)


@pytest.mark.parametrize("given", ["fd00::8", "[FD00::8]"])
def test_an_ipv6_host_is_answered_under_its_own_name(given: str) -> None:
    app = guarded(Starlette(routes=[Route("/", hello)]), hosts=[given])
    with serving(app) as url:
        parts = urlsplit(url)
        at = str(parts.hostname), int(parts.port or 0)
        assert [ask(at, "GET", "/", host=name)[0] for name in ("[fd00::8]:8600", "[fd00::8]", "[::1]")] == [
            200
        ] * 3
        assert ask(at, "GET", "/", host="[fd00::9]:8600")[0] == 421


def test_a_port_that_is_taken_is_said_so() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(NewtestError, match="`port`"):
        listen("127.0.0.1", first.getsockname()[1])


def test_the_server_stops_when_the_block_ends() -> None:
    with serving(guarded(Starlette(routes=[Route("/", hello)]))) as url:
        parts = urlsplit(url)
    time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((parts.hostname, parts.port), timeout=2)
