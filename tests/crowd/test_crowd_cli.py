"""The commands: what they refuse, what they want typed, and that pay only proposes."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.parse
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from commands import start
from crowd_study import TOKEN, crowd, plan
from test_crowd_mturk import annotator_to, market, publish_all, two_studies
from test_crowd_server import ask, begin, send
from typer.testing import CliRunner

from newtest.catalog.money import reprice
from newtest.catalog.publications import control_votes, unpublished
from newtest.cli.annotate import app
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.pay import Acted, LocalPayer, act_on, propose, read_proposals, to_be_paid
from newtest.errors import NewtestError, UsageError
from newtest.study import Study

RUN = CliRunner()


def run(*arguments: object, typed: str = "") -> str:
    result = RUN.invoke(app, [str(a) for a in arguments], input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object, typed: str = "") -> str:
    with pytest.raises(NewtestError) as error:
        RUN.invoke(app, [str(a) for a in arguments], input=typed, catch_exceptions=False)
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--to", "mturk"), "exactly one"),
        (("--to", "mturk", "--live", "--sandbox"), "exactly one"),
        (("--to", "local", "--live"), "belong to mturk"),
        (("--to", "mars"), "not one of"),
        (("--reward", "much"), "amount of dollars"),
        (("--reward", "-1"), "amount of dollars"),
        (("--reward", "nan"), "amount of dollars"),
        (("--template", "/nowhere.html"), "not a readable template"),
    ],
)
def test_contradictions_are_refused(study: Study, options: tuple[str, ...], complaint: str) -> None:
    assert complaint in refused("publish", "--study", study.root, *options)


def test_what_costs_money_wants_a_limit_and_the_total_typed(
    study: Study,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan(study)
    monkeypatch.setenv("NEWTEST_ACCESS_TOKEN", TOKEN)
    with market(study) as server:
        to = ("publish", "--study", study.root, "--to", "mturk", "--endpoint-url", server.url)
        assert "--max-cost" in refused(*to)
        assert "more than the limit of $0.95" in refused(*to, "--max-cost", "0.95")
        assert "nothing was published" in refused(*to, "--max-cost", "5", typed="yes\n")
        assert study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 0
        assert study.catalog.execute("SELECT count(*) FROM publications").fetchone()[0] == 0
        run(*to, "--max-cost", "5", typed="0.96\n")
        rows = study.catalog.execute("SELECT question FROM market_hits").fetchall()
        assert len(rows) == 4
        assert f"{server.url}/picture/" in rows[0][0]
        assert "ILSVRC" not in rows[0][0]


def test_pay_proposes_and_acts_only_on_what_was_read(study: Study, tmp_path: Path) -> None:
    with crowd(study) as server:
        good, bad = server.invite("ann"), server.invite("bea")
        for group in ("n01443537", "n01443537", "n01440764", "n01440764"):
            send(str(begin(server, bad, group)), none="none")
        task = begin(server, good)
        positive = study.catalog.execute(
            "SELECT group_concat(position, '|') FROM hit_images JOIN market_hits USING (hit_id)"
            " JOIN market_assignments USING (market_hit_id) WHERE state = 'leased' AND role = 'positive'"
        ).fetchone()[0]
        send(str(task), *map(int, positive.split("|")))
        collect(study, LocalAnnotator(server.clock))
    out = tmp_path / "proposals.csv"
    run("pay", "--study", study.root, "--out", out)
    table = read_proposals(out)
    assert sorted(table["proposal"]) == ["approve"] + ["reject"] * 4
    assert "of 8 positive" in table[table["proposal"] == "reject"]["reason"].iloc[0]
    assert (
        study.catalog.execute("SELECT count(*) FROM assignments WHERE status <> 'submitted'").fetchone()[0]
        == 0
    )
    out.write_text(out.read_text().replace("reject", "approve", 1))
    run("pay", "--study", study.root, "--act-on", out)
    states = study.catalog.execute(
        "SELECT state, count(*) FROM market_assignments GROUP BY state ORDER BY 1"
    ).fetchall()
    assert [tuple(row) for row in states] == [("approved", 2), ("rejected", 3)]
    assert study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 24
    assert act_on(study, read_proposals(out), LocalPayer(study.catalog, 0.0)).done == 0
    out.write_text(out.read_text().replace("approve", "maybe", 1))
    with pytest.raises(UsageError, match="maybe"):
        read_proposals(out)


def collected(study: Study, *, auto_approval: int = 3600) -> None:
    """One worker's four HITs, collected from the study's own market, not decided on."""
    plan(study)
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        hits = [hit_id for hit_id, _ in unpublished(study.catalog, "local")]
        publish(study, LocalAnnotator(server.clock), PublishConfig(auto_approval=auto_approval), hits)
        link = server.invite("ann")
        for group in ("n01443537", "n01443537", "n01440764", "n01440764"):
            send(str(begin(server, link, group)), 1)
        collect(study, LocalAnnotator(server.clock))


def proposals(study: Study, *words: str) -> pd.DataFrame:
    table = propose(study, control_votes(study.catalog))
    return table.assign(proposal=list(words))


def test_what_approved_itself_in_time_is_not_rejected_afterwards(study: Study) -> None:
    collected(study)
    acted = act_on(study, proposals(study, *["reject"] * 4), LocalPayer(study.catalog, time.time() + 7200))
    assert (acted.done, len(acted.otherwise)) == (0, 4)
    for table, column in (("market_assignments", "state"), ("assignments", "status")):
        found = study.catalog.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
        assert [row[0] for row in found] == ["approved"]
    assert study.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 48


def test_paying_that_was_killed_between_the_call_and_the_note_goes_on(study: Study, tmp_path: Path) -> None:
    with two_studies(study, tmp_path) as (server, asking):
        annotator = annotator_to(server.url)
        publish_all(asking, annotator)
        link = server.invite("ann")
        for row in study.catalog.execute("SELECT DISTINCT hit_type_id FROM market_hits").fetchall():
            while task := begin(server, link, row[0]):
                send(task, 1)
        collect(asking, annotator)
        table = proposals(asking, "approve", "approve", "reject", "")
        first = table["assignment_id"].iloc[0]
        annotator.approve(first, "")  # and then the machine went down
        assert act_on(asking, table, annotator) == Acted(3)
        states = study.catalog.execute("SELECT state, count(*) FROM market_assignments GROUP BY 1 ORDER BY 1")
        assert [tuple(row) for row in states] == [("approved", 2), ("rejected", 1), ("submitted", 1)]


def test_the_bill_is_the_catalogs_not_the_tables(study: Study, tmp_path: Path) -> None:
    """Two assignments of ten cents, no fee on our own market; what is decided or unknown costs nothing."""
    collected(study)
    table = proposals(study, "approve", "approve", "reject", "").drop(columns="reward")
    stranger = table.iloc[:1].assign(assignment_id="3UNKNOWN")
    assert to_be_paid(study, pd.concat([table, stranger])) == (2, Decimal("0.20"))


def test_what_an_earlier_run_began_is_in_the_total_that_is_typed(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(study)
    monkeypatch.setenv("NEWTEST_ACCESS_TOKEN", TOKEN)
    with market(study) as server:
        at = ("--study", study.root, "--endpoint-url", server.url)
        to = ("publish", *at, "--to", "mturk", "--max-cost", "5")
        reprice(study.catalog, "0.50")
        assert "the plan pays $0.50 an assignment, not $0.10" in refused(*to, "--reward", "0.10")
        run(*to, "--max-hits", "3", "--reward", "0.50", typed="3.60\n")
        assert reprice(study.catalog, "0.10") == 1
        study.catalog.execute("UPDATE publications SET market_hit_id = NULL, published_at = NULL")
        study.catalog.execute("DELETE FROM market_requests")
        study.catalog.execute("DELETE FROM market_hits")
        assert "nothing was published" in refused(*to, typed="0.24\n")
        assert study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 0
        run(*to, typed="3.84\n")
        assert study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 4


def test_the_owners_link_works_with_every_character_that_a_token_may_have(study: Study) -> None:
    environment = {**os.environ, "NEWTEST_ACCESS_TOKEN": "a+b/c=d&e#f%41 g;h"}
    with start("annotate", "serve", "--port", "0", "--study", study.root, env=environment) as process:
        link = process.shown(r"^.*\n")[0].split()[-1]
        reply = ask(link)
        cookie = reply.headers["set-cookie"].split("; ")[0]
        page = ask(urllib.parse.urljoin(link, "/owner/"), cookie=cookie)
        process.signal(signal.SIGINT)
        process.wait(20)
    assert (reply.status, page.status) == (303, 200)


def test_proposals_need_no_votes(study: Study) -> None:
    assert propose(study, control_votes(study.catalog)).empty


def test_plan_says_what_it_costs_and_a_dry_run_keeps_nothing(study: Study, tmp_path: Path) -> None:
    similar = tmp_path / "similar.json"
    similar.write_text('{"n01443537": ["n01440764"], "n01440764": ["n01443537"]}')
    shape = ("--images", 12, "--positive", 2, "--negative", 2, "--examples", 0, "--similar", similar)
    text = run("plan", "--study", study.root, *shape, "--market", "mturk", "--budget", "20", "--dry-run")
    for part in (
        "TOTAL",
        "$5.60",
        "nine and the rest apart would save $0.80",
        "left of the budget: $14.40",
        "dry run",
    ):
        assert part in text
    assert study.catalog.execute("SELECT count(*) FROM hits").fetchone()[0] == 0


def test_plan_refuses_classes_and_tables_that_are_none(study: Study, tmp_path: Path) -> None:
    assert "no such class" in refused("plan", "--study", study.root, "--class", "n00000001")
    odd = tmp_path / "odd.json"
    for text in ('{"n01443537": 7}', "[" * 100_000):
        odd.write_text(text)
        assert str(odd) in refused("plan", "--study", study.root, "--similar", odd)


def test_preview_writes_a_page_that_holds_everything(study: Study, tmp_path: Path) -> None:
    plan(study)
    hit_id = study.catalog.execute("SELECT hit_id FROM hits LIMIT 1").fetchone()[0]
    out = tmp_path / "page.html"
    run("preview", "--study", study.root, "--hit", hit_id, "--out", out)
    assert out.read_text().count("data:image/jpeg;base64,") == 12
    run("preview", "--template", "near_duplicates", "--out", out)
    assert out.read_text().count('class="sides"') == 24
    assert "no such HIT" in refused("preview", "--study", study.root, "--hit", "none", "--out", out)


def test_invite_prints_links_and_revokes_them(study: Study) -> None:
    links = json.loads(run("invite", "ann", "bea", "--study", study.root, "--url", "http://x:1/", "--json"))
    assert links["ann"].startswith("http://x:1/work/")
    assert links == json.loads(
        run("invite", "ann", "bea", "--study", study.root, "--url", "http://x:1", "--json")
    )
    assert "revoked" in run("invite", "ann", "--revoke", "--study", study.root)
    assert "had no link" in run("invite", "ann", "--revoke", "--study", study.root)


def test_publish_killed_at_any_moment_opens_each_hit_once(study: Study) -> None:
    plan(study)
    for _ in range(20):
        with start("annotate", "publish", "--study", study.root) as process:
            while process.poll() is None:
                if study.catalog.execute("SELECT count(*) FROM publications").fetchone()[0]:
                    process.kill()
        opened = study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0]
        if opened == 4:
            break
    if (
        opened < 4
        or study.catalog.execute("SELECT 1 FROM publications WHERE market_hit_id IS NULL").fetchone()
    ):
        run("publish", "--study", study.root)
    assert "all 4 planned HITs are published on local already" in refused("publish", "--study", study.root)
    counts = study.catalog.execute(
        "SELECT count(*), count(DISTINCT hit_id), (SELECT count(*) FROM publications WHERE market_hit_id IS NULL)"
        " FROM market_hits"
    ).fetchone()
    assert tuple(counts) == (4, 4, 0)
