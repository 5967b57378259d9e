"""Money: the plan's reward, one limit on every market, and a ledger that adds up to the cent whatever happens."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from crowd_study import SMALL, plan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_crowd_cli import collected, proposals, refused, run

from newtest.catalog import transaction
from newtest.catalog.publications import Publication, close_publication, unpublished
from newtest.crowd.annotators import PublishConfig, Returned, Submitted, collect, publish
from newtest.crowd.answers import to_xml
from newtest.crowd.costs import check_limit, hourly_median, total_of
from newtest.crowd.hits import Hit, PlanConfig
from newtest.crowd.ledger import Ledger, ledger
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.pay import LocalPayer, act_on
from newtest.crowd.planning import HitPlan, store_plan
from newtest.errors import UsageError
from newtest.study import Study


def test_the_reward_is_the_plans(study: Study, tmp_path: Path) -> None:
    similar = tmp_path / "similar.json"
    similar.write_text('{"n01443537": ["n01440764"], "n01440764": ["n01443537"]}')
    shape = ("--images", 12, "--positive", 2, "--negative", 2, "--assignments", 2, "--similar", similar)
    assert "$2.00" in run("plan", "--study", study.root, *shape, "--reward", "0.25")
    assert json.loads(run("publish", "--study", study.root, "--max-hits", 1, "--json"))["total"] == "0.50"
    rewards = study.catalog.execute("SELECT DISTINCT reward FROM market_hit_types").fetchall()
    assert [row[0] for row in rewards] == ["0.25"]
    assert "plan pays $0.25 an assignment, not $0.10" in refused(
        "publish", "--study", study.root, "--reward", "0.1"
    )
    run("plan", "--study", study.root, *shape)  # says nothing of money: the reward stays
    book = ledger(study.catalog)
    assert (book.planned.total, book.open.total) == (Decimal("1.50"), Decimal("0.50"))
    run("plan", "--study", study.root, *shape, "--reward", "0.30")
    book = ledger(study.catalog)
    assert (book.planned.total, book.open.total) == (Decimal("1.80"), Decimal("0.50"))


def test_the_limit_holds_on_our_own_market_too(study: Study, tmp_path: Path) -> None:
    plan(study)
    assert "costs $0.80, more than the limit of $0.79" in refused(
        "publish", "--study", study.root, "--max-cost", "0.79"
    )
    assert study.catalog.execute("SELECT count(*) FROM publications").fetchone()[0] == 0
    hit_ids = [hit_id for hit_id, _ in unpublished(study.catalog, "local")]
    with pytest.raises(UsageError, match="nothing was published"):
        publish(study, LocalAnnotator(), PublishConfig(), hit_ids, max_cost=Decimal("0.79"))
    collected(study)
    table = proposals(study, *["approve"] * 4)
    table.to_csv(tmp_path / "p.csv", index=False)
    assert "costs $0.40, more than the limit of $0.39" in refused(
        "pay", "--study", study.root, "--act-on", tmp_path / "p.csv", "--max-cost", "0.39"
    )
    assert ledger(study.catalog).paid.assignments == 0
    run("pay", "--study", study.root, "--act-on", tmp_path / "p.csv", "--max-cost", "0.40")
    assert ledger(study.catalog).paid.total == Decimal("0.40")


def test_nothing_to_publish_is_no_success(study: Study) -> None:
    assert "newtest annotate plan makes HITs" in refused("publish", "--study", study.root)


def test_a_median_below_the_stated_minimum_is_warned_of(study: Study, tmp_path: Path) -> None:
    assert hourly_median([("0.10", 36.0), ("0.10", 72.0), ("0.10", None), ("0.10", 0.0)]) == Decimal("7.50")
    assert hourly_median([("0.10", None)]) is None
    collected(study)
    study.catalog.execute("UPDATE hits SET plan = json_set(plan, '$.min_hourly', '8.00')")
    study.catalog.execute(
        "UPDATE assignments SET accepted_at = '2026-01-01T00:00:00Z', submitted_at = '2026-01-01T00:01:00Z'"
    )
    said = run("collect", "--study", study.root)
    assert "the median pay so far is $6.00 per hour, below the minimum of $8.00" in said
    similar = tmp_path / "similar.json"
    similar.write_text("{}")
    slow = ("--seconds-per-image", "30", "--similar", similar, "--votes", 5, "--dry-run", "--images", 12)
    assert "less than $9.00" in run("plan", "--study", study.root, *slow, "--min-hourly", "9")


class Killed(Exception):
    """The machine went down."""


class Market:
    """A market of MTurk's fees in the same catalog: what it holds outlives a kill, as a market's memory does."""

    origin: Literal["local", "mturk"] = "mturk"

    def __init__(self, name: str) -> None:
        self.market = name
        self.opened: dict[str, str] = {}
        self.answers: dict[str, list[Submitted]] = {}
        self.over: set[str] = set()
        self.dies_after = 1_000

    def publish(self, study: Study, intents: Sequence[Publication]) -> Iterator[tuple[str, str]]:
        for number, intent in enumerate(intents):
            self.opened.setdefault(intent.hit_id, f"{self.market}-{intent.hit_id}")
            if number >= self.dies_after:
                raise Killed
            yield intent.hit_id, self.opened[intent.hit_id]

    def collect(self, study: Study, publication: Publication) -> Returned:
        listed = self.answers.get(publication.hit_id, [])
        waiting = any(
            one.status == "submitted" for one in listed
        )  # a decision may still come, as on the markets
        return Returned(listed, publication.hit_id in self.over and not waiting)

    def approve(self, assignment_id: str, feedback: str) -> str:
        return self._decide(assignment_id, "approved")

    def reject(self, assignment_id: str, feedback: str) -> str:
        return self._decide(assignment_id, "rejected")

    def _decide(self, assignment_id: str, status: Literal["approved", "rejected"]) -> str:
        for listed in self.answers.values():
            for place, one in enumerate(listed):
                if one.assignment_id == assignment_id and one.status == "submitted":
                    listed[place] = Submitted(one.assignment_id, one.worker, status, None, None, one.answer)
        if self.dies_after == 0:
            raise Killed
        return status


def _hits(numbers: Sequence[tuple[int, str]]) -> list[HitPlan]:
    """A plan a reward; its HITs show one image."""
    return [
        HitPlan(PlanConfig(images=9, positive=0, negative=0, assignments=asked, reward=reward),
                [Hit(f"{n:032x}", "n1", (("a", "candidate"),), asked)])
        for n, (asked, reward) in enumerate(numbers)
    ]  # fmt: skip


STEPS = st.sampled_from(["publish", "die", "submit", "collect", "approve", "reject", "die paying", "close"])
PLANS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["0.01", "0.07", "0.10", "0.33", "1.25"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(PLANS, st.lists(st.tuples(STEPS, st.integers(0, 3)), max_size=14), st.sampled_from(["live", "local"]))
def test_the_ledger_adds_up_to_the_cent(
    numbers: list[tuple[int, str]], steps: list[tuple[str, int]], market_name: str
) -> None:
    """Random plans, publications, approvals, kills and repeats. What the market holds is the other side of the book."""
    with tempfile.TemporaryDirectory() as folder, Study(Path(folder) / "s", create=True) as study:
        with transaction(study.catalog) as catalog:
            catalog.execute("INSERT INTO classes VALUES ('n1', '[]', '', '[]', 'test')")
            catalog.execute("INSERT INTO images (image_id, source, source_id) VALUES ('a', 'folder', 'a')")
        market, rewards = Market(market_name), {}
        for made in _hits(numbers):
            store_plan(study, made)
            rewards[made.hits[0].hit_id] = (made.hits[0].assignments, made.config.reward)
        with transaction(
            study.catalog
        ) as catalog:  # a reward of their own, though the last plan's held for all
            catalog.executemany(
                "UPDATE hits SET plan = json_set(plan, '$.reward', ?2) WHERE hit_id = ?1",
                [(hit_id, reward) for hit_id, (_, reward) in rewards.items()],
            )
        planned = ledger(study.catalog)
        assert planned.planned.reward == sum(n * Decimal(reward) for n, reward in numbers)
        for step, number in steps:
            _step(study, market, step, number)
            _adds_up(study, market, rewards, ledger(study.catalog))


def _step(study: Study, market: Market, step: str, number: int) -> None:
    free = [hit_id for hit_id, _ in unpublished(study.catalog, market.market)]
    market.dies_after = number if step == "die" else 0 if step == "die paying" else 1_000
    if step in ("publish", "die"):
        with contextlib.suppress(Killed):
            publish(study, market, PublishConfig(), free[: number + 1])
    elif step == "submit":
        for hit_id in sorted(market.opened)[: number + 1]:
            asked = study.catalog.execute(
                "SELECT assignments FROM hits WHERE hit_id = ?", (hit_id,)
            ).fetchone()[0]
            listed = market.answers.setdefault(hit_id, [])
            if len(listed) < asked and hit_id not in market.over:
                worker = f"w{len(listed)}"
                listed.append(
                    Submitted(f"{hit_id}{worker}", worker, "submitted", None, None, to_xml([("none", "1")]))
                )
    elif step == "collect":
        collect(study, market)
    elif step == "close":
        market.over |= set(sorted(market.opened)[:number])
    else:
        rows = study.catalog.execute(
            "SELECT assignment_id FROM assignments WHERE status = 'submitted' ORDER BY 1"
        )
        ids = [row[0] for row in rows][: number + 1]
        word = "reject" if step == "reject" else "approve"
        table = pd.DataFrame({"assignment_id": ids, "market": market.market, "proposal": word, "reason": ""})
        with contextlib.suppress(Killed):
            act_on(study, table, market)


def _adds_up(study: Study, market: Market, rewards: dict[str, tuple[int, str]], book: Ledger) -> None:
    known = study.catalog.execute(
        "SELECT hit_id FROM publications WHERE market_hit_id IS NOT NULL"
    ).fetchall()
    published = [rewards[row[0]] for row in known]
    assert book.published.total == total_of(published, market.market)
    assert book.published.assignments == sum(asked for asked, _ in published)
    everything = book.planned.reward + book.published.reward
    assert everything == sum(asked * Decimal(reward) for asked, reward in rewards.values())
    assert len(market.opened) <= len(rewards)  # nothing is opened twice
    # once collected, what the market has paid is what the book says, whatever was killed between
    collect(study, market)
    after = ledger(study.catalog)
    opened = {row[0] for row in known}
    paid = [
        (rewards[hit_id], sum(one.status == "approved" for one in listed))
        for hit_id, listed in market.answers.items()
        if hit_id in opened
    ]
    assert after.paid.reward == sum(count * Decimal(reward) for (_, reward), count in paid)
    fees = sum(total_fee(asked, reward, market.market) * count for (asked, reward), count in paid)
    assert after.paid.fees == fees


def total_fee(asked: int, reward: str, market: str) -> Decimal:
    """MTurk's fee for one assignment: 20 %, 40 % from ten assignments a HIT up, at least a cent."""
    if market == "local":
        return Decimal(0)
    return max(Decimal(reward) * (Decimal("0.4") if asked >= 10 else Decimal("0.2")), Decimal("0.01"))


def test_a_limit_is_the_most_that_may_be_spent() -> None:
    check_limit(Decimal("1.00"), Decimal("1.00"))
    check_limit(Decimal("1.00"), None)
    with pytest.raises(UsageError, match="more than the limit"):
        check_limit(Decimal("1.01"), Decimal("1.00"))


def test_closed_hits_give_up_what_nobody_did(study: Study) -> None:
    collected(study)
    act_on(
        study, proposals(study, "approve", "approve", "reject", ""), LocalPayer(study.catalog, time.time())
    )
    for row in study.catalog.execute("SELECT hit_id FROM publications").fetchall():
        close_publication(study.catalog, row[0], "local", at="2026-01-01T00:00:00Z")
    book = ledger(study.catalog)
    names = ("open", "owed", "paid", "rejected", "given_up")
    assert SMALL.assignments == 2
    assert [getattr(book, name).assignments for name in names] == [0, 1, 2, 1, 4]
