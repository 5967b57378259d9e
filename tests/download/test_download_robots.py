"""robots.txt, by RFC 9309: the rules themselves, and a run that obeys them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

import pytest
from aiohttp import web
from servers.images import made_photo, serving

from newtest.download import Download, DownloadConfig, Request, download
from newtest.download.robots import parse_robots

RULES = """\ufeff# our site
User-agent: otherbot
Disallow: /

User-Agent: NewTest
user-agent: fourth
Disallow: /private/
Allow: /private/open
Disallow: /*.gif$
Disallow: /a%20b
Disallow: /search?q=
Disallow:
Crawl-delay: 10

User-agent: *
Disallow: /images/
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", True), ("/images/a.jpg", True), ("/private/a.jpg", False), ("/private/open.jpg", True),
        ("/x/y.gif", False), ("/x/y.gif?z", True), ("/a b/c", False), ("/a%20b/c", False), ("/search?q=1", False),
        ("/search?p=1", True), ("", True),
    ],
)  # fmt: skip
def test_our_own_group_holds_and_the_longest_rule_decides(path: str, allowed: bool) -> None:
    rules = parse_robots(RULES, "newtest")
    assert rules.allow(f"http://a.b{path}") is allowed


def test_the_group_of_all_holds_for_others_and_none_is_no_rule() -> None:
    assert not parse_robots(RULES, "somebody").allow("http://a.b/images/a.jpg")
    assert parse_robots("User-agent: otherbot\nDisallow: /", "newtest").allow("http://a.b/x")
    assert parse_robots("<html>not found</html>", "newtest").allow("http://a.b/x")
    tied = parse_robots("User-agent: *\nDisallow: /x\nAllow: /x", "newtest")
    assert tied.allow("http://a.b/x")


class Site:
    """A site with a robots.txt; ``asked`` counts requests per path."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text, self.base = status, text, ""
        self.asked: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if request.path == "/robots.txt":
            return web.Response(status=self.status, text=self.text)
        if request.path == "/from":
            raise web.HTTPFound("/private/a.jpg")
        return web.Response(body=made_photo(1), content_type="image/jpeg")


def fetched(site: Site, *, robots: bool) -> dict[str, Download]:
    async def run() -> dict[str, Download]:
        config = DownloadConfig(allow_private=True, retries=0, deadline=5.0, robots=robots, remember=False)
        paths = ["a.jpg", "private/a.jpg", "from"]
        requests = [Request(path, f"{site.base}/{path}") for path in paths]
        async with aclosing(download(requests, config)) as outcomes:
            return {outcome.key: outcome async for outcome in outcomes}

    return asyncio.run(run())


def test_what_robots_txt_keeps_out_is_not_asked_for() -> None:
    with serving(Site(200, "User-agent: *\nDisallow: /private/")) as site:
        found = fetched(site, robots=True)
        assert {key: each.kind for key, each in found.items()} == {
            "a.jpg": None, "private/a.jpg": "robots-txt", "from": "robots-txt",
        }  # fmt: skip
        assert found["private/a.jpg"].permanent
        assert site.asked == {"/robots.txt": 1, "/a.jpg": 1, "/from": 1}
        assert {each.kind for each in fetched(site, robots=False).values()} == {None}


@pytest.mark.parametrize(
    ("status", "kind"), [(404, None), (403, None), (503, "no-robots-txt"), (429, "no-robots-txt")]
)
def test_without_a_robots_txt_all_is_allowed_and_a_site_that_cannot_say_allows_nothing(
    status: int, kind: str | None
) -> None:
    with serving(Site(status, "Disallow: /")) as site:
        found = fetched(site, robots=True)
        assert {each.kind for each in found.values()} == {kind}
        assert not any(each.permanent for each in found.values())
