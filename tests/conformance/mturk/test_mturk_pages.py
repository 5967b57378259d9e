"""Pages made for Mechanical Turk, with the structure of public ones, in a real browser on our server.

The structures (no text or code of them is here):

- ``grid``: https://github.com/modestyachts/ImageNetV2, code/mturk/hit_template.html (the 2018 study itself): AWS's
  externalHIT_v1.js, a style sheet of Bootstrap's host, pictures of another host, a form called mturk_form
- ``json``: https://github.com/jcjohnson/simple-amt, hit_templates/image_sentence.html and simpleamt.html: libraries of
  other hosts, input as JSON, one hidden output, action set from turkSubmitTo
- ``classify``: https://github.com/awsdocs/amazon-sagemaker-developer-guide, doc_source/sms-ui-template-crowd-form.md
- ``words``: doc_source/sms-ui-template-crowd-instructions.md, -crowd-checkbox.md, -crowd-radio-group.md,
  -crowd-text-area.md of the same
- ``checked``: doc_source/sms-ui-template-crowd-classifier.md with native fields and a handler on the form. AWS's
  reference does not describe what answer-format="flatten-objects" sends. Recorded answers do: the page in
  https://github.com/stefantaubert/tts-mos-test-mturk, mturk-template/, and the columns that its
  src/mturk_template_tests/convert_to_json_py/test_convert_to_json.py has of such a page's batch
  (``Answer.0-mos-rating.5``, true or false, with a column for each radio button)
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from crowd_study import Crowd, crowd, picture
from test_crowd_mturk import HIT, client_of, refused

from newtest.crowd.answers import from_xml
from newtest.crowd.questions import to_question_xml
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.study import Study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
EXTERNAL = "https://www.mturk.com/mturk/externalSubmit"
CROWD = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'

GRID = """<!DOCTYPE html><html><head>
<link rel="stylesheet" href="http://{host}/look.css">
<script type='text/javascript' src='https://s3.amazonaws.com/mturk-public/externalHIT_v1.js'></script></head>
<section><h3>Which of these show a goldfish?</h3></section>
<form name='mturk_form' method='post' id='mturk_form' action='{external}'>
<input type='hidden' value='' name='assignmentId' id='assignmentId'/>
<div><input type="checkbox" name="a" value="yes"><img src="http://{host}/1.jpg" alt="a"></div>
<div><input type="checkbox" name="b" value="yes"><img src="http://{host}/2.jpg" alt="b"></div>
<div><input type="checkbox" name="c" value="yes"><img src="http://{host}/gone.jpg" alt="c"></div>
<input type='submit' id='submitButton' value='Submit' /></form>
<script language='Javascript'>turkSetAssignmentID();</script>"""

JSON = """<html><head><script src='//{host}/library.js'></script></head><body><div id="place"></div>
<textarea id="words"></textarea><script type='text/json' id='input'>["http://{host}/1.jpg"]</script>
<form id='results' method='post' action='dummy'><input type='hidden' name='assignmentId' id='assignmentId'/>
<input type='hidden' name='output' id='output'/><input type='submit' id='go' value='Submit' disabled/></form>
<script>
  function parameter(name) { return new URLSearchParams(location.search).get(name); }
  var shown = JSON.parse(document.getElementById('input').innerHTML);
  library.show(document.getElementById('place'), shown[0]);
  if (parameter('assignmentId') !== 'ASSIGNMENT_ID_NOT_AVAILABLE') {
    document.getElementById('results').setAttribute('action', parameter('turkSubmitTo') + '/mturk/externalSubmit');
    document.getElementById('assignmentId').value = parameter('assignmentId');
    document.getElementById('go').disabled = false;
    document.getElementById('go').onclick = function () {
      document.getElementById('output').value = JSON.stringify([{
        url: shown[0], words: document.getElementById('words').value,
        worker: parameter('workerId'), hit: parameter('hitId')
      }]);
    };
  }
</script></body></html>"""

CLASSIFY = """{crowd}
<crowd-form><crowd-image-classifier src="http://{host}/1.jpg" categories="['Fish', 'Bird', 'None of the Above']"
 header="Choose the category" name="category"><short-instructions><p>Look closely.</p></short-instructions>
<full-instructions header="Classification"><p>Take the best label.</p></full-instructions>
</crowd-image-classifier></crowd-form>"""

WORDS = """{crowd}
<crowd-form><crowd-instructions link-text="View instructions" link-type="button">
<short-summary><p>Three words.</p></short-summary><detailed-instructions><p>Be specific.</p></detailed-instructions>
<positive-example><p>Highway</p></positive-example><negative-example><p>Outside</p></negative-example>
</crowd-instructions><p><img src="http://{host}/2.jpg" alt=""></p>
<crowd-input name="tag1" label="Word 1" required></crowd-input>
<crowd-text-area name="why" rows="4" placeholder="Explain"></crowd-text-area>
<div><crowd-checkbox name="attributes" value="blurry"> Blurry </crowd-checkbox></div>
<div><crowd-checkbox name="attributes" value="dim" checked> Dim </crowd-checkbox></div>
<div><crowd-checkbox name="sure">Sure</crowd-checkbox></div>
<crowd-radio-group><crowd-radio-button name="yes" value="yes">Yes</crowd-radio-button>
<crowd-radio-button name="no" value="no">No</crowd-radio-button></crowd-radio-group>
<crowd-button form-action="submit" variant="primary">Send</crowd-button></crowd-form>"""

CHECKED = """{crowd}
<crowd-form answer-format="flatten-objects"><crowd-classifier name="kind" categories='["document", "photo"]'
 header="What is it?"><classification-target><img src="http://{host}/1.jpg" alt=""></classification-target>
<short-instructions>Choose.</short-instructions></crowd-classifier>
<label><input type="radio" name="1-rating" value="4">4</label>
<label><input type="radio" name="1-rating" value="5">5</label>
<input name="note" type="text"><p id="error"></p></crowd-form>
<script>
  document.querySelector('crowd-form').onsubmit = function (event) {
    if (!document.querySelector('crowd-classifier').value.label || !document.querySelector('[name=note]').value) {
      event.preventDefault();
      document.getElementById('error').textContent = 'write a note';
    }
  };
</script>"""

PAGES = {"grid": GRID, "json": JSON, "classify": CLASSIFY, "words": WORDS, "checked": CHECKED}


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        files = {
            "/1.jpg": ("image/jpeg", picture(1, fish=True)),
            "/2.jpg": ("image/jpeg", picture(2, fish=False)),
            "/look.css": ("text/css", b"h3 { color: rgb(1, 2, 3); }"),
            "/library.js": (
                "text/javascript",
                b"var library = {show: (at, url) => { var i = new Image(); i.src = url; at.append(i); }};",
            ),
        }
        kind, body = files.get(self.path, ("text/plain", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Another host: pictures, a script and a style sheet."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def market(study: Study, elsewhere: str) -> Iterator[Crowd]:
    with crowd(study, published=False, allowed=AllowedHosts((elsewhere,), (elsewhere,))) as server:
        server.clock.now = time.time()
        yield server


def text_of(name: str, host: str) -> str:
    filled = PAGES[name].replace("{host}", host).replace("{external}", EXTERNAL)
    return filled.replace("{crowd}", CROWD)


def created(server: Crowd, html: str) -> str:
    client = client_of(server.url)
    hit = client.create_hit(**HIT, LifetimeInSeconds=3600, Question=to_question_xml(html))["HIT"]
    return str(hit["HITId"])


def opened(page: Page, server: Crowd) -> Any:
    page.goto(server.invite("ann"))
    page.get_by_role("button", name="Start").click()
    frame = page.frame_locator("iframe")
    frame.locator("form").wait_for()
    return frame


def answer(page: Page, server: Crowd) -> dict[str, str]:
    page.get_by_text("your answer is saved").wait_for()
    row = server.study.catalog.execute("SELECT answer FROM market_assignments").fetchone()
    return from_xml(row[0])


def test_the_2018_page_shows_its_pictures_and_what_did_not_load_is_not_voted_on(
    browser: Browser, market: Crowd, elsewhere: str
) -> None:
    created(market, text_of("grid", elsewhere))
    page = browser.new_page()
    frame = opened(page, market)
    frame.get_by_text("A picture did not load").wait_for()
    widths = frame.locator("img").evaluate_all("images => images.map((i) => i.naturalWidth)")
    assert widths == [160, 160, 0]
    assert frame.locator("h3").evaluate("e => getComputedStyle(e).color") == "rgb(1, 2, 3)"
    assert frame.locator("[name=c]").is_disabled()
    frame.locator("[name=a]").check()
    frame.locator("#submitButton").click()
    assert answer(page, market) == {"a": "yes", "cannotSee": f'["http://{elsewhere}/gone.jpg"]'}


def test_a_page_that_takes_turkSubmitTo_sends_there(browser: Browser, market: Crowd, elsewhere: str) -> None:
    hit = created(market, text_of("json", elsewhere))
    page = browser.new_page()
    frame = opened(page, market)
    frame.locator("img").wait_for()
    assert frame.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") == 160
    frame.locator("#words").fill("an orange fish")
    frame.locator("#go").click()
    (output,) = json.loads(answer(page, market)["output"])
    (found,) = client_of(market.url).list_assignments_for_hit(HITId=hit)["Assignments"]
    assert output == {
        "url": f"http://{elsewhere}/1.jpg", "words": "an orange fish", "worker": found["WorkerId"], "hit": hit,
    }  # fmt: skip


def test_an_image_classifier_answers_as_on_mturk(browser: Browser, market: Crowd, elsewhere: str) -> None:
    created(market, text_of("classify", elsewhere))
    page = browser.new_page()
    frame = opened(page, market)
    assert frame.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") == 160
    assert "Choose the category" in str(frame.locator("h2").text_content())
    frame.get_by_text("None of the Above").click()
    frame.get_by_role("button", name="Submit").click()
    assert json.loads(answer(page, market)["taskAnswers"]) == [{"category": {"label": "None of the Above"}}]


def test_a_classifier_whose_picture_is_gone_is_sent_without_a_label(
    browser: Browser, market: Crowd, elsewhere: str
) -> None:
    created(market, text_of("classify", elsewhere).replace("/1.jpg", "/gone.jpg"))
    page = browser.new_page()
    frame = opened(page, market)
    frame.get_by_text("to say that you cannot see anything").wait_for()
    frame.get_by_text("Bird").click(force=True)
    frame.get_by_role("button", name="Submit").click()
    found = answer(page, market)
    assert json.loads(found["taskAnswers"]) == [{}]
    assert json.loads(found["cannotSee"]) == [f"http://{elsewhere}/gone.jpg"]


def test_fields_boxes_and_groups_answer_as_on_mturk(browser: Browser, market: Crowd, elsewhere: str) -> None:
    created(market, text_of("words", elsewhere))
    page = browser.new_page()
    frame = opened(page, market)
    frame.get_by_text("View instructions").click()
    assert frame.get_by_text("Be specific.").is_visible()
    frame.get_by_role("button", name="Send").click()  # "Word 1" is required: nothing is sent
    frame.get_by_label("Word 1").fill("fish")
    frame.get_by_label("Explain").fill("it\nswims")
    frame.get_by_text("Blurry").click()
    frame.get_by_text("Yes", exact=True).click()
    frame.get_by_text("No", exact=True).click()
    frame.get_by_role("button", name="Send").click()
    assert json.loads(answer(page, market)["taskAnswers"]) == [
        {
            "tag1": "fish",
            "why": "it\nswims",
            "attributes": {"blurry": True, "dim": True},
            "sure": {"on": False},
            "yes": {"yes": False},
            "no": {"no": True},
        }
    ]


def test_a_pages_own_check_and_flat_answers(browser: Browser, market: Crowd, elsewhere: str) -> None:
    created(market, text_of("checked", elsewhere))
    page = browser.new_page()
    frame = opened(page, market)
    frame.get_by_text("photo").click()
    frame.get_by_role("button", name="Submit").click()
    frame.get_by_text("write a note").wait_for()
    frame.locator("[name=note]").fill("a fish")
    frame.get_by_text("5", exact=True).click()
    frame.get_by_role("button", name="Submit").click()
    assert answer(page, market) == {
        "kind.label": "photo", "1-rating.4": "false", "1-rating.5": "true", "note": "a fish",
    }  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_without_the_owners_word_a_page_is_refused_and_each_host_is_named(
    study: Study, elsewhere: str, name: str
) -> None:
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        client = client_of(server.url)
        question = to_question_xml(text_of(name, elsewhere))
        with pytest.raises(client.exceptions.RequestError, match=f"`allow_image_host` {elsewhere}"):
            client.create_hit(**HIT, LifetimeInSeconds=3600, Question=question)
        assert refused(lambda: client.create_hit(**HIT, LifetimeInSeconds=3600, Question=question))[1] == (
            "AWS.MechanicalTurk.InvalidParameterValue"
        )
        assert client.list_hits()["NumResults"] == 0
