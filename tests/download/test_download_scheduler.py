from __future__ import annotations

import asyncio
import email.utils
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from servers.images import ImageServer, self_signed, serving

from newtest.download import (
    Download,
    DownloadConfig,
    Request,
    download,
    hosts,
    without_credentials,
)
from newtest.download.pace import Pace
from newtest.download.retry_after import retry_after

QUICK = DownloadConfig(allow_private=True, backoff=0.01, read_timeout=1.0, deadline=5.0)


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serving(ImageServer()) as running:
        yield running


def fetch(urls: list[str], config: DownloadConfig = QUICK) -> dict[str, Download]:
    async def run() -> dict[str, Download]:
        async with aclosing(download([Request(url, url) for url in urls], config)) as outcomes:
            return {outcome.key: outcome async for outcome in outcomes}

    return asyncio.run(run())


def one(url: str, config: DownloadConfig = QUICK) -> Download:
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
    ("tags", "obeyed"),
    [
        (["noindex", "noai"], True),
        (["noindex, nofollow, noimageai"], True),
        (["noindex,NoAI"], True),
        (["noindex noai"], True),
        (["max-snippet: 20, noai"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST", "noai"], True),
        (["newtest: noindex, noai"], True),
        (["otherbot: noindex, noai"], False),
        (["otherbot: noai", "noindex"], False),
        (["otherbot: noindex, newtest: noai"], True),
        (["none, noaiX"], False),
    ],
)
def test_opt_outs_in_all_forms_are_obeyed_on_redirects_too(
    server: ImageServer, tags: list[str], obeyed: bool
) -> None:
    query = urlencode([("tag", tag) for tag in tags])
    assert one(server.url(f"robots/1.jpg?{query}")).kind == ("opted-out" if obeyed else None)
    target = urlencode({"to": server.url("photo/2.jpg")})
    assert one(server.url(f"robots/1.jpg?{query}&{target}")).kind == ("opted-out" if obeyed else None)
    assert server.asked["/photo/2.jpg"] == (0 if obeyed else 1), "what a redirect guards is not asked for"


@pytest.mark.parametrize("scheme", ["ws", "wss", "tcp", "unix", "ftp", "gopher", "javascript"])
def test_only_http_and_https_are_asked_for_redirects_included(server: ImageServer, scheme: str) -> None:
    other = server.url("photo/1.jpg").replace("http", scheme, 1)
    for url in (other, server.url(f"to-private/1.jpg?to={other}")):
        outcome = one(url)
        assert (outcome.kind, outcome.permanent) == ("bad-url", True)
    assert "/photo/1.jpg" not in server.asked


def test_passwords_in_urls_are_neither_sent_nor_repeated(server: ImageServer) -> None:
    secret = server.url("photo/1.jpg").replace("http://", "http://ann:hunter2@")
    assert one(secret).data == server.photos[1]
    assert one(server.url(f"to-private/1.jpg?to={secret}")).data == server.photos[1]
    assert server.authorized == 0
    for bad in ("http://ann:hunter2@[::1", "ws://ann:hunter2@host/", "http://ann:hunter2@host:99999/"):
        outcome = one(bad)
        assert outcome.kind == "bad-url" and "hunter2" not in (outcome.reason or "")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://ann:pw@host.example/a@b.jpg?x=@", "https://host.example/a@b.jpg?x=@"),
        ("see //ann@host.example/ and http://b:@h/", "see //host.example/ and http://h/"),
        ("http://a@b:c@host/", "http://host/"),
        ("https://www.flickr.com/photos/12345@N01/7", "https://www.flickr.com/photos/12345@N01/7"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_user_names_and_passwords_are_taken_out_of_any_text(text: str, kept: str) -> None:
    assert without_credentials(text) == kept


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9" * 400, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_one_place(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_a_retry_after_in_an_hour_is_an_hour() -> None:
    when = email.utils.formatdate(time.time() + 3600, usegmt=True)
    assert retry_after(when) == pytest.approx(3600, abs=5)


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
        "http://0x7f000001/x",
        "http://127.1/x",
        "http://127.0.0.1.5./x",
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


def test_a_quick_host_is_waited_for_less_while_silent_requests_hold_up_others(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the full patience, an hour here, the four silent ones would hold all four places of their host."""
    monkeypatch.setattr(hosts, "_LEAST_PATIENCE", 0.2)
    quick = [server.url(f"{number}.jpg") for number in range(80)]
    hanging = [server.url(f"hang/{number}.jpg") for number in range(4)]
    patient = replace(QUICK, per_host=4, read_timeout=3600.0, deadline=3600.0)
    urls = [*quick[:70], *hanging, *quick[70:]]
    outcomes = fetch(urls, patient)
    assert {outcomes[url].kind for url in quick} == {None}
    assert {(outcomes[url].kind, outcomes[url].permanent) for url in hanging} == {("timeout", False)}


def test_patience_is_full_for_hosts_that_are_unknown_slow_or_keep_nobody_waiting() -> None:
    host = hosts.Host(Pace(4))
    host.waiting.append(hosts.Pending(Request("1", "http://a/1"), "a"))
    assert host.patience(10.0) == 10.0
    for _ in range(60):
        host.answered(0.05)
    assert host.patience(10.0) == 3.0 and host.patience(2.0) == 2.0
    host.answered(0.5)
    assert host.patience(10.0) == 5.0
    host.waiting.clear()
    assert host.patience(10.0) == 10.0
