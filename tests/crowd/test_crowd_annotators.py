"""The contract of an Annotator, run against both that ship."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crowd_study import Crowd, crowd, plan
from test_crowd_mturk import annotator_to, two_studies
from test_crowd_server import begin, send

from newtest.catalog import quality
from newtest.catalog.publications import unpublished
from newtest.crowd.annotators import Annotator, PublishConfig, collect, publish
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.mturk import MTurkAnnotator
from newtest.errors import ConfigError, SourceError
from newtest.study import Study


@dataclass
class Market:
    """A market: the study that asks, the server where people work, and how to reach it."""

    asking: Study
    server: Crowd
    annotator: Annotator

    def publish_all(self, config: PublishConfig | None = None) -> int:
        hit_ids = [hit_id for hit_id, _ in unpublished(self.asking.catalog, self.annotator.market)]
        return publish(self.asking, self.annotator, config or PublishConfig(), hit_ids)

    def groups(self) -> list[str]:
        rows = self.server.study.catalog.execute(
            "SELECT DISTINCT coalesce(wnid, hit_type_id) FROM market_hits LEFT JOIN hits USING (hit_id) ORDER BY 1"
        )
        return [row[0] for row in rows]

    def work(self, name: str, *selected: int) -> int:
        """One person does all they can; gives how many HITs."""
        link, done = self.server.invite(name), 0
        for group in self.groups():
            while task := begin(self.server, link, group):
                send(task, *selected)
                done += 1
        return done


@contextmanager
def local(study: Study, _: Path) -> Iterator[Market]:
    with crowd(study, published=False) as server:
        plan(study)
        yield Market(study, server, LocalAnnotator(server.clock))


@contextmanager
def mturk(study: Study, tmp_path: Path) -> Iterator[Market]:
    with two_studies(study, tmp_path) as (server, asking):
        server.clock.now = time.time()
        yield Market(asking, server, annotator_to(server.url))


@pytest.fixture(params=[local, mturk], ids=["local", "mturk"])
def market(request: pytest.FixtureRequest, study: Study, tmp_path: Path) -> Iterator[Market]:
    made: Callable[[Study, Path], Iterator[Market]] = request.param
    with made(study, tmp_path) as one:  # type: ignore[attr-defined]
        yield one


def test_published_work_comes_back_as_votes_once(market: Market) -> None:
    assert market.publish_all() == 4
    assert market.publish_all() == 0
    assert market.work("ann", 1) == 4
    summary = collect(market.asking, market.annotator)
    assert (summary.assignments, summary.votes, summary.closed, summary.unread) == (4, 48, 0, ())
    assert collect(market.asking, market.annotator).assignments == 0
    rows = market.asking.catalog.execute(
        "SELECT origin, count(*), sum(selected), count(control) FROM votes JOIN vote_batches USING (batch_id)"
    ).fetchone()
    assert tuple(rows) == (market.annotator.origin, 48, 4, 16)


def test_what_was_intended_and_made_is_found_again(market: Market) -> None:
    market.publish_all()
    before = market.asking.catalog.execute(
        "SELECT hit_id, market_hit_id FROM publications ORDER BY 1"
    ).fetchall()
    market.asking.catalog.execute("UPDATE publications SET market_hit_id = NULL, published_at = NULL")
    assert market.publish_all() == 4
    after = market.asking.catalog.execute(
        "SELECT hit_id, market_hit_id FROM publications ORDER BY 1"
    ).fetchall()
    assert [tuple(row) for row in after] == [tuple(row) for row in before]


def test_a_hit_is_over_when_all_is_done_and_decided(market: Market) -> None:
    market.publish_all(PublishConfig(auto_approval=0))
    for name in ("ann", "bea"):
        market.work(name, 2)
    assert collect(market.asking, market.annotator).closed == 4
    assert collect(market.asking, market.annotator).closed == 0
    statuses = market.asking.catalog.execute("SELECT DISTINCT status FROM assignments").fetchall()
    assert [row[0] for row in statuses] == ["approved"]


def test_a_template_that_cannot_be_used_publishes_nothing(market: Market, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<p>no form</p>")
    with pytest.raises(ConfigError, match="form is missing"):
        market.publish_all(PublishConfig(template=str(tmp_path / "bad.html")))
    assert market.server.study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 0


def test_a_template_of_pairs_does_not_show_planned_hits(market: Market) -> None:
    """Its page would be empty, and "none of these" on it would be a vote against every image of the HIT."""
    with pytest.raises(ConfigError, match="asks which pairs show one photo"):
        market.publish_all(PublishConfig(template="near_duplicates"))
    assert market.server.study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 0


def test_work_that_is_submitted_while_it_is_collected_is_not_left_behind(
    study: Study, tmp_path: Path
) -> None:
    """The last assignments arrive right after those of the first HIT were listed."""
    with mturk(study, tmp_path) as market:
        market.publish_all(PublishConfig(auto_approval=0))
        market.work("ann", 1)
        link, waiting = market.server.invite("bea"), []
        for group in market.groups():
            while len(waiting) < 3 and (task := begin(market.server, link, group)):
                waiting.append(task)

        class Slow(MTurkAnnotator):
            def _pages(self, operation: str, **parameters: object) -> list[dict[str, Any]]:
                found = super()._pages(operation, **parameters)
                while waiting:
                    send(waiting.pop(), 1)
                return found

        config = annotator_to(market.server.url)._config
        slow = Slow(config, lambda hit_id, image_id: "")
        for _ in range(2):
            collect(market.asking, slow)
        rows = market.asking.catalog.execute("SELECT count(*) FROM assignments").fetchone()
        assert rows[0] == 7


def test_what_was_rejected_and_then_approved_after_all_counts_again(market: Market) -> None:
    market.publish_all()
    market.work("ann", 1)
    catalog = market.server.study.catalog
    first = catalog.execute("SELECT min(assignment_id) FROM market_assignments").fetchone()[0]
    numbers = []
    for state in ("rejected", "approved"):
        catalog.execute("UPDATE market_assignments SET state = ? WHERE assignment_id = ?", (state, first))
        collect(market.asking, market.annotator)
        numbers.append(market.asking.catalog.execute("SELECT count(*) FROM votes").fetchone()[0])
    assert numbers == [36, 48]


def test_a_hit_that_is_over_takes_no_late_answer(market: Market) -> None:
    """It was told to be over and is not asked again: what it took then would be paid for and never counted."""
    market.publish_all(PublishConfig(lifetime=3600))
    task = begin(market.server, market.server.invite("ann"), market.groups()[0])
    market.server.clock.now += 3601
    if isinstance(market.annotator, LocalAnnotator):
        assert collect(market.asking, market.annotator).closed == 4
    assert send(str(task), 1).headers["location"].endswith("late")
    states = market.server.study.catalog.execute("SELECT state FROM market_assignments").fetchall()
    assert [row[0] for row in states] == ["lapsed"]


def test_who_tried_a_hit_in_the_sandbox_may_do_it_on_the_market(market: Market) -> None:
    market.publish_all()
    market.work("ann", 1)
    collect(market.asking, market.annotator)
    catalog = market.asking.catalog
    catalog.execute("DELETE FROM votes")
    catalog.execute("DELETE FROM answers")
    catalog.execute("UPDATE assignments SET market = 'sandbox', assignment_id = 'S' || assignment_id")
    summary = collect(market.asking, market.annotator)
    assert (summary.assignments, summary.votes) == (4, 48)


def test_a_market_that_is_away_is_said_so_and_nothing_is_lost(study: Study) -> None:
    plan(study)
    hit_ids = [hit_id for hit_id, _ in unpublished(study.catalog, "test")]
    with pytest.raises(SourceError, match="run the same command again"):
        publish(study, annotator_to("http://127.0.0.1:9", retries=1), PublishConfig(), hit_ids)
    assert (
        study.catalog.execute("SELECT count(*) FROM publications WHERE market_hit_id IS NULL").fetchone()[0]
        == 4
    )


def test_older_votes_without_a_look_are_counted(study: Study, tmp_path: Path) -> None:
    """Collected before such images gave no vote: `votes quality` says how many there are."""
    with local(study, tmp_path) as market:
        market.publish_all()
        market.work("ann", 1)
        collect(study, market.annotator)
        assert quality.votes_never_in_view(study.catalog) == 0
        study.catalog.execute(
            "UPDATE answers SET milliseconds = 0 WHERE image_id IN (SELECT image_id FROM answers ORDER BY 1 LIMIT 5)"
        )
        zero = study.catalog.execute("SELECT count(*) FROM answers WHERE milliseconds = 0").fetchone()[0]
        assert quality.votes_never_in_view(study.catalog) == zero > 0
