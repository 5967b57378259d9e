"""The owner looks at a HIT, an image, a worker; pauses, extends, closes; and stands behind a proxy that speaks TLS."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import commands
import pytest
from crowd_study import GOLDFISH, TENCH, TOKEN, Crowd
from test_crowd_server import Reply, ask, begin, send

from newtest.crowd.languages import language
from newtest.crowd.server.app import crowd_app
from newtest.crowd.server.settings import ServerConfig
from newtest.study import Study
from newtest.web.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OWNER = {"authorization": f"Bearer {TOKEN}"}


def owner(server: Crowd, path: str = "") -> Reply:
    return ask(f"{server.url}/owner/{path}", **OWNER)


def change(server: Crowd, what: str, **fields: str) -> Reply:
    csrf = re.search(r'name="csrf" value="([^"]*)"', owner(server).text)
    assert csrf
    return ask(f"{server.url}/owner/{what}", {"csrf": csrf.group(1), **fields}, **OWNER)


def worked(server: Crowd, name: str = "ann") -> tuple[str, str]:
    """(market's id of a HIT that somebody did, the worker)."""
    task = begin(server, server.invite(name))
    send(str(task), 2, 5, times=json.dumps([1500, 0, *[900] * 10]))
    row = server.study.catalog.execute(
        "SELECT market_hit_id, worker FROM market_assignments WHERE assignment_id = ?",
        (str(task).rpartition("/")[2],),
    ).fetchone()
    return str(row[0]), str(row[1])


def test_a_hit_says_who_did_it_what_it_showed_and_what_they_said(server: Crowd) -> None:
    hit, worker = worked(server)
    hits = owner(server, "hits").text
    assert hits.count('href="/owner/hit/') == 4
    assert "goldfish" in hits
    page = owner(server, f"hit/{hit}").text
    assert f'href="/owner/worker/{worker}">ann</a>' in page
    assert page.count("<li><a href=") == 12
    assert "1 yes, 0 no" in page
    assert "0 yes, 0 no, 1 not seen" in page  # the second was never in view
    assert "0.9 s in view" in page
    (picture, *_) = re.findall(r'src="(/picture/[^"]+)"', page)
    assert ask(server.url + picture).status == 200


def test_an_image_and_a_worker_have_pages_of_their_own(server: Crowd) -> None:
    hit, worker = worked(server)
    image = re.findall(r'href="/owner/image/([^"]+)"', owner(server, f"hit/{hit}").text)[1]
    page = owner(server, f"image/{image}").text
    assert "not seen" in page
    assert f"/owner/hit/{hit}" in page
    page = owner(server, f"worker/{worker}").text
    assert "1 of 12" in page
    assert re.search(r"\d of [1-4]</td>", page)
    progress = json.loads(owner(server, "progress.json").text)
    assert progress["workers"][0]["key"] == worker
    assert progress["workers"][0]["begun"]


@pytest.mark.parametrize("path", ["hit/3NONE", "image/none", "worker/none", "hit/..%2f..", "worker/%00"])
def test_what_is_not_there_is_not_found(server: Crowd, path: str) -> None:
    assert owner(server, path).status == 404


@pytest.mark.parametrize("path", ["hits", "hit/3X", "image/x", "worker/x"])
def test_nobody_else_sees_them(server: Crowd, path: str) -> None:
    assert ask(f"{server.url}/owner/{path}").status == 401


def test_while_it_is_paused_nobody_begins_and_who_has_begun_finishes(server: Crowd) -> None:
    link = server.invite("ann")
    task = begin(server, link)
    fresh = server.invite("bea")
    before = ask(fresh).text
    assert change(server, "pause", paused="yes").status == 303
    assert "Paused: nobody can begin a task" in owner(server).text
    assert language("en").work["halted"] in ask(fresh).text
    csrf = re.search(r'name="csrf" value="([^"]*)"', before)
    reply = ask(fresh + "take", {"csrf": csrf.group(1) if csrf else "", "group": GOLDFISH})
    assert reply.headers["location"].endswith("?notice=halted")
    assert send(str(task), 1).headers["location"].endswith("notice=done")
    assert change(server, "pause", paused="no").status == 303
    assert begin(server, fresh) is not None


def test_hits_are_closed_and_extended_one_or_all(server: Crowd) -> None:
    link = server.invite("ann")
    hits = re.findall(r'href="/owner/hit/([^"]+)"', owner(server, "hits").text)
    assert change(server, "close", hit=hits[0]).headers["location"] == f"/owner/hit/{hits[0]}"
    assert "ended" in owner(server, f"hit/{hits[0]}").text
    change(server, "close")
    assert begin(server, link) is None
    assert begin(server, link, TENCH) is None
    assert change(server, "extend", days="2").status == 303
    ends = server.study.catalog.execute("SELECT DISTINCT expires_at FROM market_hits").fetchall()
    assert [row[0] for row in ends] == [server.clock.now + 2 * 86_400]
    assert begin(server, link) is not None
    for days in ("", "0", "366", "x", "٣"):
        assert change(server, "extend", days=days).status == 400
    assert ask(f"{server.url}/owner/close", {"csrf": "forged"}, **OWNER).status == 403


def test_behind_a_proxy_that_is_trusted_cookies_are_secure_and_links_are_https(study: Study) -> None:
    config = ServerConfig(access_token=TOKEN, public_hosts=("crowd.example",))
    forwarded = {"x-forwarded-proto": "https", "host": "crowd.example"}
    with serving(crowd_app(study, config), proxies=["127.0.0.1"]) as url:
        cookie = ask(f"{url}/owner/?token={TOKEN}", **forwarded).headers["set-cookie"]
        assert "Secure" in cookie
        assert TOKEN not in cookie
        session = cookie.split(";")[0]
        page = ask(f"{url}/owner/", cookie=session, **forwarded)
        csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
        ask(
            f"{url}/owner/invite",
            {"csrf": csrf.group(1) if csrf else "", "labels": "ann"},
            cookie=session,
            **forwarded,
        )
        page = ask(f"{url}/owner/", cookie=session, **forwarded)
        assert 'value="https://crowd.example/work/' in page.text
        assert ask(f"{url}/owner/", cookie=session.replace("=1", "=2"), **forwarded).status == 401
    with serving(crowd_app(study, config)) as url:  # anybody can send the header
        assert "Secure" not in ask(f"{url}/owner/?token={TOKEN}", **forwarded).headers["set-cookie"]


def newtest(*arguments: str) -> str:
    done = commands.newtest(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_invite_prints_the_address_that_the_server_has(study: Study) -> None:
    at = ("--study", str(study.root))
    assert "no server of this study was started yet" in newtest("annotate", "invite", "ann", *at)
    with commands.start("annotate", "serve", "--port", "0", *at) as process:
        found = process.shown(r"http://127.0.0.1:\d+")
        link = newtest("annotate", "invite", "ann", *at).split("\t")[1].strip()
        assert link.startswith(found.group())
        assert ask(link).status == 200
        process.signal(signal.SIGINT)
        process.wait(20)


@pytest.mark.browser
def test_tables_are_readable_on_a_phone(browser: Browser, server: Crowd) -> None:
    hit, worker = worked(server)
    context = browser.new_context(viewport={"width": 390, "height": 780}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(f"{server.url}/owner/?token={TOKEN}")
    page.get_by_role("link", name="ann").wait_for()
    for path in ("", "hits", f"hit/{hit}", f"worker/{worker}"):
        page.goto(f"{server.url}/owner/{path}")
        page.locator("table.cards").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.locator(".scroll").first.evaluate("e => e.scrollWidth <= e.clientWidth"), path
    page.goto(f"{server.url}/owner/")
    page.get_by_role("link", name="ann").click()
    page.get_by_role("heading", name="ann").wait_for()
    context.close()
