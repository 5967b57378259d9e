"""What of a requester's page cannot work here, and how the rest is sent."""

from __future__ import annotations

import pytest

from newtest.crowd.requester.elements import categories_of
from newtest.crowd.requester.hosts import AllowedHosts, exact_hosts, host_of
from newtest.crowd.requester.inspection import inspect_page
from newtest.crowd.requester.rewriting import prepared_page, requester_policy
from newtest.crowd.server.questions import with_form
from newtest.crowd.templates import is_requester_page, load_template
from newtest.errors import UsageError

FORM = '<form action="https://www.mturk.com/mturk/externalSubmit"><input type="submit"></form>'
HOSTS = AllowedHosts(("pictures.example",), ("code.example",))


def problems(html: str, allowed: AllowedHosts = HOSTS) -> list[str]:
    return inspect_page(html, allowed, lambda address: address.endswith("/picture/ours"))


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<img src='http://a.example/x.jpg'>", "img loads a picture from a.example (`allow_image_host` a.example)"),
        ("<img src='//a.example:8080/x.jpg'>", "a.example:8080"),
        ("<img srcset='https://a.example/x.jpg 2x, https://b.example/y.jpg 3x'>", "img srcset loads a picture from b"),
        ("<img src='x.jpg'>", "has no host"),
        ("<img src=''>", "no address"),
        ("<img src='${image_url}'>", "placeholder that nobody has filled in"),
        ("<img src='https://pictures.example/{{ task.input }}'>", "placeholder"),
        ("<crowd-image-classifier src='https://a.example/1' categories=\"['x']\">", "from a.example"),
        ("<body background='https://a.example/x.png'>", "body loads a picture"),
        ("<p style=\"background: url('https://a.example/x.png')\">", "p style loads a picture"),
        ("<style>@import url(https://a.example/x.css);</style>", "style loads a style sheet or font from a.example"),
        ("<style>@font-face { src: url(//a.example/x.woff2) }</style>", "`allow_script_host` a.example"),
        ("<script src=https://a.example/x.js></script>", "script loads a script from a.example (`allow_script_host` a"),
        ("<link rel=stylesheet href=https://a.example/x.css>", "link loads a style sheet"),
        ("<script>show('https://a.example/x.jpg?size=1')</script>", "script loads a picture from a.example"),
        ("<script type='text/json'>[\"http://a.example/x.png\"]</script>", "script loads a picture from a.example"),
        ("<script>$.getJSON('https://a.example/list')</script>", "script loads from a.example, and other sites"),
        ("<script>r.open('GET', 'https://a.example/list')</script>", "asked for data here"),
        ("<script>new WebSocket('wss://a.example/s')</script>", "from a.example"),
        ("<iframe src='https://pictures.example/x'></iframe>", "iframe loads from pictures.example"),
        ("<video><source src='https://pictures.example/x.mp4'></video>", "source loads from pictures.example"),
        ("<crowd-bounding-box></crowd-bounding-box>", "<crowd-bounding-box> is not offered here"),
        ("<my-widget></my-widget>", "<my-widget> is not offered"),
        ("<crowd-classifier categories='{{ labels }}'></crowd-classifier>", "categories is not a list"),
        ("<base href='https://pictures.example/'>", "<base> is not followed"),
        ("<input type=file>", "files cannot be sent"),
        ("<form action='https://docs.example/x'><button>go</button></form>", "<form> is sent to docs.example"),
        ("<script>while (1) { fetch('https://a.example/x')</script ><p ", "from a.example"),
        ("<script>while (1) { fetch('https://a.example/never-ends')", "from a.example"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_named(html: str, words: str) -> None:
    assert any(words in sentence for sentence in problems(html + FORM)), problems(html + FORM)


@pytest.mark.parametrize(
    "html",
    [
        "<img src='https://pictures.example/x.jpg'><script src='//code.example/x.js'></script>",
        "<img src='HTTPS://PICTURES.example:443/x.jpg'>",
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>",
        "<img src='http://127.0.0.1:8600/picture/ours'>",
        "<script src='https://s3.amazonaws.com/mturk-public/externalHIT_v1.js'></script>",
        "<script src='https://assets.crowd.aws/crowd-html-elements.js'></script>",
        "<a href='https://en.wikipedia.org/wiki/Goldfish'>read</a><script>window.open('https://a.example')</script>",
        "<script>say('https://a.example/a-page')</script>",
        "<link rel='icon' href='https://a.example/x.png'>",
        "<!-- <img src='https://a.example/x.jpg'> -->",
        "<svg><font-face></font-face></svg>",
        "<noscript><img src='https://a.example/x.gif'></noscript>",
        "<textarea><img src='https://a.example/y.gif'></textarea>",
    ],
)
def test_what_can_work_is_let_through(html: str) -> None:
    assert problems(html + FORM) == []


def test_a_page_that_sends_nothing_is_refused() -> None:
    assert problems("<p>hello</p>") == ["it has neither <form> nor <crowd-form>: nothing could be sent"]
    assert problems("<form><input name=a></form>") == ["its <form> has no button that submits it"]
    assert problems("<script>post('https://www.mturk.com/mturk/externalSubmit')</script>") == []


HOSTILE = (
    "<img srcset='",
    "url( ",
    "{{",
    "['a' ",
    "<!--",
    "window.open(",
    "<crowd-form",
    "@import ",
    '"//',
    "<script ",
)


@pytest.mark.timeout(60)
def test_hostile_pages_are_read_to_their_end() -> None:
    """With html.parser, which reads the rest again for every tag that never ends, each of some took 5 to 15 s."""
    for piece in HOSTILE:
        text = (piece * 65_000)[:65_000]
        for html in (text, f"<style>{text}", f"<script>{text}", f'<crowd-classifier categories="{text}">'):
            assert inspect_page(html, HOSTS, lambda _: False)


@pytest.mark.parametrize(
    "given", ["*.example", "https://a.example", "a.example/x", "", "a b", "*", "'self'", "a.example;x"]
)
def test_only_exact_hosts_are_allowed(given: str) -> None:
    with pytest.raises(UsageError, match=r"--allow-image-host: .* is not an exact host name"):
        exact_hosts("--allow-image-host", [given])


def test_hosts_are_compared_without_standard_ports() -> None:
    assert exact_hosts("x", ["A.example:443", "b.example:8080", "[::1]:9", "a.example"]) == (
        "a.example", "b.example:8080", "[::1]:9",
    )  # fmt: skip
    assert host_of("http://A.example:80/x") == "a.example"
    assert host_of("https://a.example:80/x") == "a.example:80"
    assert host_of("https://user:word@a.example/x") == "a.example"
    assert host_of("http://[::1]:9/x") == "[::1]:9"
    assert host_of("http://[::1/x") is None
    assert host_of("javascript:x") is None


def test_the_policy_opens_for_pages_that_name_the_host_and_no_others() -> None:
    named = requester_policy("<img src='https://pictures.example/x.jpg'>", HOSTS)
    assert "img-src 'self' data: https://pictures.example http://pictures.example;" in named
    assert "code.example" not in named
    assert "example" not in requester_policy("<p>", HOSTS)
    assert "sandbox allow-scripts" in named


def test_the_form_that_mturk_would_get_is_bound() -> None:
    page = (
        "<script>'<form>'</script><form id=search></form><form action='/mturk/externalSubmit' target=x id=b>"
    )
    bound = with_form(page, "/here", {"assignmentId": "3A"})
    assert bound.index('action="/here"') > bound.index("id=search")
    assert bound.count("/here") == 1
    assert "'<form>'" in bound


def test_aws_scripts_are_replaced_by_ours_and_forms_stand_in_crowd_forms() -> None:
    page = "<head></head><script src='https://assets.crowd.aws/crowd-html-elements.js'></script><crowd-form>x</crowd-form>"
    text = prepared_page(page, lambda _: False)
    assert "assets.crowd.aws" not in text
    assert '<crowd-form><form method="post">x</form></crowd-form>' in text
    assert text.index("customElements.define") < text.index("<crowd-form>")
    assert "https://www.mturk.com" not in prepared_page(FORM, lambda _: False)
    ours = "<img src='http://crowd.example/picture/abc'>"
    assert "src='/picture/abc'" in prepared_page(ours, lambda _: True)
    assert "crowd.example" in prepared_page(ours, lambda _: False)


def test_categories_are_read_as_the_elements_read_them() -> None:
    assert categories_of('["a", "b"]') == ["a", "b"]
    assert categories_of("['it\\'s', \"b\"]") == ["it's", "b"]
    assert categories_of("{{ labels }}") == categories_of("[[[") == categories_of("") == []


def test_a_page_for_mturk_is_told_from_a_template() -> None:
    assert is_requester_page(FORM)
    assert not is_requester_page(load_template("select_images"))
    assert not is_requester_page("<p>${class_name}")
