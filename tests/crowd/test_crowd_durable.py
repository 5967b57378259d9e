"""What was acknowledged survives a power cut: unsynced writes are cut off, the study is opened as the disk has it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from crowd_study import TOKEN, crowd, fill, plan
from servers.power_cut import power_cut
from test_crowd_mturk import HIT, HTML, client_of
from test_crowd_server import begin, send

from newtest.catalog import transaction
from newtest.catalog.publications import control_votes
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.pay import LocalPayer, act_on, propose
from newtest.crowd.server import database
from newtest.study import Study


def count(root: Path, table: str, where: str = "1") -> int:
    connection = sqlite3.connect(root / "study.sqlite")
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]
    connection.close()
    return int(found)


def work(tmp_path: Path, after: str) -> tuple[int, int]:
    """(answers that were acknowledged, answers on the disk when the power comes back)."""
    with power_cut() as disk, Study(tmp_path / "study", create=True) as study:
        with transaction(study.catalog):
            fill(study, candidates=16, references=12)
        study.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with crowd(study) as server:
            acknowledged = 0
            links = [server.invite(name) for name in ("ann", "bea")]
            study.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for link in links:
                while task := begin(server, link):
                    acknowledged += send(task, 1).headers["location"].endswith("notice=done")
            left = disk.after_the_cut(study.root, tmp_path / after)
    return acknowledged, count(left, "market_assignments", "answer IS NOT NULL")


def test_every_answer_that_was_thanked_for_is_on_the_disk(tmp_path: Path) -> None:
    acknowledged, found = work(tmp_path, "after")
    assert acknowledged == 4
    assert found == acknowledged


def test_without_a_sync_they_would_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: this is what it found before."""
    monkeypatch.setattr(database, "make_durable", lambda _: None)
    acknowledged, found = work(tmp_path, "after")
    assert acknowledged == 4
    assert found == 0


def test_hits_decisions_and_collected_votes_are_on_the_disk(tmp_path: Path) -> None:
    with power_cut() as disk, Study(tmp_path / "study", create=True) as study:
        with transaction(study.catalog):
            fill(study, candidates=16, references=12)
        with crowd(study, published=False) as server:
            plan(study)
            study.catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            hits = [row[0] for row in study.catalog.execute("SELECT hit_id FROM hits")]
            annotator = LocalAnnotator(server.clock)
            publish(study, annotator, PublishConfig(), hits)
            assert count(disk.after_the_cut(study.root, tmp_path / "published"), "market_hits") == len(hits)
            send(str(begin(server, server.invite("ann"))), 1)
            assert collect(study, annotator).votes == 12
            assert count(disk.after_the_cut(study.root, tmp_path / "collected"), "votes") == 12
            table = propose(study, control_votes(study.catalog))
            assert act_on(study, table, LocalPayer(study.catalog, server.clock())).done == 1
            paid = disk.after_the_cut(study.root, tmp_path / "paid")
            assert count(paid, "market_assignments", "state = 'approved'") == 1
            assert count(paid, "assignments", "status = 'approved'") == 1


def test_a_hit_that_a_requester_was_told_of_is_on_the_disk(tmp_path: Path) -> None:
    with (
        power_cut() as disk,
        Study(tmp_path / "study", create=True) as study,
        crowd(study, published=False) as server,
    ):
        server.clock.now = time.time()
        client = client_of(server.url, TOKEN)
        for _ in range(3):
            client.create_hit(**HIT, LifetimeInSeconds=3600, Question=HTML)
        assert count(disk.after_the_cut(study.root, tmp_path / "after"), "market_hits") == 3
