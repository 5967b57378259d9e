"""boto3, as any requester uses it, against our server; and our own publishing through it."""

from __future__ import annotations

import datetime
import http.client
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from crowd_study import TENCH, TOKEN, Crowd, crowd, fill, plan
from servers.flaky import losing_responses
from test_crowd_server import ask, begin, hidden, send

from newtest.catalog import transaction
from newtest.catalog.crowd import hit_images
from newtest.catalog.publications import unpublished
from newtest.crowd.annotators import PublishConfig, collect, publish
from newtest.crowd.local import LocalAnnotator
from newtest.crowd.mturk import MTurkAnnotator, MTurkConfig
from newtest.crowd.questions import from_question_xml, to_question_xml
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.templates import Page, load_template, render
from newtest.study import Study

HTML = to_question_xml(
    render(
        load_template("select_images"), Page("goldfish", blocks={"image": [{"number": "1", "url": "data:,"}]})
    )
)
HIT = {"Title": "Pick", "Description": "Pick images", "Reward": "0.25", "AssignmentDurationInSeconds": 600}


def client_of(url: str, secret: str = TOKEN, **config: Any) -> Any:
    return boto3.client(
        "mturk",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="newtest",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@contextmanager
def market(study: Study) -> Iterator[Crowd]:
    """An empty market, on the real clock: signatures need the time."""
    allowed = AllowedHosts(images=("pictures.example",))
    with crowd(study, published=False, allowed=allowed) as server:
        server.clock.now = time.time()
        yield server


@pytest.fixture
def empty(study: Study) -> Iterator[Crowd]:
    with market(study) as server:
        yield server


def create(client: Any, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.create_hit(
        **{**HIT, "LifetimeInSeconds": 3600, "Question": HTML, **more}
    )["HIT"]
    return answer


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], str(error.value.response.get("TurkErrorCode", ""))


def group_of(hit: dict[str, Any]) -> str:
    return str(hit["HITTypeId"])


def test_a_hit_is_created_worked_on_listed_approved_and_deleted(empty: Crowd) -> None:
    client = client_of(empty.url)
    assert client.get_account_balance()["AvailableBalance"] == "10000.00"
    hit = create(client, MaxAssignments=2, RequesterAnnotation="mine", Keywords="a, b")
    assert (hit["HITStatus"], hit["MaxAssignments"], hit["Reward"]) == ("Assignable", 2, "0.25")
    assert hit["NumberOfAssignmentsAvailable"] == 2
    assert abs(hit["CreationTime"].timestamp() - empty.clock.now) < 1
    assert client.get_hit(HITId=hit["HITId"])["HIT"]["Question"] == HTML
    task = begin(empty, empty.invite("ann"), group_of(hit))
    assert client.get_hit(HITId=hit["HITId"])["HIT"]["NumberOfAssignmentsPending"] == 1
    send(str(task), 1, comment="<ok> & ]]>")
    (assignment,) = client.list_assignments_for_hit(HITId=hit["HITId"])["Assignments"]
    assert assignment["AssignmentStatus"] == "Submitted"
    assert re.fullmatch(r"A[A-Z0-9]+", assignment["WorkerId"])
    assert "QuestionFormAnswers" in assignment["Answer"]
    assert "&lt;ok&gt; &amp; ]]&gt;" in assignment["Answer"]
    both = client.get_assignment(AssignmentId=assignment["AssignmentId"])
    assert both["Assignment"]["Answer"] == assignment["Answer"]
    assert both["HIT"]["HITId"] == hit["HITId"]
    client.approve_assignment(AssignmentId=assignment["AssignmentId"], RequesterFeedback="thanks")
    approved = client.get_assignment(AssignmentId=assignment["AssignmentId"])["Assignment"]
    assert (approved["AssignmentStatus"], approved["RequesterFeedback"]) == ("Approved", "thanks")
    assert isinstance(approved["ApprovalTime"], datetime.datetime)
    assert client.get_account_balance()["AvailableBalance"] == "9999.75"
    assert refused(lambda: client.delete_hit(HITId=hit["HITId"]))[1] == "AWS.MechanicalTurk.InvalidHITState"
    client.update_expiration_for_hit(HITId=hit["HITId"], ExpireAt=0)
    assert client.get_hit(HITId=hit["HITId"])["HIT"]["HITStatus"] == "Reviewable"
    client.delete_hit(HITId=hit["HITId"])
    assert client.list_hits()["NumResults"] == 0
    assert client.get_hit(HITId=hit["HITId"])["HIT"]["HITStatus"] == "Disposed"


def test_assignments_are_rejected_overridden_and_approved_by_themselves(empty: Crowd) -> None:
    client = client_of(empty.url)
    hit = create(client, MaxAssignments=2, AutoApprovalDelayInSeconds=3600)
    for name in ("ann", "bea"):
        send(str(begin(empty, empty.invite(name), group_of(hit))), 1)
    first, second = (
        a["AssignmentId"] for a in client.list_assignments_for_hit(HITId=hit["HITId"])["Assignments"]
    )
    client.reject_assignment(AssignmentId=first, RequesterFeedback="random clicks")
    wrong = "AWS.MechanicalTurk.InvalidAssignmentState"
    assert refused(lambda: client.approve_assignment(AssignmentId=first)) == ("RequestError", wrong)
    assert refused(lambda: client.reject_assignment(AssignmentId=first, RequesterFeedback="x"))[1] == wrong
    rejected = client.list_assignments_for_hit(HITId=hit["HITId"], AssignmentStatuses=["Rejected"])
    assert [a["AssignmentId"] for a in rejected["Assignments"]] == [first]
    client.approve_assignment(AssignmentId=first, OverrideRejection=True)
    empty.clock.now += 3601
    assert refused(lambda: client.get_hit(HITId=hit["HITId"]))[0] == "InvalidSignatureException"
    empty.clock.now = time.time()
    assert client.get_assignment(AssignmentId=second)["Assignment"]["AssignmentStatus"] == "Submitted"


def test_hit_types_are_shared_and_more_assignments_can_be_added(empty: Crowd) -> None:
    client = client_of(empty.url)
    types = {client.create_hit_type(**HIT)["HITTypeId"] for _ in range(2)}
    assert len(types) == 1
    (type_id,) = types
    hit = client.create_hit_with_hit_type(HITTypeId=type_id, LifetimeInSeconds=600, Question=HTML)["HIT"]
    assert (hit["MaxAssignments"], hit["HITTypeId"], hit["Title"]) == (1, type_id, "Pick")
    more = {"HITId": hit["HITId"], "NumberOfAdditionalAssignments": 4, "UniqueRequestToken": "more1"}
    client.create_additional_assignments_for_hit(**more)
    assert refused(lambda: client.create_additional_assignments_for_hit(**more))[0] == "RequestError"
    assert client.get_hit(HITId=hit["HITId"])["HIT"]["MaxAssignments"] == 5


def test_paginators_give_everything_once(empty: Crowd) -> None:
    client = client_of(empty.url)
    created = [create(client, MaxAssignments=7)["HITId"] for _ in range(23)]
    pages = list(client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 10}))
    assert [page["NumResults"] for page in pages] == [10, 10, 3]
    assert sorted(hit["HITId"] for page in pages for hit in page["HITs"]) == sorted(created)
    hit = client.get_hit(HITId=created[0])["HIT"]
    for n in range(7):
        link = empty.invite(f"w{n}")
        send(str(begin(empty, link, group_of(hit))), 1)
    paginator = client.get_paginator("list_assignments_for_hit")
    found = [
        a["AssignmentId"]
        for hit_id in created
        for page in paginator.paginate(HITId=hit_id, MaxResults=3)
        for a in page["Assignments"]
    ]
    assert len(found) == len(set(found)) == 7


def test_a_request_token_is_one_hit_for_24_hours_and_no_longer(study: Study) -> None:
    with market(study) as server:
        client = client_of(server.url)
        first = create(client, UniqueRequestToken="t1")
        code = refused(lambda: create(client, UniqueRequestToken="t1"))
        assert code == ("RequestError", "AWS.MechanicalTurk.HITAlreadyExists")
        study.catalog.execute("UPDATE market_requests SET made_at = made_at - 86401")
        assert create(client, UniqueRequestToken="t1")["HITId"] != first["HITId"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Question": "<x/>"}, "AWS.MechanicalTurk.XMLParseError"),
        ({"Question": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}, "AWS.MechanicalTurk.XMLParseError"),
        ({"Question": "x" * 65_536}, "AWS.ParameterOutOfRange"),
        ({"Reward": "1000000.00"}, "AWS.ParameterOutOfRange"),
        ({"Reward": "many"}, "AWS.ParameterOutOfRange"),
        ({"MaxAssignments": 0}, "AWS.ParameterOutOfRange"),
        ({"LifetimeInSeconds": 1}, "AWS.ParameterOutOfRange"),
        ({"Title": "x" * 129}, "AWS.ParameterOutOfRange"),
        ({"RequesterAnnotation": "x" * 256}, "AWS.ParameterOutOfRange"),
        ({"HITLayoutId": "3LAYOUT"}, "AWS.NotSupported"),
    ],
)
def test_what_cannot_be_is_refused_with_mturks_error(empty: Crowd, change: dict[str, Any], code: str) -> None:
    client = client_of(empty.url, parameter_validation=False)
    assert refused(lambda: create(client, **change)) == ("RequestError", code)
    assert client.list_hits()["NumResults"] == 0


def test_what_is_not_there_is_said_so(empty: Crowd) -> None:
    client = client_of(empty.url, parameter_validation=False)
    for call, code in (
        (lambda: client.get_hit(HITId="3NONE"), "AWS.MechanicalTurk.HITDoesNotExist"),
        (lambda: client.get_hit(HITId="../x"), "AWS.ParameterOutOfRange"),
        (lambda: client.get_assignment(AssignmentId="3NONE"), "AWS.MechanicalTurk.AssignmentDoesNotExist"),
        (lambda: client.list_hits(NextToken="bm9uZQ=="), "AWS.ParameterOutOfRange"),
        (lambda: client.list_hits(MaxResults=101), "AWS.ParameterOutOfRange"),
        (
            lambda: client.create_hit_with_hit_type(HITTypeId="3NONE", LifetimeInSeconds=60, Question=HTML),
            "AWS.MechanicalTurk.HITTypeDoesNotExist",
        ),
    ):
        assert refused(call) == ("RequestError", code)  # type: ignore[arg-type]
    assert refused(lambda: client.list_bonus_payments(HITId="3NONE")) == ("RequestError", "AWS.NotSupported")
    with pytest.raises(client.exceptions.RequestError):
        client.get_hit(HITId="3NONE")


def signed(
    url: str, body: bytes, at: datetime.datetime | None = None, target: str = "GetAccountBalance"
) -> Any:
    headers = {
        "X-Amz-Target": f"MTurkRequesterServiceV20170117.{target}",
        "Content-Type": "application/x-amz-json-1.1",
        "Host": urllib.parse.urlsplit(url).netloc,
    }
    request = AWSRequest("POST", url + "/", headers=headers, data=body)
    SigV4Auth(Credentials("newtest", TOKEN), "mturk-requester", "us-east-1").add_auth(request)
    return request


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    result = response.status, response.read().decode()
    connection.close()
    return result


def test_signatures_are_verified_and_cannot_be_replayed(empty: Crowd) -> None:
    assert (
        refused(lambda: client_of(empty.url, secret="wrong").get_account_balance())[0]
        == "InvalidSignatureException"
    )
    request = signed(empty.url, b"{}")
    headers = dict(request.headers)
    empty.clock.now = time.time()
    assert post(empty.url, headers, b"{}")[0] == 200
    assert post(empty.url, headers, b'{"a": 1}')[1].count("InvalidSignatureException") == 1
    other = {**headers, "X-Amz-Target": "MTurkRequesterServiceV20170117.ListHITs"}
    assert "InvalidSignatureException" in post(empty.url, other, b"{}")[1]
    assert post(empty.url, headers, b"{}")[0] == 200  # the same call within the same second, a retry
    empty.clock.now += 3
    assert "used before" in post(empty.url, headers, b"{}")[1]
    empty.clock.now += 400
    assert "expired" in post(empty.url, headers, b"{}")[1]
    empty.clock.now = time.time()
    for authorization, code in (
        ("", "MissingAuthenticationToken"),
        ("AWS4-HMAC-SHA256 nonsense", "IncompleteSignature"),
        (headers["Authorization"].replace("newtest/", "other/"), "UnrecognizedClient"),
        (headers["Authorization"].replace("host;", ""), "IncompleteSignature"),
    ):
        assert code in post(empty.url, {**headers, "Authorization": authorization}, b"{}")[1]
    body = b"[" * 100_000
    assert "SerializationException" in post(empty.url, dict(signed(empty.url, body).headers), body)[1]


def test_what_is_done_is_what_was_signed(empty: Crowd) -> None:
    """A header that comes twice: the signature must not hold for one while the other is obeyed."""
    hit = create(client_of(empty.url), MaxAssignments=1)["HITId"]
    body = f'{{"HITId": "{hit}", "ExpireAt": 0}}'.encode()
    request = signed(empty.url, body, target="GetHIT")
    empty.clock.now = time.time()
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(empty.url).netloc, timeout=10)
    connection.putrequest("POST", "/", skip_host=True)
    connection.putheader("X-Amz-Target", "MTurkRequesterServiceV20170117.UpdateExpirationForHIT")
    for name, value in (*request.headers.items(), ("Content-Length", str(len(body)))):
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse().read().decode()
    connection.close()
    assert "InvalidSignatureException" in answer
    assert client_of(empty.url).get_hit(HITId=hit)["HIT"]["HITStatus"] == "Assignable"


def test_a_fault_of_the_servers_is_one_that_clients_try_again(empty: Crowd) -> None:
    client = client_of(empty.url)
    empty.study.catalog.execute("ALTER TABLE market_hits RENAME TO elsewhere")
    with pytest.raises(client.exceptions.ServiceFault):
        client.list_hits()


def test_a_requesters_own_page_is_shown_in_a_sandbox_and_sent_to_us(empty: Crowd) -> None:
    client = client_of(empty.url)
    page = (
        "<html><body><script>let a = 1</script>"
        "<form name='f' action='https://www.mturk.com/mturk/externalSubmit'><input name='x'></form></body></html>"
    )
    hit = create(client, Question=to_question_xml(page))
    task = begin(empty, empty.invite("ann"), group_of(hit))
    reply = ask(f"{task}/page")
    assert "sandbox allow-scripts" in reply.headers["content-security-policy"]
    assert "allow-same-origin" not in reply.headers["content-security-policy"]
    assert "mturk.com" not in reply.text
    assert ask(f"{task}/submit", {"csrf": hidden(reply.text, "csrf"), "x": "7"}).status == 303
    (assignment,) = client.list_assignments_for_hit(HITId=hit["HITId"])["Assignments"]
    assert "<QuestionIdentifier>x</QuestionIdentifier><FreeText>7</FreeText>" in assignment["Answer"]
    assert "csrf" not in assignment["Answer"]


# Our own publishing
# -----------------------------------------------------------------------------------------------


@contextmanager
def two_studies(study: Study, tmp_path: Path) -> Iterator[tuple[Crowd, Study]]:
    """A server on one study, and another study that publishes to it."""
    with market(study) as server, Study(tmp_path / "asking", create=True) as asking:
        with transaction(asking.catalog):
            fill(asking, candidates=16, references=12)
        plan(asking)
        yield server, asking


def annotator_to(url: str, retries: int = 8) -> MTurkAnnotator:
    config = MTurkConfig("test", url, "newtest", TOKEN, timeout=10, retries=retries)
    return MTurkAnnotator(config, lambda hit_id, image: f"https://pictures.example/{image.image_id}.jpg")


def publish_all(study: Study, annotator: MTurkAnnotator) -> int:
    hit_ids = [hit_id for hit_id, _ in unpublished(study.catalog, annotator.market)]
    return publish(study, annotator, PublishConfig(), hit_ids)


def test_publishing_and_collecting_survive_a_proxy_that_loses_responses(study: Study, tmp_path: Path) -> None:
    with two_studies(study, tmp_path) as (server, asking), losing_responses(server.url, every=3) as url:
        annotator = annotator_to(url)
        assert publish_all(asking, annotator) == 4
        hits = study.catalog.execute(
            "SELECT annotation, count(*) FROM market_hits GROUP BY annotation"
        ).fetchall()
        assert [row[1] for row in hits] == [1, 1, 1, 1]
        types = {row[0] for row in study.catalog.execute("SELECT hit_type_id FROM market_hits")}
        for name in ("ann", "bea"):
            link = server.invite(name)
            for group in sorted(types):
                while task := begin(server, link, group):
                    send(task, 1, 2)
        with losing_responses(server.url, every=10) as every_tenth:
            summary = collect(asking, annotator_to(every_tenth))
        assert (summary.assignments, summary.votes) == (8, 96)
        workers = asking.catalog.execute("SELECT count(DISTINCT worker), count(*) FROM votes").fetchone()
        assert tuple(workers) == (2, 96)
        assert collect(asking, annotator).assignments == 0


def test_a_hit_that_went_elsewhere_while_the_total_was_typed_is_not_published_again(
    study: Study, tmp_path: Path
) -> None:
    with two_studies(study, tmp_path) as (server, asking):
        chosen = [hit_id for hit_id, _ in unpublished(asking.catalog, "test")]
        here = LocalAnnotator(server.clock)
        assert publish(asking, here, PublishConfig(), chosen[:3]) == 3  # in another terminal
        assert publish(asking, here, PublishConfig(), chosen[:1]) == 0
        assert publish(asking, annotator_to(server.url), PublishConfig(), chosen) == 1
        assert study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 1


def test_killed_after_the_call_and_before_the_id_is_written_nothing_is_created_twice(
    study: Study, tmp_path: Path
) -> None:
    with two_studies(study, tmp_path) as (server, asking):
        annotator = annotator_to(server.url)
        assert publish_all(asking, annotator) == 4
        ids = dict(asking.catalog.execute("SELECT hit_id, market_hit_id FROM publications").fetchall())
        forget = "UPDATE publications SET market_hit_id = NULL, published_at = NULL WHERE hit_id IN (?, ?)"
        lost = sorted(ids)[:2]
        for later in (0, 86_401):  # within and after the 24 hours of the request token
            asking.catalog.execute(forget, lost)
            study.catalog.execute("UPDATE market_requests SET made_at = made_at - ?", (later,))
            assert publish_all(asking, annotator) == 2
            assert (
                dict(asking.catalog.execute("SELECT hit_id, market_hit_id FROM publications").fetchall())
                == ids
            )
            assert study.catalog.execute("SELECT count(*) FROM market_hits").fetchone()[0] == 4


def test_a_rejected_assignment_is_no_vote_even_when_it_was_collected_before(
    study: Study, tmp_path: Path
) -> None:
    with two_studies(study, tmp_path) as (server, asking):
        annotator = annotator_to(server.url)
        publish_all(asking, annotator)
        task = begin(
            server,
            server.invite("ann"),
            study.catalog.execute("SELECT hit_type_id FROM market_hits").fetchone()[0],
        )
        send(str(task), 1)
        assert collect(asking, annotator).votes == 12
        client = client_of(server.url)
        assignment = study.catalog.execute("SELECT assignment_id FROM market_assignments").fetchone()[0]
        client.reject_assignment(AssignmentId=assignment, RequesterFeedback="no")
        collect(asking, annotator)
        assert asking.catalog.execute("SELECT count(*) FROM votes").fetchone()[0] == 0
        assert asking.catalog.execute("SELECT count(*) FROM answers").fetchone()[0] == 12


def test_the_page_that_is_published_shows_the_images_of_the_hit_in_order(
    study: Study, tmp_path: Path
) -> None:
    with two_studies(study, tmp_path) as (server, asking):
        publish_all(asking, annotator_to(server.url))
        row = study.catalog.execute("SELECT question, annotation FROM market_hits LIMIT 1").fetchone()
        shown = re.findall(r"https://pictures.example/([0-9a-f]{40})", from_question_xml(row[0]))
        hit_id = row[1].removeprefix("newtest:")
        assert shown == [image.image_id for image in hit_images(asking.catalog, hit_id)]
        assert len(unpublished(asking.catalog, "live")) == 0
        assert len(unpublished(asking.catalog, "sandbox")) == 4
        assert TENCH in {r[0] for r in asking.catalog.execute("SELECT wnid FROM hits")}
