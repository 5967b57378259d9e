"""People from a recruiting site: three of them, of whom one is rejected and one is forgotten; consent and codes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from crowd_study import GOLDFISH, TENCH, Crowd, crowd
from test_crowd_cli import run
from test_crowd_server import ask, begin, send

from newtest.catalog.publications import control_votes
from newtest.catalog.quality import vote_table
from newtest.crowd.annotators import collect
from newtest.crowd.consent import consent_version, to_html
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.pay import propose
from newtest.crowd.people import forget, people, recruited_key
from newtest.crowd.prolific import decisions, write_decisions
from newtest.crowd.server.settings import Recruiting
from newtest.errors import UsageError
from newtest.study import Study

SITE = Recruiting("study1", "DONE1", hits=4, no_consent_code="NO1", failed_code="FAIL1", late_code="LATE1")
PIDS = [f"5f00{n:020x}" for n in range(3)]


def arrival(server: Crowd, n: int, **other: str) -> str:
    ids = {"PROLIFIC_PID": PIDS[n], "STUDY_ID": "study1", "SESSION_ID": f"session{n}", **other}
    return f"{server.url}/join?" + "&".join(f"{name}={value}" for name, value in ids.items())


def works(server: Crowd, link: str, ticks: str) -> None:
    """Four HITs: everything right on the controls, or everything ticked."""
    catalog = server.study.catalog
    for group in (GOLDFISH, GOLDFISH, TENCH, TENCH):
        task = str(begin(server, link, group))
        assignment = task.rsplit("/", 1)[-1]
        roles = catalog.execute(
            "SELECT i.position, i.role FROM market_assignments a JOIN market_hits m USING (market_hit_id)"
            " JOIN hit_images i ON i.hit_id = m.hit_id WHERE a.assignment_id = ? AND i.role <> 'example'",
            (assignment,),
        ).fetchall()
        wrong = [row[0] for row in roles if row[1] == "negative"]
        right = [row[0] for row in roles if row[1] != "negative"]
        send(task, *(right if ticks == "right" else wrong))


def test_three_people_one_is_rejected_and_one_is_forgotten(study: Study, tmp_path: Path) -> None:
    with crowd(study, recruiting=SITE) as server:
        links = [server.url + ask(arrival(server, n)).headers["location"] for n in range(2)]
        works(server, links[0], "right")
        works(server, links[1], "wrong")
        assert "DONE1" in ask(links[0]).text
        assert "FAIL1" in ask(links[1]).text
        late = server.url + ask(arrival(server, 2)).headers["location"]
        assert "LATE1" in ask(late).text
        collect(study, LocalAnnotator(server.clock))

    # from a submission to the person and back, and nothing of it beside the votes or in clear
    known = people(study)
    assert {(one.person, one.submission) for one in known} == {(PIDS[n], f"session{n}") for n in range(3)}
    assert all(one.worker == recruited_key(study, one.person) for one in known)
    for name in ("study.sqlite", "people.sqlite"):
        files = [study.root / name, study.root / f"{name}-wal"]
        stored = b"".join(file.read_bytes() for file in files if file.exists())
        assert not any(pid.encode() in stored for pid in [*PIDS, "session0"])
    assert (study.root / "people.sqlite").stat().st_mode & 0o077 == 0

    proposals = propose(study, control_votes(study.catalog)).assign(bonus=["0.25"] * 8)
    found = decisions(study, proposals)
    assert found.approve == ("session0",)
    assert list(found.reject) == ["session1"]
    assert "controls: selected" in found.reject["session1"]
    assert len(found.reject["session1"]) >= 100
    write_decisions(found, tmp_path / "pay")
    assert (tmp_path / "pay/approve.csv").read_text() == "session0\n"
    assert (tmp_path / "pay/reject.csv").read_text().startswith("submission_id,reason\nsession1,")
    assert (tmp_path / "pay/bonus.csv").read_text() == f"{PIDS[0]},1.00\n{PIDS[1]},1.00\n"
    with pytest.raises(UsageError, match="'much' is not an amount"):
        decisions(study, proposals.assign(bonus="much"))

    # forgotten: no name, no way back, the votes go when that is asked
    before = (study.root / "people.sqlite").read_bytes()
    sealed = [row.encode() for row in _sealed(study)]
    assert all(one in before for one in sealed)
    assert json.loads(run("forget", PIDS[1], "--study", study.root, "--json")) == {
        "submissions": 1, "links": 1, "votes": 0
    }  # fmt: skip
    assert PIDS[1] not in {one.person for one in people(study)}
    left = (study.root / "people.sqlite").read_bytes()
    assert sum(one in left for one in sealed) == 2
    votes = study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0]
    gone = forget(study, PIDS[0], votes=True)
    assert (gone.submissions, gone.votes) == (1, votes // 2)
    assert decisions(study, proposals).unknown == 2
    with crowd(study, published=False, recruiting=SITE) as server:
        assert collect(study, LocalAnnotator(server.clock)).unread == ()
        assert ask(arrival(server, 1)).status == 403  # the link was revoked with the person
    assert study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == votes // 2
    with pytest.raises(UsageError, match="nobody is known here as 'stranger'"):
        forget(study, "stranger")


def _sealed(study: Study) -> list[str]:
    from newtest.catalog.people import arrivals, open_people

    with open_people(study.root) as connection:
        return [one.sealed for one in arrivals(connection)]


@pytest.mark.parametrize("name", ["PROLIFIC_PID", "SESSION_ID"])
def test_unfilled_placeholders_are_refused(study: Study, name: str) -> None:
    with crowd(study, recruiting=SITE) as server:
        reply = ask(arrival(server, 0, **{name: "{{%25" + name + "%25}}"}))
        assert reply.status == 400
        assert f"still has the placeholder {{{{%{name}%}}}} where {name} belongs" in reply.text
        assert people(study) == []
        assert study.catalog.execute("SELECT count(*) FROM worker_links").fetchone()[0] == 0


TEXT = """# Welcome

We look at **photos**. <script>alert(1)</script>

- It takes no skill.
- Write to https://example.org/study.
"""


def test_consent_is_asked_once_and_its_version_stands_with_the_votes(study: Study) -> None:
    site = replace(SITE, introduction=TEXT, minutes=5, pay="£9.00 per hour")
    with crowd(study, recruiting=site) as server:
        page = ask(arrival(server, 0))
        assert page.status == 200
        for part in (
            "<h2>Welcome</h2>",
            "<strong>photos</strong>",
            "<li>It takes no skill.</li>",
            "&lt;script&gt;",
        ):
            assert part in page.text
        for part in (
            "Tasks: 4",
            "About 5 minutes",
            "Pay: £9.00 per hour",
            'href="https://example.org/study"',
        ):
            assert part in page.text
        assert PIDS[0] not in page.text
        fields = dict(re.findall(r'name="(arrival|version)" value="([^"]*)"', page.text))
        refused = ask(server.url + "/join", {**fields, "consent": "no"})
        assert "NO1" in refused.text
        assert people(study) == []
        assert study.catalog.execute("SELECT count(*) FROM worker_links").fetchone()[0] == 0
        assert ask(server.url + "/join", {**fields, "arrival": "x", "consent": "yes"}).status == 403
        assert ask(server.url + "/join", {**fields, "version": "other", "consent": "yes"}).status == 403
        entered = ask(server.url + "/join", {**fields, "consent": "yes"})
        link = server.url + entered.headers["location"]
        assert ask(arrival(server, 0)).headers["location"] == entered.headers["location"]
        send(str(begin(server, link)), 1)
        collect(study, LocalAnnotator(server.clock))
    assert set(vote_table(study.catalog)["consent"]) == {consent_version(TEXT)}
    assert study.catalog.execute("SELECT text FROM consents").fetchone()[0] == TEXT


def test_markdown_never_becomes_html_of_its_own() -> None:
    hostile = '"><img src=x onerror=alert(1)> [x](javascript:alert(1)) **<b>**\n\n- <i>\n'
    made = to_html(hostile)
    assert set(re.findall(r"<(/?[a-z0-9]+)", made)) <= {
        "p",
        "/p",
        "strong",
        "/strong",
        "ul",
        "/ul",
        "li",
        "/li",
    }
