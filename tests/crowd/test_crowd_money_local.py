"""Money on our own market: extensions are within the limit, and every page tells the same sums to the cent."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from crowd_study import Clock, Crowd, crowd, fill, plan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_crowd_mturk import client_of, create
from test_crowd_owner import change, owner

from newtest.catalog import leases, open_hits, transaction
from newtest.catalog.owner import close_hits
from newtest.catalog.publications import unpublished
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.answers import to_xml
from newtest.crowd.costs import cents
from newtest.crowd.hits import PlanConfig
from newtest.crowd.ledger import by_market, ledger
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.server.extending import extend_hits
from newtest.crowd.server.leases import take
from newtest.errors import UsageError
from newtest.study import Study

DAY = 86_400.0
STEPS = ("publish", "begin", "submit", "approve", "reject", "collect", "wait", "extend", "close", "repeat")


@contextmanager
def small_study(reward: str) -> Iterator[Study]:
    with tempfile.TemporaryDirectory() as folder, Study(Path(folder) / "s", create=True) as study:
        with transaction(study.catalog):
            fill(study, candidates=16, references=12)
        plan(study, PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=0, reward=reward))
        yield study


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.sampled_from(["0.01", "0.07", "0.33"]),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), max_size=16),
    st.integers(0, 8),
)
def test_whatever_happens_the_sums_agree_and_the_limit_holds(
    reward: str, steps: list[tuple[str, int]], places: int
) -> None:
    """Random plans, publications, answers, decisions, ends, extensions and repeats, with a limit on extensions."""
    limit = Decimal(reward) * places
    with small_study(reward) as study:
        clock = Clock()
        for step, number in steps:
            before = ledger(study.catalog, clock()).committed.total
            take_step(study, clock, step, number, limit)
            book = ledger(study.catalog, clock())
            if step in ("extend", "repeat"):
                assert book.committed.total <= max(limit, before)
            market = study.catalog.execute(
                "SELECT coalesce(sum(max_assignments), 0) FROM market_hits"
            ).fetchone()[0]
            assert book.published.assignments == market
            assert book.published.total == cents(Decimal(reward) * market)
            done = study.catalog.execute(
                "SELECT count(*) FROM market_assignments WHERE state IN ('submitted', 'approved')"
            ).fetchone()[0]
            assert book.earned.reward == Decimal(reward) * done
            assert book.planned.assignments + market == 8
            assert sum(
                (b.published.total for b in by_market(study.catalog, clock()).values()), Decimal(0)
            ) == (book.published.total)
        clock.now += 30 * DAY
        collect(study, LocalAnnotator(clock))  # what was answered after an extension is collected too
        there = study.catalog.execute(
            "SELECT count(*) FROM market_assignments WHERE state IN ('submitted', 'approved', 'rejected')"
        ).fetchone()[0]
        assert study.catalog.execute("SELECT count(*) FROM assignments").fetchone()[0] == there


def take_step(study: Study, clock: Clock, step: str, number: int, limit: Decimal) -> None:
    catalog = study.catalog
    if step == "publish":
        free = [hit_id for hit_id, _ in unpublished(catalog, "local")]
        publish(study, LocalAnnotator(clock), PublishConfig(lifetime=86_400), free[: number + 1])
    elif step == "begin":
        with transaction(catalog):
            for group in open_hits.open_groups(catalog, f"w{number}", now=clock(), limit=1):
                take(catalog, f"w{number}", group.group, clock())
    elif step == "submit":
        for row in catalog.execute(
            "SELECT assignment_id FROM market_assignments WHERE state = 'leased'"
        ).fetchall():
            with transaction(catalog):
                leases.submit(
                    catalog, row[0], to_xml([("none", "1")]), now=clock(), auto_approve_at=clock() + DAY
                )
    elif step in ("approve", "reject"):
        rows = catalog.execute(
            "SELECT assignment_id FROM market_assignments WHERE state = 'submitted' ORDER BY 1"
        )
        for row in rows.fetchall()[: number + 1]:
            with transaction(catalog):
                leases.decide(
                    catalog,
                    row[0],
                    {"approve": "approved", "reject": "rejected"}[step],
                    feedback=None,
                    at=clock(),
                )
    elif step == "collect":
        collect(study, LocalAnnotator(clock))
    elif step == "wait":
        clock.now += number * DAY / 2
    elif step == "close":
        with transaction(catalog):
            close_hits(catalog, now=clock())
    else:
        for _ in range(2 if step == "repeat" else 1):
            try:
                with transaction(catalog):
                    extend_hits(catalog, DAY, now=clock(), max_cost=limit)
            except UsageError:
                pass


def test_what_is_answered_after_an_extension_is_collected(study: Study) -> None:
    """A HIT that was over, and was collected as such, is open again: its answers are not lost."""
    clock = Clock()
    plan(study)
    ids = [hit_id for hit_id, _ in unpublished(study.catalog, "local")]
    publish(study, LocalAnnotator(clock), PublishConfig(lifetime=86_400), ids)
    clock.now += 2 * DAY
    assert collect(study, LocalAnnotator(clock)).closed == len(ids)
    assert ledger(study.catalog, clock()).given_up.total == Decimal("0.80")
    with transaction(study.catalog):
        extend_hits(study.catalog, DAY, now=clock(), max_cost=Decimal("0.80"))
    assert ledger(study.catalog, clock()).open.total == Decimal("0.80")
    take_step(study, clock, "begin", 0, Decimal(0))
    take_step(study, clock, "submit", 0, Decimal(0))
    assert collect(study, LocalAnnotator(clock)).assignments == 1


def test_the_owner_cannot_extend_beyond_the_limit(study: Study) -> None:
    with crowd(study, max_cost=Decimal("0.79")) as running:
        before = expiries(running)
        refused = change(running, "extend", days="2")
        assert refused.status == 400
        assert "would cost $0.80, more than the limit of $0.79" in refused.text
        assert expiries(running) == before
        figures = json.loads(owner(running, "progress.json").text)
        assert figures["ledger"] == {"open": 0.8, "owed": 0.0, "paid": 0.0}


def expiries(running: Crowd) -> list[float]:
    return [row[0] for row in running.study.catalog.execute("SELECT expires_at FROM market_hits ORDER BY 1")]


def test_requesters_cannot_commit_beyond_the_limit(study: Study) -> None:
    """0.80 is open already: one HIT of two more is the limit, and neither a HIT nor a place beyond it is opened."""
    with crowd(study, max_cost=Decimal("1.00")) as running:
        running.clock.now = time.time()  # signatures need the time
        client = client_of(running.url)
        made = create(client, Reward="0.10", MaxAssignments=2)["HITId"]
        calls = (
            lambda: create(client, Reward="0.10", MaxAssignments=1),
            lambda: client.create_additional_assignments_for_hit(HITId=made, NumberOfAdditionalAssignments=1),
        )
        for call in calls:
            with pytest.raises(client.exceptions.RequestError) as error:
                call()
            assert "InsufficientFunds" in error.value.response["TurkErrorCode"]
        rows = running.study.catalog.execute(
            "SELECT sum(max_assignments) FROM market_hits WHERE hit_id IS NULL"
        )
        assert rows.fetchone()[0] == 2
