"""The call sequences of public requester scripts, through boto3, on our server.

Read on 26 November 2026; only the order of calls, their parameters and what is read of the answers is here:

- https://github.com/RishabhJain2018/MTurk-Tutorial: create_tasks.py, get_results.py
- https://github.com/ranjaykrishna/easyturk: easyturk/easyturk.py
- https://github.com/jcjohnson/simple-amt: launch_hits.py, show_hit_progress.py, get_results.py, approve_hits.py,
  disable_hits.py (written for boto 2, whose calls are those of today under other names: DisableHIT is
  UpdateExpirationForHIT and DeleteHIT)
"""

from __future__ import annotations

import datetime
import json
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest
from crowd_study import Crowd, crowd
from test_crowd_mturk import client_of, refused
from test_crowd_server import ask, begin, hidden

from newtest.study import Study

QUESTION = (
    '<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd">'
    "<HTMLContent><![CDATA[<!DOCTYPE html><html><head><script type='text/javascript' "
    "src='https://s3.amazonaws.com/mturk-public/externalHIT_v1.js'></script></head><body>"
    "<form name='mturk_form' method='post' id='mturk_form' action='https://www.mturk.com/mturk/externalSubmit'>"
    "<input type='hidden' value='' name='assignmentId' id='assignmentId'/><textarea name='output'></textarea>"
    "<input type='submit' id='submitButton' value='Submit'/></form><script>turkSetAssignmentID();</script>"
    "</body></html>]]></HTMLContent><FrameHeight>600</FrameHeight></HTMLQuestion>"
)
NAMESPACE = (
    "{http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd}"
)


@pytest.fixture
def market(study: Study) -> Iterator[Crowd]:
    with crowd(study, published=False) as server:
        server.clock.now = time.time()
        yield server


def work(server: Crowd, hit: dict[str, Any], name: str, output: str) -> None:
    """Somebody's browser does the HIT: its form goes where MTurk's would go."""
    task = begin(server, server.invite(name), hit["HITTypeId"])
    page = ask(str(task) + "/page").text
    assignment = hidden(page, "assignmentId")
    reply = ask(f"{server.url}/mturk/externalSubmit", [("assignmentId", assignment), ("output", output)])
    assert reply.status == 200
    assert "?notice=done" in reply.text


def test_tutorial_create_and_get_results(market: Crowd) -> None:
    client = client_of(market.url)
    assert client.get_account_balance()["AvailableBalance"] == "10000.00"
    hit = client.create_hit(
        Title="Is this Tweet happy?", Description="Type one word", Keywords="text, quick", Reward="0.15",
        MaxAssignments=1, LifetimeInSeconds=172800, AssignmentDurationInSeconds=600,
        AutoApprovalDelayInSeconds=14400, Question=QUESTION,
    )["HIT"]  # fmt: skip
    assert hit["HITGroupId"]
    none = client.list_assignments_for_hit(HITId=hit["HITId"], AssignmentStatuses=["Submitted"])
    assert none["NumResults"] == 0
    work(market, hit, "ann", "happy")
    found = client.list_assignments_for_hit(HITId=hit["HITId"], AssignmentStatuses=["Submitted"])
    assert found["NumResults"] == 1
    tree = ElementTree.fromstring(found["Assignments"][0]["Answer"])
    answers = {
        answer.findtext(f"{NAMESPACE}QuestionIdentifier"): answer.findtext(f"{NAMESPACE}FreeText")
        for answer in tree.iter(f"{NAMESPACE}Answer")
    }
    assert answers == {"output": "happy"}


def test_easyturk_launch_results_and_approval(market: Crowd) -> None:
    client = client_of(market.url)
    properties = {
        "Title": "Describe", "Description": "Describe images", "Keywords": "images", "MaxAssignments": 2,
        "LifetimeInSeconds": 604800, "AssignmentDurationInSeconds": 900, "Reward": "0.1", "Question": QUESTION,
    }  # fmt: skip
    wanted = [
        {
            "QualificationTypeId": "00000000000000000040",
            "Comparator": "GreaterThanOrEqualTo",
            "IntegerValues": [0],
        }
    ]
    with pytest.raises(client.exceptions.RequestError, match="QualificationRequirements is not supported"):
        client.create_hit(**properties, QualificationRequirements=wanted)
    hit = client.create_hit(**properties)["HIT"]
    work(market, hit, "ann", json.dumps([{"words": "a fish"}]))
    work(market, hit, "bea", "no JSON")
    states = ["Approved", "Submitted", "Rejected"]
    outputs = {}
    for item in client.list_assignments_for_hit(HITId=hit["HITId"], AssignmentStatuses=states)["Assignments"]:
        assert item["AssignmentStatus"] == "Submitted"
        assert isinstance(item["SubmitTime"], datetime.datetime)
        try:
            outputs[item["AssignmentId"]] = json.loads(str(ElementTree.fromstring(item["Answer"])[0][1].text))
        except ValueError:
            client.reject_assignment(AssignmentId=item["AssignmentId"], RequesterFeedback="Invalid results")
    assert list(outputs.values()) == [[{"words": "a fish"}]]
    for assignment_id in outputs:
        assert (
            client.get_assignment(AssignmentId=assignment_id)["Assignment"]["AssignmentStatus"] == "Submitted"
        )
        client.approve_assignment(
            AssignmentId=assignment_id, RequesterFeedback="Good job", OverrideRejection=False
        )
    progress = client.get_hit(HITId=hit["HITId"])["HIT"]
    assert progress["MaxAssignments"] - progress["NumberOfAssignmentsAvailable"] == 2
    assert progress["NumberOfAssignmentsCompleted"] == 2


def test_simple_amt_launch_progress_results_approve_disable(market: Crowd) -> None:
    client = client_of(market.url)
    hits = [
        client.create_hit(
            Title=f"Name an example {n}", Description="of a category", Keywords="write", Reward="0.05",
            MaxAssignments=1, LifetimeInSeconds=3600, AssignmentDurationInSeconds=900, Question=QUESTION,
        )["HIT"]
        for n in range(12)
    ]  # fmt: skip
    work(market, hits[0], "ann", '{"example": "poodle"}')
    work(market, hits[1], "ann", '{"example": "pug"}')
    paged = [
        hit["HITId"]
        for page in client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 5})
        for hit in page["HITs"]
    ]
    assert sorted(paged) == sorted(hit["HITId"] for hit in hits)
    done = []
    for hit_id in paged:
        for page in client.get_paginator("list_assignments_for_hit").paginate(
            HITId=hit_id, PaginationConfig={"PageSize": 100}
        ):
            done += [item["AssignmentId"] for item in page["Assignments"]]
    assert len(done) == 2
    for assignment_id in done:
        client.approve_assignment(AssignmentId=assignment_id)
    for hit_id in paged:
        client.update_expiration_for_hit(HITId=hit_id, ExpireAt=datetime.datetime(2015, 1, 1))
        client.delete_hit(HITId=hit_id)
    assert client.list_hits()["NumResults"] == 0


def test_what_is_not_offered_says_so_with_a_request_error(market: Crowd) -> None:
    """The shape is RequestError with Message and TurkErrorCode (botocore's model of the service); the code's text,
    AWS.NotSupported, is not verified."""
    client = client_of(market.url)
    calls = {
        "send_bonus": {"WorkerId": "A1", "BonusAmount": "1.00", "AssignmentId": "3A", "Reason": "good"},
        "notify_workers": {"Subject": "hello", "MessageText": "hello", "WorkerIds": ["A1"]},
        "list_reviewable_hits": {},
        "create_qualification_type": {"Name": "q", "Description": "q", "QualificationTypeStatus": "Active"},
        "list_qualification_types": {"MustBeRequestable": True},
        "associate_qualification_with_worker": {"QualificationTypeId": "3Q", "WorkerId": "A1"},
        "create_worker_block": {"WorkerId": "A1", "Reason": "r"},
    }
    for name, parameters in calls.items():
        operation = "".join(part.capitalize() for part in name.split("_")).replace("Hits", "HITs")
        with pytest.raises(client.exceptions.RequestError, match=f"{operation} is not supported"):
            getattr(client, name)(**parameters)
        assert refused(lambda: getattr(client, name)(**parameters))[1] == "AWS.NotSupported"  # noqa: B023
