"""More kinds of questions: attention checks, a choice among classes, pairs; from the plan to the votes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crowd_study import GOLDFISH, TENCH, Crowd, crowd, fill, similar
from test_crowd_server import ask, begin, send

from newtest.catalog import transaction
from newtest.catalog.asked import asked_of
from newtest.catalog.duplicates import Neighbour, Verdict, add_neighbours, add_verdicts, latest_verdicts
from newtest.catalog.publications import control_votes
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.answers import read_answer
from newtest.crowd.hits import PlanConfig
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.people import forget
from newtest.crowd.planning import make_plan, store_plan
from newtest.errors import ConfigError, UsageError
from newtest.study import Study, now

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHECKED = PlanConfig(images=12, positive=2, negative=2, checks=1, assignments=2, examples=0)
WHICH = PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=0, ask="which", options=2)
PAIRS = PlanConfig(images=4, positive=1, negative=1, assignments=3, examples=0, ask="pairs")


def opened(study: Study, server: Crowd, config: PlanConfig) -> list[str]:
    """Plan and publish; gives the HITs' ids."""
    plan = make_plan(study.catalog, config, similar)
    store_plan(study, plan)
    ids = [hit.hit_id for hit in plan.hits]
    publish(study, LocalAnnotator(server.clock), PublishConfig(), ids)
    return ids


def group(server: Crowd, link: str) -> str:
    found = re.search(r'name="group" value="([^"]+)"', ask(link).text)
    assert found
    return found.group(1)


def hit_of(server: Crowd, task: str) -> str:
    row = server.study.catalog.execute(
        "SELECT h.hit_id FROM market_assignments a JOIN market_hits h USING (market_hit_id) WHERE assignment_id = ?",
        (task.rpartition("/")[2],),
    ).fetchone()
    return str(row[0])


def test_an_attention_check_says_what_to_do_gives_no_vote_and_is_counted(study: Study) -> None:
    with crowd(study, published=False) as server:
        ids = opened(study, server, CHECKED)
        assert all(asked_of(study.catalog, hit).roles.count("attention") == 1 for hit in ids)
        link = server.invite("ann")
        for passes in (True, False, False):
            task = begin(server, link, group(server, link))
            assert task is not None
            page = ask(task + "/page").text
            assert page.count("Check: select this image, whatever it shows.") == 1
            (check,) = (
                n
                for n, role in enumerate(asked_of(study.catalog, hit_of(server, task)).roles, 1)
                if role == "attention"
            )
            cell = re.findall(r'<li class="cell" data-n="(\d+)">(.*?)</li>', page, re.DOTALL)[check - 1]
            assert "Check: select" in cell[1]
            assert send(task, check if passes else check % 12 + 1).status == 303
        figures = json.loads(
            ask(f"{server.url}/owner/progress.json", authorization="Bearer owner-token-of-the-tests").text
        )
        assert figures["workers"][0]["checks"] == [1, 3]
        summary = collect(study, LocalAnnotator(server.clock))
        assert (summary.assignments, summary.votes) == (3, 33)  # twelve images, one of which is the check


def test_a_template_that_does_not_show_the_check_is_refused(study: Study, tmp_path: Path) -> None:
    from newtest.crowd.local import planned_template
    from newtest.crowd.templates import load_template

    mine = tmp_path / "mine.html"
    mine.write_text(load_template("select_images").replace("${image.check}", ""))
    with crowd(study, published=False) as server:
        ids = opened(study, server, CHECKED)
    with pytest.raises(ConfigError, match="does not show what an attention check says"):
        planned_template(str(mine), asked_of(study.catalog, ids[0]))
    with pytest.raises(
        ConfigError, match="asks which pairs show one photo, and a planned HIT asks which images"
    ):
        planned_template("near_duplicates", asked_of(study.catalog, ids[0]))


def test_a_choice_among_classes_is_a_vote_on_each(study: Study) -> None:
    with crowd(study, published=False) as server:
        opened(study, server, WHICH)
        link = server.invite("ann")
        assert group(server, link).startswith("which:")
        task = begin(server, link, f"which:{GOLDFISH}")
        assert task is not None
        asked = asked_of(study.catalog, hit_of(server, task))
        assert sorted(asked.options) == sorted([GOLDFISH, TENCH])
        page = ask(task + "/page").text
        assert "Which of these does each image show?" in page
        assert page.count('name="selected"') == 24
        own, other = asked.own, 3 - asked.own
        fields = [
            ("selected", f"1.{own}"),
            ("selected", f"2.{other}"),
            ("selected", f"3.{own}"),
            ("selected", f"3.{other}"),
            ("none", "4"),
            ("unseen", "5"),
            ("selected", "99.1"),
            ("selected", "6.9"),
        ]
        csrf = re.search(r'name="csrf" value="([^"]*)"', page)
        assert csrf
        assert ask(task + "/submit", [("csrf", csrf.group(1))]).status == 400  # nothing said
        assert ask(task + "/submit", [("csrf", csrf.group(1)), *fields]).status == 303
        assert collect(study, LocalAnnotator(server.clock)).votes == 8  # four images, two classes
        votes = {
            (row[0], row[1]): row[2]
            for row in study.catalog.execute("SELECT image_id, wnid, selected FROM votes").fetchall()
        }
        images = [image.image_id for image in asked.images]
        expected = {0: (1, 0), 1: (0, 1), 2: (1, 1), 3: (0, 0)}
        assert votes == {
            (images[n], wnid): value
            for n, values in expected.items()
            for wnid, value in zip((GOLDFISH, TENCH), values, strict=True)
        }


def test_what_was_not_said_of_an_image_is_no_vote() -> None:
    answer = read_answer({"selected": "1.2|2.1|1.2", "none": "3"}, 4, options=2, own=2)
    assert [(one.value, one.chosen) for one in answer.images] == [
        ("yes", (2,)), ("no", (1,)), ("no", ()), ("unseen", ())
    ]  # fmt: skip
    assert answer.explicit
    assert not read_answer({}, 4, options=2, own=1).explicit


@pytest.fixture
def pairs(study: Study) -> list[tuple[str, str]]:
    """Six close pairs, of which a person has judged two."""
    images = sorted(
        row[0] for row in study.catalog.execute("SELECT image_id FROM candidates WHERE wnid = ?", (GOLDFISH,))
    )
    found = list(zip(images[:12:2], images[1:12:2], strict=True))
    with transaction(study.catalog):
        add_neighbours(study.catalog, [Neighbour(a, b, "hash", 3.0) for a, b in found])
        add_verdicts(
            study.catalog, [Verdict(*found[0], True, "ann", now()), Verdict(*found[1], False, "ann", now())]
        )
    return found


def test_pairs_are_planned_shown_and_judged_by_a_majority(study: Study, pairs: list[tuple[str, str]]) -> None:
    with crowd(study, published=False) as server:
        ids = opened(study, server, PAIRS)
        assert len(ids) == 2
        assert make_plan(study.catalog, PAIRS, similar).hits == []  # nothing twice
        for n, name in enumerate(("ann", "bea", "cyd")):
            link = server.invite(name)
            overview = ask(link).text
            assert "Tick every pair that shows the same photo" in overview
            for _ in range(2):
                task = begin(server, link, "pairs")
                assert task is not None
                page = ask(task + "/page").text
                asked = asked_of(study.catalog, hit_of(server, task))
                assert page.count('class="pair"') == len(asked.pairs) == 4
                pictures = re.findall(r'src="(/picture/[^"]+)"', page)
                assert len(pictures) == 8
                assert {ask(server.url + picture).status for picture in pictures} == {200}
                of = {(pair.image_a, pair.image_b): k for k, pair in enumerate(asked.pairs, 1)}
                same = [
                    k
                    for pair, k in of.items()
                    if pair == pairs[0] or pair == pairs[2] or (pair == pairs[3] and n)
                ]
                assert send(task, *same, **({} if same else {"none": "none"})).status == 303
            assert begin(server, link, "pairs") is None
            collect(study, LocalAnnotator(server.clock))
            if n < 2:
                assert len(latest_verdicts(study.catalog)) == 2  # votes are still to come
        found = {
            (r.image_a, r.image_b): (r.duplicate, r.reviewer)
            for r in latest_verdicts(study.catalog).itertuples()
        }
        assert found == {
            pairs[0]: (True, "ann"), pairs[1]: (False, "ann"), pairs[2]: (True, "crowd:3 of 3"),
            pairs[3]: (True, "crowd:2 of 3"), pairs[4]: (False, "crowd:0 of 3"), pairs[5]: (False, "crowd:0 of 3"),
        }  # fmt: skip
        controls = control_votes(study.catalog)
        assert len(controls) == 12
        assert set(controls[controls["control"] == "positive"]["selected"]) == {1}
        # images in pairs do not bar anybody from voting on them
        assert study.catalog.execute("SELECT count(*) FROM market_shown").fetchone()[0] == 0
        assert study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 0
        # a person who is forgotten with their votes takes them out of the majority, a person's word stands
        forget(study, "bea", votes=True)
        with transaction(study.catalog):
            add_verdicts(study.catalog, [Verdict(*pairs[4], True, "dan", now())])
        collect(study, LocalAnnotator(server.clock))
        found = {
            (r.image_a, r.image_b): (r.duplicate, r.reviewer)
            for r in latest_verdicts(study.catalog).itertuples()
        }
        assert found[pairs[4]] == (True, "dan")
        assert found[pairs[2]] == (True, "crowd:3 of 3")
        assert pairs[3] not in found  # one against one: nobody knows


def test_the_owner_sees_pairs(study: Study, pairs: list[tuple[str, str]]) -> None:
    with crowd(study, published=False) as server:
        opened(study, server, PAIRS)
        task = begin(server, server.invite("ann"), "pairs")
        assert task is not None
        send(task, 1)
        hit = study.catalog.execute("SELECT market_hit_id FROM market_assignments").fetchone()[0]
        page = ask(f"{server.url}/owner/hit/{hit}", authorization="Bearer owner-token-of-the-tests").text
        assert page.count('class="sides"') == 4
        assert "known to be same" in page
        assert "1 same, 0 different" in page


def test_plans_of_other_kinds_leave_the_usual_ids_alone(tmp_path: Path) -> None:
    with Study(tmp_path / "s", create=True) as study:
        with transaction(study.catalog):
            fill(study, candidates=16, references=12)
        usual = PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=0)
        ids = {
            config.ask: {hit.hit_id for hit in make_plan(study.catalog, config, similar).hits}
            for config in (usual, WHICH)
        }
        assert not ids["select"] & ids["which"]
        with pytest.raises(UsageError, match=r"no near class to choose from; .*`similar`"):
            make_plan(study.catalog, WHICH, lambda wnid: [])
    with pytest.raises(ConfigError, match="at least 2"):
        PlanConfig(ask="which", options=1)
    with pytest.raises(ConfigError, match="checks"):
        PlanConfig(ask="pairs", checks=1)


@pytest.mark.browser
def test_a_choice_among_classes_in_a_browser_on_a_phone(browser: Browser, study: Study) -> None:
    """Every image must be seen and answered; "none of these" stands alone; what is ticked survives a reload."""
    with crowd(study, published=False) as server:
        opened(study, server, WHICH)
        context = browser.new_context(viewport={"width": 390, "height": 780}, is_mobile=True, has_touch=True)
        page = context.new_page()
        page.goto(server.invite("ann"))
        page.get_by_role("button", name="Start", exact=True).first.click()
        frame = page.frame_locator("iframe")
        boxes = frame.locator(".cell").first.get_by_role("checkbox")
        boxes.nth(0).check()
        boxes.nth(1).check()  # several classes may be in an image
        assert boxes.nth(0).is_checked()
        boxes.nth(2).check()  # none of these
        assert not boxes.nth(0).is_checked()
        assert frame.locator("#send").is_disabled()
        page.reload()
        assert boxes.nth(2).is_checked()
        for n in range(1, 12):
            cell = frame.locator(".cell").nth(n)
            cell.locator("img").scroll_into_view_if_needed()
            cell.get_by_role("checkbox").nth(n % 3).check()
        frame.get_by_text("12 of 12 answered").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        frame.locator("#send").click()
        page.get_by_text("Thank you, your answer is saved.").wait_for()
        assert collect(study, LocalAnnotator(server.clock)).votes == 24
        context.close()
