"""Real Chromium: a class is looked over by keyboard and mouse, pairs are judged, nothing comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from needs import missing
from review_pages import WNID, Pages, blocked

from newtest.duplicates import unreviewed_pairs

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        missing("no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser.new_page(viewport={"width": 1200, "height": 800})
        browser.close()


def said(page: Page, text: str) -> None:
    page.locator("#say", has_text=text).wait_for()


def loaded(picture: Locator) -> None:
    """Wait for a picture's bytes. (Playwright's wait_for_function needs an eval that our policy forbids.)"""
    picture.evaluate("image => image.decode()")
    assert picture.evaluate("image => image.naturalWidth") > 300


def test_a_class_by_keyboard_and_mouse(page: Page, pages: Pages) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages.link() + f"class/{WNID}")
    tiles = page.locator(".tile:not(.original)")
    assert tiles.count() == 6
    page.keyboard.press("ArrowRight")  # the first tile
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    chosen = str(tiles.nth(1).get_attribute("data-id"))
    page.keyboard.press("b")
    said(page, "Blocked 1")
    assert blocked(pages.study) == [chosen]
    assert "blocked: wrong class" in str(tiles.nth(1).text_content())
    page.keyboard.press("u")
    said(page, "Undone")
    assert blocked(pages.study) == []
    for place in (2, 3):
        tiles.nth(place).click()
    page.select_option("#reason", "poor quality")
    page.get_by_role("button", name="Block").click()
    said(page, "Blocked 2")
    assert len(blocked(pages.study)) == 2
    page.keyboard.press("d")
    said(page, "Choose images first")
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {pages.url.split("/")[2]}


def test_pairs_by_keyboard(page: Page, pages: Pages) -> None:
    page.goto(pages.link() + "pairs")
    said(page, "1 left")
    for picture in page.locator("#pair img").all():
        loaded(picture)
    assert "dct144-3" in str(page.locator("#distances").text_content())
    page.keyboard.press("d")
    said(page, "No pair waits")
    assert len(unreviewed_pairs(pages.study)) == 0
    page.keyboard.press("u")
    said(page, "1 left")
    assert len(unreviewed_pairs(pages.study)) == 1
    page.keyboard.press("f")
    said(page, "No pair waits")


def test_choosing_several_and_moving_by_keyboard(page: Page, pages: Pages) -> None:
    page.goto(pages.link() + f"class/{WNID}")
    tiles = page.locator(".tile")
    assert page.locator(".tile[tabindex='0']").count() == 1  # Tab reaches the grid once, arrows go on
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("End")
    assert tiles.last.evaluate("tile => tile === document.activeElement")
    page.keyboard.press("Home")
    tiles.nth(2).click(modifiers=["Shift"])
    assert page.locator(".tile[aria-selected=true]").count() == 3
    page.keyboard.press("Escape")
    assert page.locator(".tile[aria-selected=true]").count() == 0


def test_pictures_come_before_they_are_scrolled_to(page: Page, pages: Pages) -> None:
    for number in range(200):
        pages.study.catalog.execute(
            "INSERT INTO images (image_id, source, source_id) VALUES (?, 'folder', ?)",
            (f"z{number}", f"z{number}"),
        )
        pages.study.catalog.execute(
            "INSERT INTO files (image_id, state, sha256, attempts, fetched_at)"
            " SELECT ?, 'ok', sha256, 1, '' FROM files WHERE image_id = ?",
            (f"z{number}", f"p{number % 5}"),
        )
        pages.study.catalog.execute("INSERT INTO candidates VALUES (?, ?)", (f"z{number}", WNID))
    page.goto(pages.link() + f"class/{WNID}")
    last = page.locator(".tile img").last
    assert last.evaluate("image => image.getBoundingClientRect().top") > 5000
    last.evaluate("image => image.complete || new Promise(done => image.addEventListener('load', done))")
    assert last.evaluate("image => image.naturalWidth") > 0 and page.evaluate("scrollY") == 0


def test_a_held_key_judges_one_pair(page: Page, pages: Pages) -> None:
    page.goto(pages.link() + "pairs")
    said(page, "1 left")
    for picture in page.locator("#pair img").all():
        loaded(picture)
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'd', repeat: true, bubbles: true}))"
    )
    page.keyboard.press("s")
    said(page, "1 left")
    assert len(unreviewed_pairs(pages.study)) == 1


def test_the_second_reviewer_is_told_of_the_first(page: Page, pages: Pages) -> None:
    page.goto(pages.link("bob") + "pairs")
    said(page, "1 left")
    for picture in page.locator("#pair img").all():
        loaded(picture)
    pages.do("duplicate", ("image", "p0"), ("image", "mirror"), name="ana")
    page.keyboard.press("f")
    said(page, "ana said duplicate before you: both are kept, yours counts. No pair waits.")
    kept = pages.study.catalog.execute(
        "SELECT reviewer, duplicate FROM verdicts ORDER BY verdict_id"
    ).fetchall()
    assert [tuple(row) for row in kept] == [("ana", 1), ("bob", 0)]
