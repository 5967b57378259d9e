"""A study that another process keeps to itself, a clock that is put back, calls that come twice."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from contextlib import closing

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from crowd_study import TOKEN, Crowd, crowd
from test_crowd_mturk import HIT, HTML, client_of
from test_crowd_server import Reply, ask, begin, hidden, send

from newtest.crowd.languages import language
from newtest.study import Study


def signed(
    url: str, body: bytes, *, region: str = "us-east-1", service: str = "mturk-requester", **headers: str
) -> AWSRequest:
    request = AWSRequest(
        "POST",
        url,
        data=body,
        headers={
            "X-Amz-Target": "MTurkRequesterServiceV20170117.GetAccountBalance",
            "Content-Type": "application/x-amz-json-1.1",
            **headers,
        },
    )
    SigV4Auth(Credentials("newtest", TOKEN), service, region).add_auth(request)
    return request


def post(url: str, request: AWSRequest) -> Reply:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request("POST", "/", request.data, dict(request.headers))
    response = connection.getresponse()
    reply = Reply(response.status, dict(response.getheaders()), response.read().decode())
    connection.close()
    return reply


def test_a_locked_study_answers_at_once_and_pages_recover(server: Crowd) -> None:
    link = server.invite("ann")
    task = begin(server, link)
    page = ask(f"{task}/page").text
    with closing(sqlite3.connect(server.study.root / "study.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        reply = ask(f"{task}/submit", [("csrf", hidden(page, "csrf")), ("selected", "3"), ("selected", "4")])
        assert reply.status == 503
        assert reply.headers["retry-after"] == "3"
        assert language("en").work["busy_why"] in reply.text
        assert reply.text.count('name="selected"') == 2  # the page sends the form again by itself
        assert ask(link).status == 503
        assert ask(f"{server.url}/static/crowd.css").status == 200
        assert ask(f"{server.url}/owner/progress.json", authorization=f"Bearer {TOKEN}").status == 503
        other.execute("ROLLBACK")
    assert ask(link).status == 200
    assert send(str(task), 3, 4).headers["location"].endswith("notice=done")


def test_a_requester_is_told_that_the_study_is_busy(study: Study) -> None:
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        client = client_of(server.url)
        with closing(sqlite3.connect(study.root / "study.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(client.exceptions.ServiceFault, match="busy"):
                client.get_account_balance()
            other.execute("ROLLBACK")
        assert client.get_account_balance()["AvailableBalance"] == "10000.00"


def test_a_clock_that_is_put_back_hides_nothing(server: Crowd) -> None:
    def controls() -> int:
        reply = ask(f"{server.url}/owner/progress.json", authorization=f"Bearer {TOKEN}")
        return sum(worker["controls"] for worker in json.loads(reply.text)["workers"])

    send(str(begin(server, server.invite("ann"))), 1)
    first = controls()
    assert first > 0
    server.clock.now -= 86_400
    send(str(begin(server, server.invite("bea"))), 1)
    assert controls() == 2 * first
    progress = ask(f"{server.url}/owner/progress.json", authorization=f"Bearer {TOKEN}").text
    assert '"submitted":2' in progress


def test_region_and_service_are_those_of_mturk(study: Study) -> None:
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        assert post(server.url, signed(server.url, b"{}")).status == 200
        for wrong in ({"region": "eu-west-1"}, {"service": "s3"}):
            reply = post(server.url, signed(server.url, b"{}", **wrong))
            assert reply.status == 400
            assert "scoped to the region us-east-1 and the service mturk-requester" in reply.text


def test_a_recorded_call_is_refused_after_a_restart_and_with_the_clock_put_back(study: Study) -> None:
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        recorded = signed("http://127.0.0.1", b"{}")
        recorded.headers["Host"] = "127.0.0.1"
        assert post(server.url, recorded).status == 200
        server.clock.now += 3
        assert "used before" in post(server.url, recorded).text
        server.clock.now -= 60
        assert "used before" in post(server.url, recorded).text
    with crowd(study, published=False) as again:
        again.clock.now = time.time() + 5
        assert "used before" in post(again.url, recorded).text


def test_a_repeated_create_hit_creates_one_hit(study: Study) -> None:
    """A client that loses the answer sends the same call again: with the same signature, or (AWS's own clients) signed
    anew under the same invocation id. Two calls that are alike are two HITs."""
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        client = client_of(server.url)
        created = client.create_hit(**HIT, LifetimeInSeconds=3600, Question=HTML)["HIT"]["HITId"]
        sent: list[AWSRequest] = []
        client.meta.events.register("before-send.mturk.CreateHIT", lambda request, **_: sent.append(request))
        client.create_hit(**HIT, LifetimeInSeconds=3600, Question=HTML)
        (request,) = sent
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        repeated = AWSRequest("POST", server.url, data=body, headers=dict(request.headers))
        first, second = post(server.url, repeated), post(server.url, repeated)
        assert first.status == second.status == 200
        assert first.text == second.text
        server.clock.now = time.time() + 30
        kept = {
            name: str(value) for name, value in request.headers.items()
            if name.lower() in ("x-amz-target", "content-type", "amz-sdk-invocation-id")
        }  # fmt: skip
        time.sleep(1.1)  # a signature's time counts whole seconds
        anew = signed(
            server.url,
            body,
            **{key: value.removeprefix("b'").removesuffix("'") for key, value in kept.items()},
        )
        assert post(server.url, anew).text == first.text
        hits = client.list_hits()["HITs"]
        assert len(hits) == 2
        assert created in {hit["HITId"] for hit in hits}
