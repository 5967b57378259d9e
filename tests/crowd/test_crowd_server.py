"""Workers over HTTP, honest and otherwise, against a real server."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import urllib.parse
from dataclasses import dataclass

import pytest
from crowd_study import GOLDFISH, TENCH, TOKEN, Crowd, crowd

from newtest.crowd.annotators import collect
from newtest.crowd.answers import from_xml
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.server.settings import Recruiting
from newtest.study import Study

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str


def ask(url: str, fields: dict[str, str] | list[tuple[str, str]] | None = None, **headers: str) -> Reply:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    path = parts.path + ("?" + parts.query if parts.query else "")
    if fields is None:
        connection.request("GET", path, headers=headers)
    else:
        connection.request("POST", path, urllib.parse.urlencode(fields), {**FORM, **headers})
    response = connection.getresponse()
    reply = Reply(
        response.status,
        {k.lower(): v for k, v in response.getheaders()},
        response.read().decode(errors="replace"),
    )
    connection.close()
    return reply


def hidden(text: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert match, name
    return match.group(1)


def begin(server: Crowd, link: str, group: str = GOLDFISH) -> str | None:
    """Take a HIT; gives the assignment's URL, None when there was none."""
    csrf = re.search(r'name="csrf" value="([^"]*)"', ask(link).text)
    reply = ask(link + "take", {"csrf": csrf.group(1) if csrf else "", "group": group})
    if reply.status == 403:
        return None
    assert reply.status == 303
    where = reply.headers["location"]
    return None if "notice" in where else server.url + where


def send(page_url: str, *selected: int, **more: str) -> Reply:
    page = ask(page_url + "/page").text
    fields = [("selected", str(n)) for n in selected] + list(more.items())
    return ask(page_url + "/submit", [("csrf", hidden(page, "csrf")), *fields])


def states(study: Study) -> list[tuple[str, int]]:
    rows = study.catalog.execute(
        "SELECT state, count(*) FROM market_assignments GROUP BY state ORDER BY state"
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def test_a_worker_takes_a_hit_submits_it_and_is_thanked(server: Crowd) -> None:
    link = server.invite("ann")
    first = ask(link).text
    assert "goldfish" in first
    assert "tench" in first
    task = begin(server, link)
    assert task is not None
    page = ask(task + "/page").text
    assert page.count('name="selected"') == 12
    reply = send(task, 1, 3, times="[" + ",".join(["1500"] * 12) + "]")
    assert reply.headers["location"].endswith("?notice=done")
    assert "your answer is saved" in ask(server.url + reply.headers["location"]).text
    summary = collect(server.study, LocalAnnotator(server.clock))
    assert (summary.assignments, summary.votes, summary.empty) == (1, 12, 0)
    rows = server.study.catalog.execute("SELECT selected, control FROM votes").fetchall()
    assert sum(row[0] for row in rows) == 2
    assert sorted(str(row[1]) for row in rows) == ["None"] * 8 + ["negative"] * 2 + ["positive"] * 2
    times = server.study.catalog.execute("SELECT DISTINCT milliseconds FROM answers").fetchall()
    assert [row[0] for row in times] == [1500]
    assert collect(server.study, LocalAnnotator(server.clock)).assignments == 0


def test_an_image_that_could_not_be_seen_gets_no_vote(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert task is not None
    send(task, 1, 2, unseen="2")
    assert collect(server.study, LocalAnnotator(server.clock)).votes == 11


def test_nothing_ticked_is_not_an_answer_but_none_of_these_is(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert task is not None
    assert send(task).status == 400
    assert states(server.study) == [("leased", 1)]
    assert send(task, none="none").status == 303
    collect(server.study, LocalAnnotator(server.clock))
    assert server.study.catalog.execute("SELECT sum(selected), count(*) FROM votes").fetchone()[:] == (0, 12)


def test_a_double_submit_is_one_answer_and_the_first_holds(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert task is not None
    page = ask(task + "/page").text
    for selected in ("1", "2", "2"):
        reply = ask(task + "/submit", {"csrf": hidden(page, "csrf"), "selected": selected})
        assert reply.headers["location"].endswith("done")
    answers = [row[0] for row in server.study.catalog.execute("SELECT answer FROM market_assignments")]
    assert [from_xml(answer)["selected"] for answer in answers] == ["1"]


def test_no_worker_sees_an_image_of_a_class_twice(server: Crowd) -> None:
    """Two HITs of goldfish share no image here; a third, planned by hand, repeats one and is kept from the
    worker."""
    catalog = server.study.catalog
    link = server.invite("ann")
    for _ in range(2):
        task = begin(server, link)
        assert task is not None
        send(task, 1)
    shared = catalog.execute(
        "SELECT image_id FROM hit_images JOIN hits USING (hit_id) WHERE wnid = ?", (GOLDFISH,)
    )
    image = shared.fetchone()[0]
    catalog.execute("INSERT INTO hits VALUES ('again', ?, 2, '{}', 'now')", (GOLDFISH,))
    catalog.execute("INSERT INTO hit_images VALUES ('again', 1, ?, 'candidate')", (image,))
    catalog.execute(
        "INSERT INTO market_hits SELECT '3AGAIN', hit_type_id, 'again', template_id, NULL, NULL, 2, 0, created_at,"
        " expires_at, 0 FROM market_hits LIMIT 1"
    )
    shown = catalog.execute("SELECT count(*) FROM market_shown").fetchone()
    assert "goldfish" not in ask(link).text
    assert begin(server, link) is None
    assert (
        catalog.execute("SELECT count(*) FROM market_shown").fetchone() == shown
    )  # nothing more was given out
    assert begin(server, server.invite("bea")) is not None


def test_a_lease_that_ends_comes_back_and_a_late_answer_is_kept_only_while_the_place_is_free(
    server: Crowd,
) -> None:
    tasks = [begin(server, server.invite(name), TENCH) for name in ("ann", "bea")]
    assert all(tasks)
    server.clock.now += 1801
    assert send(str(tasks[0]), 1).headers["location"].endswith("done")
    newcomer = begin(server, server.invite("cyd"), TENCH)
    assert newcomer is not None
    assert states(server.study) == [("lapsed", 1), ("leased", 1), ("submitted", 1)]
    assert send(str(tasks[1]), 1).headers["location"].endswith("late")
    assert send(newcomer, 2).headers["location"].endswith("done")
    late = ask(server.url + urllib.parse.urlsplit(str(tasks[1])).path.rpartition("/")[0] + "/?notice=late")
    assert "run out" in late.text


def test_who_takes_up_a_task_again_after_the_lease_ended_finds_it_as_it_was(server: Crowd) -> None:
    """It is the same assignment, so its ticks are in the browser, and an old tab's answer is not a late one."""
    server.study.catalog.execute("UPDATE market_hits SET max_assignments = 1")
    link = server.invite("ann")
    task = begin(server, link, TENCH)
    server.clock.now += 1801
    taken = [begin(server, link, TENCH), begin(server, link, TENCH)]
    assert task in taken
    assert states(server.study) == [("leased", 2)]
    assert send(str(task), 1).headers["location"].endswith("done")
    assert states(server.study) == [("leased", 1), ("submitted", 1)]


def test_a_returned_hit_can_be_taken_again_by_anybody(server: Crowd) -> None:
    link = server.invite("ann")
    task = begin(server, link)
    assert task is not None
    frame = ask(task).text
    assert ask(task + "/return", {"csrf": hidden(frame, "csrf")}).headers["location"].endswith("returned")
    assert states(server.study) == [("returned", 1)]
    again = begin(server, link)
    assert again not in (None, task)
    assert send(task, 1).headers["location"].endswith("late")


def test_there_are_never_more_assignments_than_a_hit_has(study: Study) -> None:
    """Forty people run for twelve places at once; nobody gets one that another has."""
    with crowd(study) as server:
        wanted = study.catalog.execute("SELECT sum(max_assignments) FROM market_hits").fetchone()[0]
        links = [server.invite(f"worker {n}") for n in range(40)]

        def work(link: str) -> int:
            done = 0
            for group in (GOLDFISH, TENCH, GOLDFISH, TENCH):
                if (task := begin(server, link, group)) and send(task, 1).headers["location"].endswith(
                    "done"
                ):
                    done += 1
            return done

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            done = sum(pool.map(work, links))
        assert done == wanted
        rows = study.catalog.execute("SELECT taken, max_assignments FROM market_hits").fetchall()
        assert all(row[0] == row[1] for row in rows)
        summary = collect(study, LocalAnnotator(server.clock))
        assert summary.assignments == wanted
        pairs = study.catalog.execute(
            "SELECT count(*) FROM (SELECT 1 FROM assignments GROUP BY hit_id, worker)"
        )
        assert pairs.fetchone()[0] == wanted


@pytest.mark.parametrize(
    "path",
    [
        "/work/x/",
        "/work/" + "a" * 46 + "/",
        "/work/../owner/",
        "/work/%00/",
        "/picture/abc",
        "/picture/..%2f..%2fstudy.key",
        "/picture/" + "A" * 107,
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/owner",
        "/study.sqlite",
    ],
)
def test_guessed_links_and_paths_lead_nowhere(server: Crowd, path: str) -> None:
    assert ask(server.url + path).status in (307, 401, 404)


def test_one_workers_task_is_not_anothers(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert task is not None
    other = server.invite("bea") + task.rpartition("/")[2]
    assert ask(other).status == 404
    assert ask(other + "/page").status == 404
    csrf = hidden(ask(task + "/page").text, "csrf")
    assert ask(other + "/submit", {"csrf": csrf, "selected": "1"}).status == 403
    assert ask(task + "/submit", {"csrf": "A" * 22, "selected": "1"}).status == 403
    assert ask(task + "/submit", {"selected": "1"}).status == 403
    assert states(server.study) == [("leased", 1)]


def test_a_revoked_link_is_dead_at_once_and_a_new_one_is_the_same_worker(server: Crowd) -> None:
    link = server.invite("ann")
    assert begin(server, link) is not None
    assert server.invite("ann") == link
    server.study.catalog.execute("UPDATE worker_links SET revoked_at = 'now'")
    assert ask(link).status == 404
    fresh = server.invite("ann")
    assert fresh != link
    assert "Go on" in ask(fresh).text


def test_pictures_are_opaque_small_and_alike(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert task is not None
    urls = re.findall(r'src="(/picture/[^"]+)"', ask(task + "/page").text)
    assert len(set(urls)) == 12
    assert len({len(url) for url in urls}) == 1
    replies = [ask(server.url + url) for url in urls]
    assert {reply.status for reply in replies} == {200}
    assert len({tuple(sorted(set(reply.headers) - {"content-length", "date"})) for reply in replies}) == 1
    assert {reply.headers["content-length"] for reply in replies} == {"65536"}
    assert "etag" not in replies[0].headers
    assert "last-modified" not in replies[0].headers


def test_a_revoked_workers_picture_addresses_stop_working(server: Crowd) -> None:
    shown = {}
    for name in ("ann", "bea"):
        task = begin(server, server.invite(name))
        shown[name] = re.findall(r'src="(/picture/[^"]+)"', ask(f"{task}/page").text)[0]
    assert shown["ann"] != shown["bea"]
    server.study.catalog.execute("UPDATE worker_links SET revoked_at = 'now' WHERE label = 'ann'")
    assert ask(server.url + shown["ann"]).status == 404
    assert ask(server.url + shown["bea"]).status == 200


def test_a_class_name_with_a_script_stays_text(study: Study) -> None:
    evil = '["<script>alert(1)</script>"]'
    study.catalog.execute("UPDATE classes SET lemmas = ?, gloss = '\"><img src=x onerror=alert(1)>'", (evil,))
    with crowd(study) as server:
        link = server.invite("<b>ann</b>")
        for text in (ask(link).text, ask(str(begin(server, link)) + "/page").text):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
        owner = ask(server.url + "/owner/", authorization=f"Bearer {TOKEN}").text
        assert "<b>ann" not in owner


def test_pages_load_nothing_from_elsewhere(server: Crowd) -> None:
    link = server.invite("ann")
    task = begin(server, link)
    page = ask(f"{task}/page")
    assert "'sha256-" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"].split("style-src")[0]
    for reply in (ask(link), page, ask(str(task))):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert not re.search(r'(?:src|href|action)="https?://(?!en\.wikipedia)', reply.text)


def test_an_oversized_form_is_refused(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    assert ask(f"{task}/submit", {"csrf": "x", "selected": "1" * 1_000_001}).status == 413


def test_people_from_a_recruiting_site_come_and_leave_with_the_code(study: Study) -> None:
    with crowd(study, recruiting=Recruiting("study1", "CODE42", hits=1)) as server:
        arrival = f"{server.url}/join?PROLIFIC_PID=5f00&STUDY_ID=study1&SESSION_ID=s1"
        reply = ask(arrival)
        assert reply.status == 303
        link = server.url + reply.headers["location"]
        assert ask(arrival).headers["location"] == reply.headers["location"]
        task = begin(server, link)
        assert task is not None
        send(task, 1)
        assert "CODE42" in ask(link).text
        assert "app.prolific.com/submissions/complete?cc=CODE42" in ask(link).text
        for bad in ("STUDY_ID=other&SESSION_ID=s", "STUDY_ID=study1", "SESSION_ID=s"):
            assert ask(f"{server.url}/join?PROLIFIC_PID=x&{bad}").status == 403
        assert ask(f"{server.url}/join?STUDY_ID=study1&SESSION_ID=s1").status == 400
        stored = "".join(str(tuple(row)) for row in study.catalog.execute("SELECT * FROM worker_links"))
        assert "5f00" not in stored
        study.catalog.execute("UPDATE worker_links SET revoked_at = 'now'")
        assert ask(arrival).status == 403


def test_people_from_a_recruiting_site_leave_when_nothing_is_left(study: Study) -> None:
    """Who has done what there was gets the code; who came too late is told, and is not left waiting for a code."""
    with crowd(study, recruiting=Recruiting("study1", "CODE42", hits=9)) as server:
        arrivals = [f"{server.url}/join?PROLIFIC_PID={n}&STUDY_ID=study1&SESSION_ID=s" for n in range(3)]
        links = [server.url + ask(arrival).headers["location"] for arrival in arrivals]
        for link in links[:2]:
            for group in (GOLDFISH, GOLDFISH, TENCH, TENCH):
                assert "CODE42" not in ask(link).text
                send(str(begin(server, link, group)), 1)
        assert "CODE42" in ask(links[0]).text
        assert "there are no more for you" in ask(links[0]).text
        assert "return your place" in ask(links[2]).text
        assert "CODE42" not in ask(links[2]).text


def test_who_holds_as_many_tasks_as_allowed_is_told_so(server: Crowd) -> None:
    link = server.invite("ann")
    csrf = hidden(ask(link).text, "csrf")
    for group in (GOLDFISH, GOLDFISH, TENCH):
        assert begin(server, link, group) is not None
    reply = ask(link + "take", {"csrf": csrf, "group": TENCH})
    assert "as many as one may" in ask(server.url + reply.headers["location"]).text


def test_a_fault_of_ours_is_a_page_that_says_what_to_do(server: Crowd) -> None:
    task = begin(server, server.invite("ann"))
    server.study.catalog.execute("ALTER TABLE market_hit_types RENAME TO elsewhere")
    reply = ask(str(task))
    assert reply.status == 500
    assert "not your fault" in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_a_worker_with_a_second_link_is_one_row(server: Crowd) -> None:
    send(str(begin(server, server.invite("ann"))), 1)
    server.study.catalog.execute("UPDATE worker_links SET revoked_at = '2026-01-01T00:00:00Z'")
    server.invite("ann")
    figures = json.loads(ask(server.url + "/owner/progress.json", authorization=f"Bearer {TOKEN}").text)
    assert [(row["name"], row["done"], row["revoked"]) for row in figures["workers"]] == [("ann", 1, False)]


def test_without_recruiting_nobody_joins(server: Crowd) -> None:
    assert ask(f"{server.url}/join?PROLIFIC_PID=x&STUDY_ID=y&SESSION_ID=z").status == 403


def test_the_owner_sees_progress_and_poor_workers_and_makes_and_revokes_links(server: Crowd) -> None:
    owner = {"authorization": f"Bearer {TOKEN}"}
    assert ask(server.url + "/owner/").status == 401
    page = ask(server.url + "/owner/", **owner)
    csrf = hidden(page.text, "csrf")
    assert ask(server.url + "/owner/invite", {"csrf": "x", "labels": "eve"}, **owner).status == 403
    assert ask(server.url + "/owner/invite", {"csrf": csrf, "labels": "ann, bea"}, **owner).status == 303
    assert ask(server.url + "/owner/invite", {"csrf": csrf, "labels": "x" * 100}, **owner).status == 400
    page = ask(server.url + "/owner/", **owner)
    links = re.findall(r'value="(http[^"]+/work/[^"]+)"', page.text)
    assert len(links) == 2
    for group in (GOLDFISH, GOLDFISH, TENCH, TENCH):
        send(str(begin(server, links[0], group)), none="none")
    figures = ask(server.url + "/owner/progress.json", **owner).text
    assert '"submitted":4' in figures
    assert '"owed":0.4' in figures
    assert '"controls":16' in figures
    assert '"flagged":true' in figures
    revoke = {"csrf": csrf, "link": hidden(page.text, "link")}
    assert ask(server.url + "/owner/revoke", revoke, **owner).status == 303
    assert ask(links[0]).status == 404


def test_a_form_without_its_token_changes_nothing(server: Crowd) -> None:
    """Nor with the token of another form, or of another person's."""
    link, other = server.invite("ann"), server.invite("bea")
    task = begin(server, link)
    assert task is not None
    page, strange = ask(task + "/page").text, ask(other).text
    before = states(server.study)
    for csrf in ("", "x" * 22, hidden(strange, "csrf"), hidden(ask(link).text, "csrf")):
        assert ask(task + "/submit", {"csrf": csrf, "selected": "1"}).status == 403
        assert ask(task + "/return", {"csrf": csrf}).status == 403
    assert ask(other + "take", {"csrf": hidden(page, "csrf"), "group": TENCH}).status == 403
    assert states(server.study) == before


def test_wrong_methods_are_refused(server: Crowd) -> None:
    """And the Origin header of another page opens nothing and lets nobody read."""
    link = server.invite("ann")
    host = urllib.parse.urlsplit(server.url).netloc
    for path in (urllib.parse.urlsplit(link).path, urllib.parse.urlsplit(link).path + "take", "/owner/"):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT"):
            connection = http.client.HTTPConnection(host, timeout=30)
            connection.request(method, path, headers={"Origin": "https://elsewhere.org"})
            response = connection.getresponse()
            assert response.status in (400, 401, 403, 404, 405), (method, path)
            assert response.getheader("Access-Control-Allow-Origin") is None
            connection.close()
    assert ask(link, Origin="https://elsewhere.org").headers.get("access-control-allow-origin") is None
    assert ask(server.url + "/owner/", Origin=server.url).status == 401
