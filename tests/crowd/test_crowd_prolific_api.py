"""The client against a local server that follows Prolific's public reference; NOT verified against Prolific itself."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from newtest.crowd.prolific import Decisions
from newtest.crowd.prolific_api import Draft, Places, ProlificClient
from newtest.errors import SourceError, UsageError

DRAFT = Draft(
    "Fish", "Look at photos", "https://crowd.example.org/", 20, 10, 150, "DONE1", "NO1", "FAIL1", "LATE1"
)


class Prolific(BaseHTTPRequestHandler):
    """Studies, submissions and bonus payments in memory, with the reference's addresses, fields and refusals."""

    studies: dict[str, dict[str, Any]]
    submissions: dict[str, dict[str, Any]]
    bonuses: dict[str, dict[str, Any]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._allowed():
            return None
        if found := re.fullmatch(r"/api/v1/studies/(\w+)/", self.path):
            study = self.studies.get(found[1])
            return self._send(200 if study else 404, study or {"error": {"title": "Not found"}})
        if found := re.fullmatch(r"/api/v1/submissions/\?study=(\w+)&limit=\d+", self.path):
            listed = [one for one in self.submissions.values() if one["study"] == found[1]]
            return self._send(200, {"results": listed})
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
            self.bonuses["b1"] = {**body, "id": "b1", "paid": False}
            return self._send(201, self.bonuses["b1"])
        if self.path == "/api/v1/bulk-bonus-payments/b1/pay/":
            self.bonuses["b1"]["paid"] = True
            return self._send(202, {})
        return self._send(404, {"error": {"title": "Not found"}})

    def _allowed(self) -> bool:
        if self.headers["Authorization"] == "Token secret":
            return True
        self._send(401, {"error": {"title": "Authentication credentials were not provided."}})
        return False

    def _send(self, status: int, body: dict[str, Any]) -> None:
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
        name: {"id": name, "study": "st1", "status": status}
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
    assert client.places("st1") == Places("UNPUBLISHED", 0, 20)
    with pytest.raises(SourceError, match=r"Prolific refused GET /studies/none/ \(404\): .*Not found"):
        client.places("none")
    with pytest.raises(SourceError, match="credentials"):
        ProlificClient("wrong", server[0]).places("st1")


def test_decisions_are_carried_out_once_and_within_the_limit(server: tuple[str, type[Prolific]]) -> None:
    client = ProlificClient("secret", server[0])
    found = Decisions(("s0", "s2"), {"s1": "x" * 100}, {"p0": Decimal("0.25")}, 0, {"p0": "s0"})
    with pytest.raises(UsageError, match=r"costs \$3.25, more than the limit of \$3.24"):
        client.decide("st1", found, reward=Decimal("1.50"), max_cost=Decimal("3.24"))
    assert server[1].submissions["s0"]["status"] == "AWAITING REVIEW"
    assert client.decide("st1", found, reward=Decimal("1.50"), max_cost=Decimal("3.25")) == ["s2"]
    assert [one["status"] for one in server[1].submissions.values()] == ["APPROVED", "REJECTED", "APPROVED"]
    bonus = server[1].bonuses.pop("b1")
    assert sorted(client.decide("st1", found, reward=Decimal("1.50"), max_cost=Decimal("9"))) == [
        "s0",
        "s1",
        "s2",
    ]
    assert server[1].bonuses == {}  # a second run pays nothing twice
    assert bonus == {"study_id": "st1", "csv_bonuses": "p0,0.25", "id": "b1", "paid": True}


def test_a_token_goes_nowhere_in_the_clear() -> None:
    with pytest.raises(UsageError, match="over https only"):
        ProlificClient("secret", "http://example.org/api/v1").places("st1")
    with pytest.raises(UsageError, match="PROLIFIC_TOKEN"):
        ProlificClient("", "https://example.org")
    with pytest.raises(SourceError, match="did not answer"):
        ProlificClient("secret", "http://127.0.0.1:9").places("st1")
