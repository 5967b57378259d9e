from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from servers.images import ImageServer, self_signed, serving

from newtest.download import DownloadConfig, Outcome, Request, download

QUICK = DownloadConfig(allow_private=True, backoff=0.01, read_timeout=1.0, deadline=5.0)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer()) as running:
        yield running


def fetch(urls: list[str], config: DownloadConfig = QUICK) -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        async with aclosing(download([Request(url, url) for url in urls], config)) as outcomes:
            return {outcome.key: outcome async for outcome in outcomes}

    return asyncio.run(run())


def one(url: str, config: DownloadConfig = QUICK) -> Outcome:
    return fetch([url], config)[url]


def test_bytes_come_as_they_are(server: ImageServer) -> None:
    got = fetch([server.url(f"photo/{n}.jpg") for n in range(8)])
    assert {got[server.url(f"photo/{n}.jpg")].data for n in range(8)} == set(server.photos)


@pytest.mark.parametrize(
    ("path", "kind", "permanent"),
    [
        ("hang/1.jpg", "timeout", False),
        ("endless/1.jpg", "too-many-bytes", False),
        ("status-404/1.jpg", "http-404", True),
        ("status-410/1.jpg", "http-410", True),
        ("status-403/1.jpg", "http-403", False),
        ("loop/1.jpg", "redirects", False),
        ("noai/1.jpg", "opted-out", True),
        ("gzip/1.jpg", "encoded", False),
        ("cut/1.jpg", "broken", False),
        ("status-500/1.jpg", "http-500", False),
    ],
)
def test_each_misbehaviour_is_a_value(server: ImageServer, path: str, kind: str, permanent: bool) -> None:
    outcome = one(server.url(path), replace(QUICK, max_bytes=2**20))
    assert (outcome.data, outcome.kind, outcome.permanent) == (None, kind, permanent)
    assert outcome.reason


def test_transient_failures_are_tried_again_and_meant_ones_are_not(server: ImageServer) -> None:
    assert one(server.url("flaky-3/1.jpg")).tries == 4
    assert one(server.url("busy-1/1.jpg")).data is not None
    for path in ("status-404/1.jpg", "status-403/2.jpg", "hang/3.jpg"):
        assert one(server.url(path)).tries == 1
        assert server.asked["/" + path] == 1
    assert one(server.url("flaky-9/1.jpg"), replace(QUICK, retries=2)).kind == "http-503"
    assert server.asked["/flaky-9/1.jpg"] == 3
    assert one(server.url("cut/9.jpg"), replace(QUICK, retries=2)).tries == 3


def test_a_long_retry_after_ends_the_request_for_this_run(server: ImageServer) -> None:
    outcome = one(server.url("busy-1/1.jpg"), replace(QUICK, longest_rest=0.5))
    assert (outcome.kind, outcome.tries, outcome.throttled) == ("throttled", 0, True)
    assert "asks for fewer requests" in (outcome.reason or "")
    later = one(server.url("photo/1.jpg"), replace(QUICK, longest_rest=0.5))
    assert later.throttled and "/photo/1.jpg" not in server.asked, "the next run leaves the host alone too"


def test_a_retry_after_that_is_no_date_ends_nothing_but_its_request(server: ImageServer) -> None:
    someday = replace(QUICK, longest_rest=0.1, first_rest=0.05)
    assert one(server.url("someday/1.jpg"), someday).throttled


def test_a_drip_is_cut_off_by_speed_and_by_deadline(server: ImageServer) -> None:
    assert one(server.url("drip/1.jpg")).kind == "too-slow"
    assert (
        one(server.url("drip/1.jpg"), replace(QUICK, least_bytes_per_second=0, deadline=1.5)).kind
        == "deadline"
    )


def test_opt_out_for_other_agents_is_not_for_us(server: ImageServer) -> None:
    assert one(server.url("bots/1.jpg")).data is not None
    assert one(server.url("bots/1.jpg"), replace(QUICK, user_agent="otherbot/1")).kind == "opted-out"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/1.jpg",
        "http://localhost:{port}/1.jpg",
        "http://0.0.0.0:{port}/1.jpg",
        "http://[::1]:{port}/1.jpg",
        "http://[::ffff:127.0.0.1]:{port}/1.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/1.jpg",
    ],
)
def test_private_addresses_are_refused_however_they_are_written(server: ImageServer, url: str) -> None:
    port = server.base.rpartition(":")[2]
    outcome = one(url.format(port=port), replace(QUICK, allow_private=False))
    assert outcome.kind == "private-address", outcome
    assert not server.asked


def test_a_redirect_or_a_rebinding_name_does_not_get_round_it(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the 'public' server is resolved to a public address first and to loopback at the second look."""
    looks: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, *args: object, **options: object) -> object:
        if host != "photos.example":
            return real(host, port, *args, **options)  # type: ignore[arg-type]
        looks.append(host)
        return real("127.0.0.1", port)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = server.base.rpartition(":")[2]
    outcome = one(f"http://photos.example:{port}/1.jpg", replace(QUICK, allow_private=False))
    assert (outcome.kind, looks) == ("private-address", ["photos.example"])
    assert not server.asked


def test_redirects_are_followed_and_checked_hop_by_hop(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = server.url("photo/2.jpg")
    assert one(server.url(f"to-private/1.jpg?to={target}")).data == server.photos[2]
    assert one(server.url("to-private/1.jpg?to=file:///etc/passwd")).kind == "bad-url"
    # the first hop is allowed, as a public server's would be; the second must be refused by its address alone
    monkeypatch.setattr("newtest.download.addresses.is_public", lambda address: address == "127.0.0.1")
    outcome = one(server.url("to-private/1.jpg"), replace(QUICK, allow_private=False))
    assert outcome.kind == "private-address"
    assert server.asked["/to-private/1.jpg"] == 2 + 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no scheme",
        "ftp://example.org/x",
        "http://",
        "http://[::1",
        "http://2130706433/x",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    outcome = one(url)
    assert (outcome.kind, outcome.permanent) == ("bad-url", True)


def test_a_host_that_is_down_or_unknown_is_a_value() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert one(f"http://127.0.0.1:{port}/1.jpg", replace(QUICK, retries=1)).kind == "no-connection"
    assert one("http://no-such-host.invalid/1.jpg", replace(QUICK, retries=1)).kind == "no-such-host"


def test_a_certificate_that_nobody_vouches_for_is_no_secure_connection(tmp_path: Path) -> None:
    with serving(ImageServer(), certificate=self_signed(tmp_path)) as running:
        outcome = one(running.url("photo/1.jpg"))
    assert (outcome.kind, outcome.permanent, outcome.tries) == ("tls", False, 1)


def test_an_answer_that_is_not_http_is_a_value() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        outcome = one(f"http://127.0.0.1:{port}/1.jpg", replace(QUICK, retries=0))
        thread.join()
    assert outcome.kind == "bad-http"


def test_limits_hold_and_a_slow_host_holds_up_nobody(server: ImageServer) -> None:
    """Two hosts; one hangs with far more requests than there are places in all, and is asked first."""
    fast = [server.url(f"photo/{n}.jpg") for n in range(40)]
    config = replace(QUICK, total=8, per_host=4, read_timeout=2.0)

    async def run(urls: list[str]) -> list[str]:
        order: list[str] = []
        async with aclosing(download([Request(url, url) for url in urls], config)) as outcomes:
            async for outcome in outcomes:
                order.append(outcome.key)
                if len(order) == len(fast):
                    break
        return order

    with serving(ImageServer(), "127.0.0.2") as hanging:
        slow = [hanging.url(f"hang/{n}.jpg") for n in range(30)]
        assert set(asyncio.run(run(slow + fast))) == set(fast)
        assert hanging.peak == 4
    assert server.peak <= 4


def test_memory_is_bounded_when_nobody_takes_the_results(server: ImageServer) -> None:
    async def run() -> int:
        requests = [Request(str(n), server.url(f"photo/{n}.jpg")) for n in range(100)]
        async with aclosing(download(requests, replace(QUICK, total=10))) as outcomes:
            await anext(outcomes)
            await asyncio.sleep(0.5)
            return sum(server.asked.values())

    assert asyncio.run(run()) <= 21


def test_backoff_is_the_same_in_every_run(server: ImageServer) -> None:
    begun = time.monotonic()
    first = fetch([server.url(f"flaky-1/{n}.jpg") for n in range(20)], replace(QUICK, backoff=0.2))
    assert all(outcome.tries == 2 for outcome in first.values())
    assert time.monotonic() - begun >= 0.1  # half of the back-off at least
