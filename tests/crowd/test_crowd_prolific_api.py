"""The client against a local server that follows Prolific's public reference; NOT verified against Prolific itself."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import urllib.parse
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import start
from test_crowd_cli import refused, run

from newtest.crowd.bonuses import BonusesPaid, bonuses_due, bonuses_told, pay_bonuses
from newtest.crowd.people import recruited_key, remember
from newtest.crowd.prolific import Decisions
from newtest.crowd.prolific_api import Draft, Places, ProlificClient
from newtest.errors import SourceError, UsageError
from newtest.study import Study

DRAFT = Draft(
    "Fish", "Look at photos", "https://crowd.example.org/", 20, 10, 150, "DONE1", "NO1", "FAIL1", "LATE1"
)


class Prolific(BaseHTTPRequestHandler):
    """Studies, submissions and bonus payments in memory, with the reference's addresses, fields and refusals."""

    studies: dict[str, dict[str, Any]]
    submissions: dict[str, dict[str, Any]]
    bonuses: dict[str, dict[str, Any]]
    dies_paying = False
    victim: int | None = None
    kill_behind = (
        ""  # a regular expression: the client is killed after such a request was carried out, unanswered
    )
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._allowed():
            return None
        if found := re.fullmatch(r"/api/v1/studies/(\w+)/", self.path):
            study = self.studies.get(found[1])
            return self._send(200 if study else 404, study or {"error": {"title": "Not found"}})
        if self.path.startswith("/api/v1/submissions/?"):
            asked = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
            size, page = int(asked.get("page_size", 20)), int(asked.get("page", 1))
            listed = [one for one in self.submissions.values() if one["study_id"] == asked["study"]]
            return self._send(200, {"results": listed[size * (page - 1) : size * page]})
        return self._send(404, {"error": {"title": "Not found"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        if not self._allowed():
            return None
        if self.path == "/api/v1/studies/":
            self.studies["st1"] = {**body, "id": "st1", "status": "UNPUBLISHED", "places_taken": 0}
            return self._send(201, self.studies["st1"])
        if found := re.fullmatch(r"/api/v1/submissions/(\w+)/transition/", self.path):
            one = self.submissions[found[1]]
            if one["status"] != "AWAITING REVIEW" or (
                body["action"] == "REJECT" and len(body["message"]) < 100
            ):
                return self._send(400, {"error": {"title": "Bad transition"}})
            one |= {"status": "APPROVED" if body["action"] == "APPROVE" else "REJECTED", **body}
            return self._send(200, one)
        if self.path == "/api/v1/submissions/bonus-payments/":
            rows = [line.split(",") for line in body["csv_bonuses"].split("\n")]
            theirs = {one["id"] for one in self.submissions.values() if one["study_id"] == body["study_id"]}
            if len(rows) > 200 or {one for one, _ in rows} - theirs:
                return self._send(400, {"error": {"title": "Unknown submissions, or too many"}})
            name = f"b{len(self.bonuses)}"
            self.bonuses[name] = {"amounts": {one: Decimal(amount) for one, amount in rows}, "paid": 0}
            return self._send(201, {"id": name, "study": body["study_id"]})
        if found := re.fullmatch(r"/api/v1/bulk-bonus-payments/(\w+)/pay/", self.path):
            self.bonuses[found[1]]["paid"] += 1  # not idempotent: asked twice, paid twice
            if self.dies_paying:
                return self._send(502, {"error": {"title": "Bad gateway"}})
            return self._send(202, {})
        return self._send(404, {"error": {"title": "Not found"}})

    def _allowed(self) -> bool:
        if self.headers["Authorization"] == "Token secret":
            return True
        self._send(401, {"error": {"title": "Authentication credentials were not provided."}})
        return False

    def _send(self, status: int, body: dict[str, Any]) -> None:
        if self.kill_behind and self.victim and re.search(self.kill_behind, self.path):
            os.kill(self.victim, signal.SIGKILL)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Prolific]]]:
    kind = type("Site", (Prolific,), {"studies": {}, "bonuses": {}, "submissions": {
        name: {"id": name, "study_id": "st1", "status": status}
        for name, status in (("s0", "AWAITING REVIEW"), ("s1", "AWAITING REVIEW"), ("s2", "APPROVED"))
    }})  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{site.server_address[1]}/api/v1", kind
        site.shutdown()
        thread.join()


def test_a_draft_has_the_address_and_four_codes_and_its_places_are_watched(
    server: tuple[str, type[Prolific]],
) -> None:
    client = ProlificClient("secret", server[0])
    assert client.create(DRAFT) == "st1"
    made = server[1].studies["st1"]
    assert made["external_study_url"].startswith(
        "https://crowd.example.org/join?PROLIFIC_PID={{%PROLIFIC_PID%}}&"
    )
    assert [code["code"] for code in made["completion_codes"]] == ["DONE1", "NO1", "FAIL1", "LATE1"]
    assert [code["actions"][0]["action"] for code in made["completion_codes"]] == [
        "MANUALLY_REVIEW", "REQUEST_RETURN", "MANUALLY_REVIEW", "REQUEST_RETURN",
    ]  # fmt: skip
    assert all("return_reason" in made["completion_codes"][n]["actions"][0] for n in (1, 3))
    assert client.places("st1") == Places("UNPUBLISHED", 0, 20)
    with pytest.raises(SourceError, match=r"Prolific refused GET /studies/none/ \(404\): .*Not found"):
        client.places("none")
    with pytest.raises(SourceError, match="credentials"):
        ProlificClient("wrong", server[0]).places("st1")


def test_decisions_are_carried_out_once_and_within_the_limit(server: tuple[str, type[Prolific]]) -> None:
    client = ProlificClient("secret", server[0])
    found = Decisions(("s0", "s2"), {"s1": "x" * 100}, {"p0": Decimal("0.25")}, 0, {"p0": "s0"})
    due = client.due("st1", found)
    assert (due.approve, list(due.reject)) == (("s0",), ["s1"])
    with pytest.raises(UsageError, match=r"costs \$1.75, more than the limit of \$1.74"):
        client.decide(due, reward=Decimal("1.50"), max_cost=Decimal("1.74"))
    assert server[1].submissions["s0"]["status"] == "AWAITING REVIEW"
    client.decide(due, reward=Decimal("1.50"), max_cost=Decimal("1.75"))
    assert [one["status"] for one in server[1].submissions.values()] == ["APPROVED", "REJECTED", "APPROVED"]
    again = client.due("st1", found)
    assert not again.approve and not again.reject


def test_every_page_of_submissions_is_read(server: tuple[str, type[Prolific]]) -> None:
    """The reference's pages have 20 submissions unless asked otherwise."""
    names = [f"m{n}" for n in range(250)]
    server[1].submissions |= {
        name: {"id": name, "study_id": "st1", "status": "AWAITING REVIEW"} for name in names
    }
    due = ProlificClient("secret", server[0]).due("st1", Decisions(tuple(names), {}, {}, 0))
    assert list(due.approve) == names


def test_a_bonus_is_paid_once_whatever_happens(server: tuple[str, type[Prolific]], tmp_path: Path) -> None:
    """Also when nobody heard Prolific's answer: such a batch is named, and never paid again."""
    site, client = server[1], ProlificClient("secret", server[0])
    site.submissions |= {
        f"m{n}": {"id": f"m{n}", "study_id": "st1", "status": "APPROVED"} for n in range(201)
    }
    with Study(tmp_path / "s", create=True) as study:
        site.dies_paying = True
        with pytest.raises(SourceError, match="Bad gateway"):
            pay_bonuses(study, client, "st1", {"s0": Decimal("0.25")})
        site.dies_paying = False
        every = {"s0": Decimal("0.25"), **{f"m{n}": Decimal("0.10") for n in range(201)}}
        assert len(bonuses_due(study, every)) == 201
        paid = pay_bonuses(study, client, "st1", every)
        assert paid == BonusesPaid(Decimal("20.10"), ("b0",))
        assert pay_bonuses(study, client, "st1", every).total == 0
        assert bonuses_told(study) == Decimal("20.35")
    assert [one["paid"] for one in site.bonuses.values()] == [1, 1, 1]
    assert sum(sum(one["amounts"].values()) for one in site.bonuses.values()) == Decimal("20.35")


def document(printed: str) -> dict[str, Any]:
    """The JSON among what was said to a person."""
    found: dict[str, Any] = json.JSONDecoder().raw_decode(printed[printed.index("{") :])[0]
    return found


def test_the_command_pays_what_the_proposals_say(
    server: tuple[str, type[Prolific]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the proposals of a study with two recruited people to Prolific, twice: the second time nothing is due."""
    monkeypatch.setenv("PROLIFIC_TOKEN", "secret")
    with Study(tmp_path / "s", create=True) as study:
        workers = []
        for person, submission in (("p0", "s0"), ("p1", "s1")):
            remember(study, {"PROLIFIC_PID": person, "STUDY_ID": "st1", "SESSION_ID": submission})
            workers.append(recruited_key(study, person))
    rows = [
        ("a0", workers[0], "local", "approve", "", "0.25"),
        ("a1", workers[1], "local", "reject", "Clearly poor", ""),
    ]
    columns = ["assignment_id", "worker", "market", "proposal", "reason", "bonus"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "p.csv", index=False)
    command = ("prolific", "pay", "st1", tmp_path / "p.csv", "--reward", "1.50", "--study", tmp_path / "s")
    command += ("--api-url", server[0], "--json")
    assert "more than the limit of $1.74" in refused(*command, "--max-cost", "1.74", typed="1.75\n")
    told = document(run(*command, "--max-cost", "1.75", typed="1.75\n"))
    assert (told["approved"], told["rejected"], told["bonuses"]) == (1, 1, 0.25)
    assert len(server[1].submissions["s1"]["message"]) >= 100
    again = document(run(*command, "--max-cost", "1.75"))
    assert (again["approved"], again["bonuses"], again["decided_before"]) == (0, 0.0, ["s0", "s1"])
    assert [one["paid"] for one in server[1].bonuses.values()] == [1]


def test_killed_behind_each_request_it_decides_and_pays_once(
    server: tuple[str, type[Prolific]], tmp_path: Path
) -> None:
    """kill -9 after Prolific did what was asked and before it answered: a decision, a batch made, a batch paid."""
    site = server[1]
    with Study(tmp_path / "s", create=True) as study:
        rows = []
        for person, submission in (("p0", "s0"), ("p1", "s1")):
            remember(study, {"PROLIFIC_PID": person, "STUDY_ID": "st1", "SESSION_ID": submission})
            rows.append((f"a-{person}", recruited_key(study, person), "local", "approve", "", "0.25"))
    columns = ["assignment_id", "worker", "market", "proposal", "reason", "bonus"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "p.csv", index=False)
    words = ["annotate", "prolific", "pay", "st1", "p.csv", "--reward", "1.50", "--study", "s"]
    words += ["--max-cost", "3.50", "--json", "--api-url", server[0]]

    def ended(kill_behind: str, typed: str) -> tuple[int, str]:
        site.kill_behind = kill_behind
        environment = {**os.environ, "PROLIFIC_TOKEN": "secret"}
        with start(*words, cwd=tmp_path, env=environment, typed=typed) as process:
            site.victim = process.pid
            done = process.completed(60)
        return done.returncode, done.stdout + done.stderr

    for kill_behind, due in (
        ("/transition/", "3.50"),
        ("submissions/bonus-payments/", "2.00"),
        ("/pay/", "0.50"),
    ):
        code, said = ended(kill_behind, f"{due}\n")
        assert code == -9, said
    code, said = ended("", "")
    assert code == 0, said
    assert [site.submissions[name]["status"] for name in ("s0", "s1")] == ["APPROVED", "APPROVED"]
    assert sum(batch["paid"] for batch in site.bonuses.values()) == 1
    paid = next(batch for batch in site.bonuses.values() if batch["paid"])
    assert paid["amounts"] == {"s0": Decimal("0.25"), "s1": Decimal("0.25")}


def test_a_token_goes_nowhere_in_the_clear() -> None:
    with pytest.raises(UsageError, match="over https only"):
        ProlificClient("secret", "http://example.org/api/v1").places("st1")
    with pytest.raises(UsageError, match="PROLIFIC_TOKEN"):
        ProlificClient("", "https://example.org")
    with pytest.raises(SourceError, match="did not answer"):
        ProlificClient("secret", "http://127.0.0.1:9").places("st1")
