"""Real Chromium: people do whole HITs by mouse, by key and by finger; a page survives reloads and hostile names."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import commands
import pytest
from crowd_study import GOLDFISH, TENCH, TOKEN, Crowd, crowd

from newtest.crowd.annotators import collect
from newtest.crowd.answers import from_xml
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.questions import Wording, to_question_xml
from newtest.crowd.templates import Page as TemplatePage
from newtest.crowd.templates import load_template, render
from newtest.study import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.browser


def start(page: Page, link: str, name: str = "goldfish") -> FrameLocator:
    """Open the list, start a task of a class; gives the frame with the task."""
    page.goto(link)
    page.locator("li", has_text=name).get_by_role("button", name="Start").click()
    frame = page.frame_locator("iframe")
    frame.locator(".cell").first.wait_for()
    return frame


def tick(frame: FrameLocator, *numbers: int) -> None:
    for number in numbers:
        frame.locator(f'.cell[data-n="{number}"] .pick').click()


def ticked(frame: FrameLocator) -> list[str]:
    boxes = frame.locator("[name=selected]").all()
    return [str(box.get_attribute("value")) for box in boxes if box.is_checked()]


def look(frame: FrameLocator) -> None:
    """Every image has been in view: before that nothing can be sent."""
    for cell in frame.locator(".cell").all():
        cell.scroll_into_view_if_needed()
        cell.evaluate("c => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def submit(page: Page, frame: FrameLocator) -> str:
    look(frame)
    frame.locator("#send").click()
    page.locator(".notice").wait_for()
    return str(page.locator(".notice").text_content())


def answers(study: Study) -> list[dict[str, str]]:
    rows = study.catalog.execute(
        "SELECT answer FROM market_assignments WHERE answer IS NOT NULL ORDER BY submitted_at"
    )
    return [from_xml(row[0]) for row in rows]


def test_two_workers_do_whole_hits_and_one_reloads_in_the_middle(browser: Browser, server: Crowd) -> None:
    heard: list[str] = []
    pages = []
    for name in ("ann", "bea"):
        context = browser.new_context(viewport={"width": 1180, "height": 800})
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on(
            "request", lambda r: heard.append(r.url) if not r.url.startswith((server.url, "data:")) else None
        )
        pages.append((page, start(page, server.invite(name))))
    (ann, ann_frame), (bea, bea_frame) = pages
    tick(ann_frame, 1, 4)
    tick(bea_frame, 2)
    ann_frame.locator('.cell[data-n="5"] [name=unseen]').check()
    ann.reload()
    ann_frame.locator(".cell").first.wait_for()
    assert ticked(ann_frame) == ["1", "4"]
    assert ann_frame.locator('.cell[data-n="5"] [name=unseen]').is_checked()
    tick(ann_frame, 4, 7)
    assert "saved" in submit(ann, ann_frame)
    assert "saved" in submit(bea, bea_frame)
    assert sorted(answer["selected"] for answer in answers(server.study)) == ["1|7", "2"]
    assert {answer.get("unseen") for answer in answers(server.study)} == {"5", None}
    for answer in answers(server.study):
        times = json.loads(answer["times"])
        assert len(times) == 12
        assert max(times) > 0
    assert heard == []


def test_nothing_is_sent_before_every_image_has_been_in_view(browser: Browser, server: Crowd) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 420})
    frame = start(page, server.invite("ann"))
    tick(frame, 1)
    assert frame.locator("#send").is_disabled()
    assert not str(frame.locator("#seen").text_content()).startswith("12 of")
    frame.locator(".cell").nth(11).scroll_into_view_if_needed()
    frame.get_by_role("button", name="Enlarge image 1", exact=True).focus()
    for _ in range(3):  # enlarging shows an image too
        frame.locator(".zoom").nth(5).click()
        frame.locator("#close").click()
    look(frame)
    frame.locator("#send:enabled").wait_for()
    assert "12 of 12 seen" in str(frame.locator("#seen").text_content())


def test_an_image_that_was_never_in_view_gives_no_vote(browser: Browser, study: Study) -> None:
    with crowd(study, wording=Wording(must_see=False)) as server:
        page = browser.new_page(viewport={"width": 700, "height": 420})
        frame = start(page, server.invite("ann"))
        tick(frame, 1)
        frame.locator("#send").click()
        page.locator(".notice").wait_for()
        collect(study, LocalAnnotator(server.clock))
    rows = study.catalog.execute(
        "SELECT value, milliseconds = 0, count(*) FROM answers GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    found = {(row[0], row[1]): row[2] for row in rows}
    assert set(found) == {("no", 0), ("unseen", 1), ("yes", 0)}
    votes = study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0]
    assert votes == found["no", 0] + found["yes", 0] < 12


def test_the_next_task_opens_by_itself_until_somebody_pauses(browser: Browser, server: Crowd) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 800})
    link = server.invite("ann")
    frame = start(page, link)
    assert "goldfish" in page.title()
    assert page.locator(".session").text_content() == "0 done, 4 open"
    tick(frame, 1)
    assert "saved" in submit(page, frame)
    page.get_by_text("Next: goldfish. It opens in").wait_for()
    page.locator("iframe").wait_for(timeout=10_000)
    assert page.locator(".session").text_content() == "1 done, 3 open"
    assert not frame.locator("#rules").evaluate("e => e.open")  # read once
    tick(frame, 2)
    assert "saved" in submit(page, frame)
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused.").wait_for()
    assert not page.get_by_role("button", name="Pause").is_visible()
    page.wait_for_timeout(3_500)
    assert page.locator("iframe").count() == 0
    page.reload()
    page.get_by_text("Paused.").wait_for()
    page.get_by_role("button", name="Start now").click()
    page.locator("iframe").wait_for()
    page.set_viewport_size({"width": 390, "height": 780})
    assert page.locator(".session").is_visible()  # on a phone too
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_none_of_these_must_be_said_and_excludes_a_tick(browser: Browser, server: Crowd) -> None:
    page = browser.new_page()
    frame = start(page, server.invite("ann"))
    assert frame.locator("#send").is_disabled()
    tick(frame, 3)
    assert frame.locator("#none").is_disabled()
    tick(frame, 3)
    look(frame)
    frame.locator("#none").check()
    assert "saved" in submit(page, frame)
    assert answers(server.study)[0]["none"] == "none"
    assert "selected" not in answers(server.study)[0]


def test_a_whole_hit_by_keyboard(browser: Browser, server: Crowd) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 800})
    frame = start(page, server.invite("ann"))
    frame.locator("[name=selected]").first.focus()
    keys = (
        "Space",
        "ArrowRight",
        "ArrowRight",
        "Space",
        "ArrowDown",
        "x",
        "ArrowLeft",
        "z",
        "Space",
        "ArrowRight",
        "z",
    )
    for key in keys:
        page.keyboard.press(key)
    columns = frame.locator("#grid").evaluate(
        "g => getComputedStyle(g).gridTemplateColumns.split(' ').length"
    )
    assert ticked(frame) == ["1", "3", str(2 + columns)]
    assert frame.locator(f'.cell[data-n="{3 + columns}"] [name=unseen]').is_checked()
    assert frame.locator("#zoom").is_hidden()


def test_a_lapsed_lease_goes_to_another_and_is_said_to_the_first(browser: Browser, server: Crowd) -> None:
    server.study.catalog.execute("UPDATE market_hits SET max_assignments = 1")
    ann, bea = browser.new_page(), browser.new_page()
    ann_frame = start(ann, server.invite("ann"), "tench")
    assert "left" in str(ann.locator("#left").text_content())
    tick(ann_frame, 1)
    server.clock.now += 1801
    bea_link = server.invite("bea")
    frames = [start(bea, bea_link, "tench")]
    tick(frames[0], 2)
    assert "saved" in submit(bea, frames[0])
    assert "somebody else took it over" in submit(ann, ann_frame)
    assert [answer["selected"] for answer in answers(server.study)] == ["2"]


def test_the_page_fits_a_phone_and_works_by_touch(browser: Browser, server: Crowd) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    page = context.new_page()
    link = server.invite("ann")
    page.goto(link)
    assert page.get_by_role("button", name="Start").first.evaluate("e => e.offsetHeight") == 44  # one line
    frame = start(page, link)
    frame.locator('.cell[data-n="1"] .pick').tap()
    assert ticked(frame) == ["1"]
    assert frame.locator("html").evaluate("e => e.scrollWidth") <= 390
    assert frame.locator(".bar").evaluate("e => e.offsetHeight") <= 80
    for selector in (".foot button", ".foot label", "#send"):
        assert frame.locator(selector).first.evaluate("e => e.offsetHeight") >= 44
    frame.locator(".zoom").nth(1).tap()
    frame.locator("#toggle").tap()
    frame.locator("#close").tap()
    assert "saved" in submit(page, frame)
    assert answers(server.study)[0]["selected"] == "1|2"


def test_an_image_that_does_not_load_is_marked_unseen(browser: Browser, server: Crowd) -> None:
    page = browser.new_page()
    page.route("**/picture/*", lambda route: route.abort())
    frame = start(page, server.invite("ann"))
    frame.locator(".cell.unseen").nth(11).wait_for()
    assert frame.locator("[name=unseen]:checked").count() == 12
    assert "saved" in submit(page, frame)


def test_a_reload_mends_images_that_did_not_load(browser: Browser, server: Crowd) -> None:
    """What the page marked by itself is not kept. Nobody can vote on a picture that did not load."""
    page = browser.new_page()
    page.route("**/picture/*", lambda route: route.abort())
    frame = start(page, server.invite("ann"))
    frame.locator(".cell.unseen").nth(11).wait_for()
    frame.locator('.cell[data-n="4"] [name=unseen]').click()
    tick(frame, 4)
    assert ticked(frame) == []
    assert frame.locator("[name=unseen]:checked").count() == 12
    assert "did not load" in str(frame.locator('.cell[data-n="4"] .foot').text_content())
    page.unroute("**/picture/*")
    page.reload()
    frame.locator(".cell").nth(11).wait_for()
    tick(frame, 4)
    assert ticked(frame) == ["4"]
    assert frame.locator("[name=unseen]:checked").count() == 0


def test_what_has_the_focus_is_not_under_the_bar(browser: Browser, server: Crowd) -> None:
    page = browser.new_page()
    frame = start(page, server.invite("ann"))
    for height in range(500, 1000, 50):
        page.set_viewport_size({"width": 700, "height": height})
        frame.locator("[name=selected]").first.focus()
        bar = frame.locator(".bar").evaluate("e => e.getBoundingClientRect().top")
        for _ in range(3):
            page.keyboard.press("ArrowDown")
            assert frame.locator(":focus").evaluate("e => e.getBoundingClientRect().bottom") <= bar


def test_returning_asks_first(browser: Browser, server: Crowd) -> None:
    page = browser.new_page()
    heard: list[str] = []
    start(page, server.invite("ann"))
    for answer in (False, True):
        page.once(
            "dialog", lambda d, yes=answer: (heard.append(d.message), d.accept() if yes else d.dismiss())
        )
        page.get_by_role("button", name="Return").click()
        states = server.study.catalog.execute("SELECT state FROM market_assignments").fetchone()[0]
        if not answer:
            assert states == "leased"
    page.locator(".notice").wait_for()
    assert "returned the task" in str(page.locator(".notice").text_content())
    assert "not kept" in heard[0]


def test_scripts_in_names_never_run(browser: Browser, study: Study) -> None:
    evil = "<script>top.document.title='owned'</script><img src=x onerror=\"top.document.title='owned'\">"
    study.catalog.execute("UPDATE classes SET lemmas = ?, gloss = ?", (json.dumps([evil]), evil))
    with crowd(study) as server:
        page = browser.new_page()
        page.goto(server.invite("ann"))
        page.get_by_role("button", name="Start").first.click()
        page.frame_locator("iframe").locator(".cell").first.wait_for()
        assert page.title() != "owned"
        assert evil in str(page.frame_locator("iframe").locator("h1").text_content())


def test_a_requesters_page_works_in_its_sandbox_and_survives_a_reload_there(
    browser: Browser, study: Study
) -> None:
    """Our own template, sent through the protocol: it has no storage there, and keeps its ticks in the address."""
    with crowd(study) as server:
        gif = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
        images = [{"number": str(n), "url": gif} for n in range(1, 5)]
        html = render(load_template("select_images"), TemplatePage("otter", blocks={"image": images}))
        study.catalog.execute(
            "INSERT INTO market_hits SELECT '3OWN', hit_type_id, NULL, NULL, ?, NULL, 1, 0, created_at, expires_at, 0"
            " FROM market_hits LIMIT 1",
            (to_question_xml(html),),
        )
        page = browser.new_page()
        frame = start(page, server.invite("ann"), "Select all images")
        frame.locator('.cell[data-n="2"] [name=selected]').check(force=True)
        assert (
            frame.locator("html").evaluate(
                "() => { try { return localStorage.length } catch { return 'none' } }"
            )
            == "none"
        )
        page.frames[1].evaluate("location.reload()")
        page.wait_for_timeout(300)
        frame.locator(".cell").first.wait_for()
        assert ticked(frame) == ["2"]
        assert "saved" in submit(page, frame)
        assert answers(study)[0]["selected"] == "2"


def test_the_owners_page_fills_in_and_its_forms_work(browser: Browser, server: Crowd) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 800})
    page.goto(f"{server.url}/owner/?token={TOKEN}")
    assert "token" not in page.url
    elsewhere = browser.new_page()  # the link in somebody's mail: another site leads here
    elsewhere.goto(server.url.replace("127.0.0.1", "localhost"))
    elsewhere.evaluate(f"location.href = '{server.url}/owner/?token={TOKEN}'")
    elsewhere.get_by_role("heading", name="Progress").wait_for(timeout=5_000)
    page.locator("input[name=labels]").fill("ann, bea")
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Link of ann").input_value()
    worker = browser.new_page()
    frame = start(worker, link)
    tick(frame, 1)
    submit(worker, frame)
    page.locator("#done", has_text=re.compile("^1$")).wait_for()
    assert page.locator("#owed").text_content() == "$0.10"
    page.get_by_role("row", name="ann").get_by_role("button", name="Revoke").click()
    page.get_by_text("revoked 20").wait_for()
    assert worker.goto(link).status == 404  # type: ignore[union-attr]


def newtest(*arguments: str | Path) -> str:
    done = commands.newtest(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_plan_to_sample_with_browsers_in_between(browser: Browser, study: Study, tmp_path: Path) -> None:
    similar = tmp_path / "similar.json"
    similar.write_text(json.dumps({GOLDFISH: [TENCH], TENCH: [GOLDFISH]}))
    at = ("--study", study.root)
    shape = ("--images", "12", "--positive", "2", "--negative", "2", "--assignments", "2", "--examples", "1")
    planned = json.loads(
        newtest("annotate", "plan", *at, *shape, "--similar", similar, "--budget", "5", "--json")
    )
    assert (planned["hits"], planned["assignments"], planned["total"]) == (4, 8, "0.80")
    assert planned["budget_left"] == "4.20"
    assert json.loads(newtest("annotate", "publish", *at, "--json"))["published"] == 4
    with commands.start("annotate", "serve", "--port", "0", *at) as process:
        url = process.shown(r"http://127.0.0.1:\d+")
        links = newtest("annotate", "invite", "ann", "bea", *at, "--url", url.group()).splitlines()
        for link in links:
            page = browser.new_page()
            for group in ("goldfish", "tench", "goldfish", "tench"):
                frame = start(page, link.split("\t")[1], group)
                tick(frame, 1, 2, 3, 4, 5, 6)
                assert "saved" in submit(page, frame)
        process.signal(signal.SIGINT)
        process.wait(20)
    newtest("annotate", "collect", *at)
    counts = study.catalog.execute(
        "SELECT count(*), count(DISTINCT worker), sum(selected) FROM votes"
    ).fetchone()
    assert tuple(counts) == (96, 2, 48)
    frequencies = tmp_path / "frequencies.csv"
    newtest("frequencies", *at, "--out", frequencies)
    assert len(frequencies.read_text().splitlines()) > 32
    newtest(
        "sample", *at, "--strategy", "top-images", "--per-class", "2", "--min-votes", "2", "--name", "a-0"
    )
    members = study.catalog.execute("SELECT count(*) FROM revision_members WHERE revision = 'a-0'").fetchone()
    assert members[0] == 4
    proposals = tmp_path / "proposals.csv"
    newtest("annotate", "pay", *at, "--out", proposals)
    assert proposals.read_text().count("approve") == 8
