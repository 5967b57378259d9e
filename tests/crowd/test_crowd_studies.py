"""Several studies on one server: one page for the owner, one queue per person, no image twice for anybody."""

from __future__ import annotations

import concurrent.futures
import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from commands import newtest, start
from crowd_study import GOLDFISH, TENCH, TOKEN, Clock, Crowd, fill, plan
from test_crowd_people import PIDS, SITE, arrival
from test_crowd_server import Reply, ask, begin, send

from newtest.catalog import transaction, workers
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.links import invite
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.people import forget, people
from newtest.crowd.server.app import crowd_app, crowd_keys
from newtest.crowd.server.settings import ServerConfig
from newtest.study import Study
from newtest.web.serving import serving

OWNER = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Two(Crowd):
    """A server of two studies; ``study`` is the first."""

    other: Study = None  # type: ignore[assignment]


@contextmanager
def two(tmp_path: Path, **config: object) -> Iterator[Two]:
    """Studies of the same images: `cats` and `dogs`, as two owners of one set would make them."""
    clock = Clock()
    with ExitStack() as stack:
        studies = [stack.enter_context(Study(tmp_path / name, create=True)) for name in ("cats", "dogs")]
        for study in studies:
            with transaction(study.catalog):
                fill(study, candidates=16, references=12)
            plan(study)
            hits = [row[0] for row in study.catalog.execute("SELECT hit_id FROM hits ORDER BY hit_id")]
            publish(study, LocalAnnotator(clock), PublishConfig(), hits)
        settings = ServerConfig(access_token=TOKEN, clock=clock, **config)  # type: ignore[arg-type]
        url = stack.enter_context(serving(crowd_app(studies[0], settings, beside=studies[1:])))
        yield Two(studies[0], url, clock, other=studies[1])


def owner(server: Crowd, path: str = "", fields: dict[str, str] | None = None) -> Reply:
    return ask(f"{server.url}/owner/{path}", fields, **OWNER)


def change(server: Crowd, what: str, **fields: str) -> Reply:
    csrf = re.search(r'name="csrf" value="([^"]*)"', owner(server).text)
    assert csrf
    return owner(server, what, {"csrf": csrf.group(1), **fields})


def everything(server: Two, link: str) -> int:
    """Do HITs until there are none; gives how many."""
    done = 0
    for group in (GOLDFISH, TENCH):
        while (task := begin(server, link, group)) is not None:
            assert send(task, 1).headers["location"].endswith("done")
            done += 1
    return done


def shown(study: Study) -> list[tuple[str, str]]:
    return [tuple(row) for row in study.catalog.execute("SELECT wnid, image_id FROM market_shown")]  # type: ignore[misc]


def test_the_same_images_in_two_studies_are_shown_once(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        link = server.invite("ann")
        first = ask(link).text
        assert first.count("<li><span><b><bdi>goldfish") == 1  # one line for both studies
        assert "Tasks: 4" in first
        assert everything(server, link) == 4  # all of the first study, none of the second
        assert shown(server.other) == []
        assert "There is nothing to do for you" in ask(link).text
        assert everything(server, server.invite("bea")) == 4
        assert everything(server, server.invite("cyd")) == 4  # the first study is full: the second's
        pairs = {(one, *pair) for one in (server.study, server.other) for pair in shown(one)}
        assert len(shown(server.study)) == 2 * len(shown(server.other))
        assert {one for one, *_ in pairs} == {server.study, server.other}
        assert collect(server.study, LocalAnnotator(server.clock)).assignments == 8
        assert collect(server.other, LocalAnnotator(server.clock)).assignments == 4


def test_bytes_that_have_two_ids_are_one_image(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        catalog = server.other.catalog
        catalog.execute("PRAGMA foreign_keys = OFF")
        for table in ("images", "files", "hit_images", "candidates", "reference_members"):
            catalog.execute(f"UPDATE {table} SET image_id = 'other-' || image_id")
        link = server.invite("ann")
        assert everything(server, link) == 4
        assert shown(server.other) == []


def test_other_images_of_the_class_come_from_the_second_study_and_their_pictures_are_shown(
    tmp_path: Path,
) -> None:
    with two(tmp_path) as server:
        server.study.catalog.execute("UPDATE market_hits SET expires_at = 0")
        link = server.invite("ann")
        task = begin(server, link)
        assert task is not None
        assert "Tasks" in ask(link).text
        page = ask(task + "/page").text
        pictures = re.findall(r'src="(/picture/[^"]+)"', page)
        assert len(pictures) == 12
        assert {ask(server.url + picture).status for picture in pictures} == {200}
        assert send(task, 1).headers["location"].endswith("done")
        assert "Tasks done: 1" in ask(link).text
        theirs = server.other.worker_key("invited:ann")
        row = server.other.catalog.execute("SELECT worker, state FROM market_assignments").fetchone()
        assert tuple(row) == (theirs, "submitted")


def test_a_link_of_either_study_leads_to_the_same_queue(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        first = server.invite("ann")
        with transaction(server.other.catalog):
            token = invite(server.other.catalog, crowd_keys(server.other), server.other.worker_key, "ann")
        second = f"{server.url}/work/{token}/"
        task = begin(server, first)
        assert task is not None
        assert "Begun" in ask(second).text
        again = task.replace(first, second)
        assert send(again, 2).headers["location"].endswith("done")
        assert "Tasks done: 1" in ask(first).text


def test_takes_at_the_same_moment_show_no_image_twice(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        links = [server.invite(f"p{n}") for n in range(4)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: begin(server, links[n % 4], (GOLDFISH, TENCH)[n % 2]), range(24)))
        for n in range(4):
            seen = []
            for study in (server.study, server.other):
                rows = study.catalog.execute(
                    "SELECT wnid, image_id FROM market_shown WHERE worker = ?",
                    (study.worker_key(f"invited:p{n}"),),
                )
                seen += [tuple(row) for row in rows]
            assert len(seen) == len(set(seen))
            held = sum(
                study.catalog.execute(
                    "SELECT count(*) FROM market_assignments WHERE state = 'leased' AND worker = ?",
                    (study.worker_key(f"invited:p{n}"),),
                ).fetchone()[0]
                for study in (server.study, server.other)
            )
            assert held <= 3


def test_whoever_comes_from_prolific_arrives_in_every_study(tmp_path: Path) -> None:
    with two(tmp_path, recruiting=SITE) as server:
        link = server.url + ask(arrival(server, 0)).headers["location"]
        assert (
            {one.person for one in people(server.study)}
            == {one.person for one in people(server.other)}
            == {PIDS[0]}
        )
        server.study.catalog.execute("UPDATE market_hits SET expires_at = 0")
        assert everything(server, link) == 4
        assert (
            "FAIL1" in ask(link).text
        )  # they ticked the first image of each: the other study's controls say so
        gone = forget(server.other, PIDS[0])  # there, and only there
        assert gone.submissions == 1
        assert ask(arrival(server, 0)).status == 303
        assert people(server.other) == []
        assert "LATE1" in ask(link).text  # nothing of that study any more
        forget(server.study, PIDS[0])
        assert ask(link).status == 404
        assert ask(arrival(server, 0)).status == 403


def test_the_owner_has_one_page_for_all_and_one_for_each(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        assert change(server, "invite", labels="ann, bea").status == 303
        link = re.search(r'aria-label="Link of ann" value="([^"]+)"', owner(server).text)
        assert link
        everything(server, link.group(1))
        server.study.catalog.execute("UPDATE market_hits SET expires_at = 0")
        bea = re.search(r'aria-label="Link of bea" value="([^"]+)"', owner(server).text)
        assert bea
        everything(server, bea.group(1))
        page = owner(server).text
        assert "<b>8</b><small>of 16 assignments done" in page
        assert page.count("<td>ann</td>") == page.count("<td>bea</td>") == 1 + 1  # a worker, and a link
        assert "cats&nbsp;4</a>" in page
        assert "dogs&nbsp;4</a>" in page
        (at,) = re.findall(r'href="(/owner/study/dogs/worker/[^"]+)"', page)
        below = ask(server.url + at, **OWNER).text
        assert '<a href="/owner/">All studies</a>' in below
        hits = set(re.findall(r'href="(/owner/study/dogs/hit/[^"]+)"', below))
        assert len(hits) == 4
        assert all(ask(server.url + hit, **OWNER).status == 200 for hit in hits)
        figures = json.loads(owner(server, "progress.json").text)
        assert figures["wanted"] == 16
        assert figures["studies"]["dogs"]["submitted"] == 4
        assert json.loads(owner(server, "study/cats/progress.json").text)["wanted"] == 8


def test_pause_and_revoke_hold_in_all_studies(tmp_path: Path) -> None:
    with two(tmp_path) as server:
        link = server.invite("ann")
        change(server, "pause", paused="yes")
        assert "The study is paused" in ask(link).text
        assert begin(server, link) is None
        change(server, "pause", paused="no")
        assert begin(server, link) is not None
        theirs = server.other.worker_key("invited:ann")
        assert workers.active_link(server.other.catalog, theirs) is not None
        id_ = workers.active_link(server.study.catalog, server.study.worker_key("invited:ann"))
        assert id_
        assert change(server, "revoke", link=id_.link_id).status == 303
        assert workers.active_link(server.other.catalog, theirs) is None
        assert ask(link).status == 404
        assert ask(f"{server.url}/owner/pause", {"csrf": "forged", "paused": "yes"}, **OWNER).status == 403
        assert ask(f"{server.url}/owner/study/dogs/hits").status == 401


def test_one_study_beyond_the_limit_is_named_when_all_are_extended(tmp_path: Path) -> None:
    """The limit is each study's own: the first is extended, the second has one place too many."""
    with two(tmp_path, max_cost=Decimal("0.80")) as server:
        ends = "SELECT max(expires_at) FROM market_hits"
        before = [study.catalog.execute(ends).fetchone()[0] for study in (server.study, server.other)]
        server.other.catalog.execute("UPDATE market_hits SET max_assignments = 3")
        refused = change(server, "extend", days="2")
        assert refused.status == 400
        assert "The study dogs was not extended, those listed before it were" in refused.text
        after = [study.catalog.execute(ends).fetchone()[0] for study in (server.study, server.other)]
        assert [new - old for new, old in zip(after, before, strict=True)] == [2 * 86_400.0, 0.0]


def test_the_command_serves_several_and_no_study_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Study(tmp_path / name, create=True).close()
    command = ("annotate", "serve", "--port", "0", "--study", tmp_path / "a")
    twice = newtest(*command, "--with-study", str(tmp_path / "b/../a"), timeout=60)
    assert twice.returncode == 2
    assert "is named twice" in twice.stderr
    with start(*command, "--with-study", tmp_path / "b", "--access-token", TOKEN) as process:
        found = process.shown(r"http://127.0.0.1:\d+")
        page = ask(f"{found.group()}/owner/", **OWNER).text
        assert 'href="/owner/study/a/"' in page
        assert 'href="/owner/study/b/"' in page
        process.signal(signal.SIGTERM)
        process.wait(20)
