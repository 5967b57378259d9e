from __future__ import annotations

from pathlib import Path

import pytest

from newtest.crowd.templates import MAX_QUESTION_BYTES, Page, check_template, load_template, render
from newtest.errors import UsageError
from newtest.web.headers import script_hashes

OURS = ("select_images", "near_duplicates")
EVIL = '"><script>alert(1)</script>'

SMALL = """<p>${class_name}</p>
<form method="post" action="https://www.mturk.com/mturk/externalSubmit"><input type="hidden"
name="assignmentId"> <!-- each image --><img src="${image.url}"><input type="checkbox" name="selected"
value="${image.number}"><!-- end --> <input type="checkbox" name="none"></form>"""


def page(count: int = 2, **values: str) -> Page:
    images = [{"number": str(n + 1), "url": f"/image/{n}"} for n in range(count)]
    pairs = [{"number": str(n + 1), "left_url": f"/l/{n}", "right_url": f"/r/{n}"} for n in range(count)]
    return Page(**{"class_name": "goldfish", **values}, blocks={"image": images, "pair": pairs})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OURS)
def test_our_templates_pass_their_own_check_and_fit_mturk(name: str) -> None:
    template = load_template(name)
    assert check_template(template) == []
    assert len(render(template, page(48)).encode()) < MAX_QUESTION_BYTES - 5_000


def test_every_image_and_name_is_put_in() -> None:
    text = render(
        load_template("select_images"),
        page(48, definition="a small golden fish", encyclopedia_url="https://x.org/g"),
    )
    assert text.count('name="selected"') == text.count('name="unseen"') == 48
    assert 'src="/image/47"' in text
    assert "a small golden fish" in text
    assert 'href="https://x.org/g"' in text
    assert "${" not in text


def test_a_class_of_one_name_is_not_also_called_so() -> None:
    template = load_template("select_images")
    several = render(template, Page("goldfish", ("goldfish", "Carassius auratus")))
    assert "Also called: Carassius auratus<" in several
    for names in ((), ("goldfish",)):
        assert "Also called" not in render(template, Page("goldfish", names))


def test_strangers_text_is_escaped_and_scripts_stay_as_they_are() -> None:
    template = load_template("select_images")
    text = render(template, page(1, class_name=EVIL, definition=EVIL + "${class_name} ${nonsense}"))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "${nonsense}" in text
    assert script_hashes(text) == script_hashes(template)
    assert len(script_hashes(template)) == 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x.org", "  https://x.org"])
def test_only_web_addresses_become_links(url: str) -> None:
    assert 'href=""' in render(load_template("select_images"), page(1, encyclopedia_url=url))


def test_placeholders_of_scripts_are_javascripts_own() -> None:
    assert render("<script>`${x}`</script>${class_name}", page()) == "<script>`${x}`</script>goldfish"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("${class_name}", "fish", "${class_name} is missing"),
        ("${image.url}", "x", "${image.url} is missing"),
        ("<!-- each image -->", "", "the images are missing"),
        ("<p>", "<p>${colour}", "unknown placeholder ${colour}"),
        ("<form", "<p", "form is missing"),
        ("<p>", "<form></form><p>", "2 forms"),
        ('method="post"', "", 'method="post"'),
        ("https://www.mturk.com/mturk/externalSubmit", "/x", "externalSubmit"),
        ('name="none"', "", '"none"'),
        ('name="assignmentId"', "", '"assignmentId"'),
        ("<p>", "<p onclick='x()'>", "event handlers"),
        ("<p>", "<script src='https://evil.example/x.js'></script><p>", "another host"),
        ("<p>", '<link rel="stylesheet" href="//cdn.example/x.css"><p>', "another host"),
        ("<p>", "<p>]]>", "CDATA"),
        ("<p>", "<p>" + "x" * 65_000, "too long"),
        ("<img", "<img alt='" + "x" * 1_300 + "'", "too long"),
    ],
)
def test_what_is_wrong_with_a_template_is_said(old: str, new: str, complaint: str) -> None:
    assert check_template(SMALL) == []
    assert old in SMALL
    assert any(complaint in problem for problem in check_template(SMALL.replace(old, new)))


def test_a_users_own_file_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text(SMALL)
    assert load_template(str(tmp_path / "mine.html")) == SMALL
    with pytest.raises(UsageError, match="select_images"):
        load_template(str(tmp_path / "none.html"))
    (tmp_path / "binary.html").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="readable"):
        load_template(str(tmp_path / "binary.html"))


def test_an_unknown_placeholder_is_refused_when_rendered() -> None:
    with pytest.raises(UsageError, match="colour"):
        render("${colour}", page())
