"""The MTurk annotator: the requester protocol through boto3, to any endpoint. The one file that imports
boto3.

CreateHIT is not idempotent for longer than 24 hours, so before anything is created the market's list of HITs
is read and matched by ``RequesterAnnotation``, which carries our HIT's id. ``UniqueRequestToken`` covers what
is in flight.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from newtest.catalog.asked import asked_of
from newtest.catalog.kept import kept
from newtest.catalog.market import planned_assignments
from newtest.catalog.publications import Publication
from newtest.config import from_mapping
from newtest.crowd.annotators import PublishConfig, Returned, Submitted
from newtest.crowd.local import described_as, planned_template
from newtest.crowd.questions import PictureUrl, Wording, page_of, to_question_xml
from newtest.crowd.templates import render
from newtest.errors import MissingExtra, SourceError
from newtest.study import Study

__all__ = ["CLOSING_NOTICE", "LIVE_URL", "SANDBOX_URL", "MTurkAnnotator", "MTurkConfig"]

LIVE_URL = "https://mturk-requester.us-east-1.amazonaws.com"
SANDBOX_URL = "https://mturk-requester-sandbox.us-east-1.amazonaws.com"
CLOSING_NOTICE = (
    "Amazon Mechanical Turk closed on 30 September 2026: this endpoint is not expected to answer. "
    "newtest annotate serve offers the same protocol on your own machine."
)
ANNOTATION = "newtest:"


@dataclass(frozen=True)
class MTurkConfig:
    """Which endpoint, and who we are there; without keys boto3 looks for them as it always does."""

    market: str
    """What the catalog calls it: 'live', 'sandbox', or the endpoint's URL."""
    endpoint_url: str
    access_key: str | None = None
    secret_key: str | None = None
    timeout: float = 30.0
    retries: int = 8


class MTurkAnnotator:
    """An Annotator on a market that speaks MTurk's requester protocol.

    ``picture_url`` gives the address under which workers' browsers find a picture.
    """

    origin: Literal["local", "mturk"] = "mturk"

    def __init__(self, config: MTurkConfig, picture_url: PictureUrl) -> None:
        """Raises MissingExtra when boto3 is not installed."""
        self._config, self._picture_url = config, picture_url
        self._client = _client(config)

    @property
    def market(self) -> str:
        return self._config.market

    def balance(self) -> str:
        """The account's balance in dollars."""
        return str(self._call(self._client.get_account_balance)["AvailableBalance"])

    def publish(self, study: Study, intents: Sequence[Publication]) -> Iterator[tuple[str, str]]:
        """Create the HITs that the market does not have; what it has is found by its annotation."""
        if not intents:
            return
        known = self._known_hits()
        for intent in intents:
            yield intent.hit_id, known.get(intent.hit_id) or self._create(study, intent)

    def collect(self, study: Study, publication: Publication) -> Returned:
        """Everything submitted for a HIT. Its state is asked for first: nothing can come after it was over."""
        hit_id = publication.market_hit_id
        hit = self._call(self._client.get_hit, HITId=hit_id)["HIT"]
        pages = self._call(self._pages, "list_assignments_for_hit", HITId=hit_id)
        found = [self._submitted(study, item) for page in pages for item in page["Assignments"]]
        waiting = any(submitted.status == "submitted" for submitted in found)
        return Returned(found, hit["HITStatus"] in ("Reviewable", "Reviewing", "Disposed") and not waiting)

    def approve(self, assignment_id: str, feedback: str) -> str:
        """Pay for an assignment; gives the status that holds then, which may have been decided before."""
        return self._decide(self._client.approve_assignment, assignment_id, feedback)

    def reject(self, assignment_id: str, feedback: str) -> str:
        """Do not pay for an assignment; the worker reads the feedback. Gives the status as ``approve`` does."""
        return self._decide(self._client.reject_assignment, assignment_id, feedback)

    def _decide(self, decision: Callable[..., Any], assignment_id: str, feedback: str) -> str:
        with contextlib.suppress(_DecidedBeforeError):
            self._call(decision, AssignmentId=assignment_id, RequesterFeedback=feedback)
        found = self._call(self._client.get_assignment, AssignmentId=assignment_id)["Assignment"]
        return str(found["AssignmentStatus"]).lower()

    def _create(self, study: Study, intent: Publication) -> str:
        config = from_mapping(
            PublishConfig, kept(intent.settings, "how HITs are published", dict), where="publication"
        )
        asked = asked_of(study.catalog, intent.hit_id)
        config = described_as(config, asked.kind)
        html = render(
            planned_template(config.template, asked),
            page_of(study.catalog, intent.hit_id, self._picture_url, Wording(config.language)),
        )
        try:
            answer = self._call(
                self._client.create_hit,
                MaxAssignments=planned_assignments(study.catalog, intent.hit_id),
                AutoApprovalDelayInSeconds=config.auto_approval,
                LifetimeInSeconds=config.lifetime,
                AssignmentDurationInSeconds=config.duration,
                Reward=config.reward,
                Title=config.title,
                Keywords=config.keywords,
                Description=config.description,
                Question=to_question_xml(html),
                RequesterAnnotation=ANNOTATION + intent.hit_id,
                UniqueRequestToken=intent.request_token,
            )
        except _AlreadyExistsError:
            if found := self._known_hits().get(intent.hit_id):
                return found
            raise SourceError(
                f"{self._config.endpoint_url}: HIT {intent.hit_id} was created and deleted there within a day, and the "
                "market does not make it again before that day is over; run the same command again then"
            ) from None
        return str(answer["HIT"]["HITId"])

    def _known_hits(self) -> dict[str, str]:
        """Our HIT's id -> the market's, for everything that we ever created there."""
        pages = self._call(self._pages, "list_hits")
        hits = [hit for page in pages for hit in page["HITs"]]
        marked = [(hit.get("RequesterAnnotation", ""), hit["HITId"]) for hit in hits]
        return {
            note.removeprefix(ANNOTATION): hit_id for note, hit_id in marked if note.startswith(ANNOTATION)
        }

    def _pages(self, operation: str, **parameters: Any) -> list[dict[str, Any]]:
        paginator = self._client.get_paginator(operation)
        return list(paginator.paginate(**parameters, PaginationConfig={"PageSize": 100}))

    def _submitted(self, study: Study, item: dict[str, Any]) -> Submitted:
        return Submitted(
            assignment_id=item["AssignmentId"],
            worker=study.worker_key(f"mturk:{item['WorkerId']}"),
            status=item["AssignmentStatus"].lower(),
            accepted_at=_iso(item.get("AcceptTime")),
            submitted_at=_iso(item.get("SubmitTime")),
            answer=item.get("Answer", ""),
        )

    def _call(self, function: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
        """One call, with AWS's errors made ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return function(*args, **parameters)
        except ClientError as error:
            code = f"{error.response.get('TurkErrorCode', '')} {error}"
            if "HITAlreadyExists" in code:
                raise _AlreadyExistsError from error
            if "InvalidAssignmentState" in code:
                raise _DecidedBeforeError from error
            raise SourceError(f"{self._config.endpoint_url}: {error}") from error
        except BotoCoreError as error:
            raise SourceError(
                f"{self._config.endpoint_url}: {error}; run the same command again to go on"
            ) from error


class _AlreadyExistsError(Exception):
    """The request token was used: the HIT is there."""


class _DecidedBeforeError(Exception):
    """The assignment is approved or rejected already."""


def _client(config: MTurkConfig) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingExtra("boto3", "mturk") from error
    return boto3.client(
        "mturk",
        region_name="us-east-1",
        endpoint_url=config.endpoint_url,
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        config=Config(
            connect_timeout=config.timeout,
            read_timeout=config.timeout,
            retries={"total_max_attempts": config.retries, "mode": "standard"},
        ),
    )


def _iso(value: datetime.datetime | None) -> str | None:
    return None if value is None else value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
