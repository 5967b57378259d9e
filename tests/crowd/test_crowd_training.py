"""The practice before the first task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crowd_study import TOKEN, crowd, picture
from test_crowd_server import ask, begin, hidden, send

from newtest.crowd.languages import language
from newtest.crowd.questions import Wording
from newtest.crowd.training import Training, read_training
from newtest.errors import UsageError
from newtest.study import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TEXT = """
[[image]]
file = "fish.jpg"
asks = "goldfish"
shows = true
why = "It is <b>orange</b>."

[[image]]
file = "grey.jpg"
asks = "goldfish"
shows = false
why = "A tench is grey."
"""


@pytest.fixture
def training(tmp_path: Path) -> Training:
    (tmp_path / "fish.jpg").write_bytes(picture(1, fish=True))
    (tmp_path / "grey.jpg").write_bytes(picture(2, fish=False))
    file = tmp_path / "practice.toml"
    file.write_text(TEXT)
    return read_training(file)


def test_everybody_practises_once_sees_the_reasons_and_then_works(study: Study, training: Training) -> None:
    with crowd(study, training=training) as server:
        link = server.invite("ann")
        first = ask(link)
        assert (first.status, first.headers["location"]) == (303, link.removeprefix(server.url) + "training")
        page = ask(link + "training").text
        assert page.count('type="radio"') == 4
        assert page.count("required") == 4
        assert "It is" not in page  # the reasons come with the answers
        pictures = re.findall(r'<img src="([^"]+)"', page)
        assert [ask(server.url + one).headers["content-type"] for one in pictures] == ["image/jpeg"] * 2
        assert ask(link + "training/3.jpg").status == 404
        csrf = hidden(page, "csrf")
        assert ask(link + "training", {"csrf": "x", "image1": "yes"}).status == 403
        assert ask(link).status == 303
        told = ask(link + "training", {"csrf": csrf, "image1": "yes", "image2": "yes"}).text
        assert "1 of 2 right" in told
        assert "It is &lt;b&gt;orange&lt;/b&gt;." in told
        assert "It does not show this: goldfish." in told
        assert "A tench is grey." in told
        ask(link + "training", {"csrf": csrf, "image1": "yes", "image2": "no"})  # again, for practice
        task = begin(server, link)
        assert task is not None
        send(task, 1)
        worker = study.worker_key("invited:ann")
        owner = ask(f"{server.url}/owner/worker/{worker}", authorization=f"Bearer {TOKEN}").text
        assert "Practice: 1 of 2 right" in owner
        assert study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 0


def test_a_changed_practice_is_done_again_and_none_is_asked_where_there_is_none(
    study: Study, training: Training, tmp_path: Path
) -> None:
    (tmp_path / "practice.toml").write_text(TEXT.replace('grey."', 'grey, always."'))
    changed = read_training(tmp_path / "practice.toml")
    assert changed.version != training.version
    with crowd(study) as server:
        link = server.invite("ann")
        assert ask(link).status == 200
        assert ask(link + "training").status == 404


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a list of"),
        ("image = 3", "a list of"),
        ("[[image", "not a readable TOML"),
        ("[other]\nx = 1", "a list of"),
        (TEXT.replace("shows = true", 'shows = "yes"'), "image 1: 'shows' must be true or false"),
        (TEXT.replace('why = "A tench is grey."', ""), "image 2: 'why' must be a text"),
        (TEXT.replace("grey.jpg", "none.jpg"), "image 2: none.jpg cannot be shown"),
        (TEXT.replace("grey.jpg", "practice.toml"), "image 2: practice.toml cannot be shown"),
        (TEXT + "colour = 1\n", "unknown key 'colour'"),
        (TEXT * 11, "has 22"),
    ],
)
def test_a_file_that_is_no_practice_is_refused_with_the_reason(
    training: Training, tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "practice.toml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(why)):
        read_training(tmp_path / "practice.toml")


@pytest.mark.browser
def test_the_practice_on_a_phone_from_right_to_left(
    browser: Browser, study: Study, training: Training
) -> None:
    with crowd(study, training=training, wording=Wording("ar")) as server:
        context = browser.new_context(viewport={"width": 390, "height": 780}, is_mobile=True, has_touch=True)
        page = context.new_page()
        page.goto(server.invite("ann"))
        assert page.url.endswith("/training")
        assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
        page.locator("form button").click()  # nothing answered: the browser asks for it
        assert page.locator(".notice").count() == 0
        for number in (1, 2):
            page.locator(f"input[name=image{number}][value=yes]").check()
        page.keyboard.press("Enter")
        page.locator(".notice").wait_for()
        assert page.locator(".notice").text_content() == "1 من 2 صحيحة"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("link", name=language("ar").say("training_begin")).click()
        page.locator(".tasks").wait_for()
        context.close()
