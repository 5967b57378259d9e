"""MTurk's requester operations on the catalog, without HTTP: each takes the request's JSON and gives the
answer's.

Names, shapes, states and error codes are those of the MTurk API, version 2017-01-17. What is not offered is
refused by name: operations on qualifications, bonuses and messages, review policies, HIT layouts; and pages that could
not work here, with each host and element.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from newtest.catalog import leases, market
from newtest.catalog.leases import Lease
from newtest.catalog.market import HitType, MarketHit
from newtest.config import fingerprint
from newtest.crowd.costs import cents
from newtest.crowd.ledger import ledger
from newtest.crowd.questions import from_question_xml
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.requester.inspection import inspect_page
from newtest.crowd.server.extending import committed
from newtest.crowd.server.leases import new_id
from newtest.crowd.server.parameters import Parameters, TurkError
from newtest.crowd.server.shapes import (
    STATES,
    assignment_json,
    hit_json,
    hit_status,
    page_token,
    read_page_token,
)
from newtest.errors import SourceError, UsageError

__all__ = ["OPERATIONS", "UNSUPPORTED", "Operation", "Terms", "call"]

DAY = 86_400.0
DEFAULT_AUTO_APPROVAL = 30 * 86_400


@dataclass(frozen=True)
class Terms:
    """What the owner has set for requesters: the balance that they start from, and what their pages may load."""

    balance: Decimal
    allowed: AllowedHosts
    is_ours: Callable[[str], bool]
    """Whether an address is a picture of this server."""
    max_cost: Decimal | None = None
    """What all that is open, owed and paid may cost."""


def call(
    catalog: sqlite3.Connection, name: str, values: Mapping[str, Any], now: float, terms: Terms
) -> dict[str, Any]:
    """Answer one call. ``now`` in seconds since 1970. Raises TurkError, KeyError for an operation that is not
    there."""
    leases.sweep(catalog, now)
    return OPERATIONS[name](Operation(catalog, Parameters(values), now, terms))


class Operation:
    """One call: the catalog, its parameters, the time."""

    def __init__(self, catalog: sqlite3.Connection, given: Parameters, now: float, terms: Terms) -> None:
        self.catalog, self.given, self.now, self.terms = catalog, given, now, terms

    def get_account_balance(self) -> dict[str, Any]:
        earned = cents(ledger(self.catalog, self.now).earned.reward)
        return {"AvailableBalance": f"{max(Decimal(0), self.terms.balance - earned):.2f}"}

    def create_hit_type(self) -> dict[str, Any]:
        return {"HITTypeId": self._hit_type().hit_type_id}

    def create_hit(self) -> dict[str, Any]:
        return self._create(self._hit_type)

    def create_hit_with_hit_type(self) -> dict[str, Any]:
        return self._create(self._known_hit_type)

    def get_hit(self) -> dict[str, Any]:
        return {"HIT": hit_json(self.catalog, self._hit(), self.now)}

    def list_hits(self) -> dict[str, Any]:
        limit, after = self._paging()
        hits = market.list_hits(self.catalog, after=after, limit=limit + 1)
        answer: dict[str, Any] = {
            "NumResults": len(hits[:limit]),
            "HITs": [hit_json(self.catalog, hit, self.now) for hit in hits[:limit]],
        }
        if len(hits) > limit:
            answer["NextToken"] = page_token((hits[limit - 1].created_at, hits[limit - 1].market_hit_id))
        return answer

    def list_assignments_for_hit(self) -> dict[str, Any]:
        limit, after = self._paging()
        states = [STATES[name] for name in self.given.choices("AssignmentStatuses", list(STATES))]
        hit = self._hit()
        found = leases.assignments_of(
            self.catalog, hit.market_hit_id, states=states, after=after, limit=limit + 1
        )
        answer: dict[str, Any] = {
            "NumResults": len(found[:limit]),
            "Assignments": [assignment_json(lease) for lease in found[:limit]],
        }
        if len(found) > limit:
            answer["NextToken"] = page_token(
                (found[limit - 1].submitted_at or 0.0, found[limit - 1].assignment_id)
            )
        return answer

    def get_assignment(self) -> dict[str, Any]:
        lease = self._assignment()
        hit = market.find_hit(self.catalog, lease.market_hit_id)
        assert hit is not None
        return {"Assignment": assignment_json(lease), "HIT": hit_json(self.catalog, hit, self.now)}

    def approve_assignment(self) -> dict[str, Any]:
        lease = self._assignment()
        overridden = lease.state == "rejected" and self.given.flag("OverrideRejection")
        if lease.state != "submitted" and not overridden:
            raise _wrong_state(lease.assignment_id, "Submitted")
        return self._decide(
            lease, "approved", self.given.text("RequesterFeedback", longest=1_024, default="")
        )

    def reject_assignment(self) -> dict[str, Any]:
        feedback = self.given.text("RequesterFeedback", longest=1_024)
        lease = self._assignment()
        if lease.state != "submitted":
            raise _wrong_state(lease.assignment_id, "Submitted")
        return self._decide(lease, "rejected", feedback)

    def update_expiration_for_hit(self) -> dict[str, Any]:
        at = max(self.given.seconds("ExpireAt"), 0.0)
        market.change_hit(self.catalog, self._hit().market_hit_id, expires_at=min(at, self.now + 365 * DAY))
        self._committed()
        return {}

    def create_additional_assignments_for_hit(self) -> dict[str, Any]:
        more = self.given.whole("NumberOfAdditionalAssignments", 1, 1_000_000)
        token = self.given.text("UniqueRequestToken", longest=64, default="")
        hit = self._hit()
        if token and market.request_hit(self.catalog, f"more/{token}", since=self.now - DAY):
            raise TurkError("AWS.MechanicalTurk.DuplicateRequest", f"Request {token} was made before.")
        market.change_hit(self.catalog, hit.market_hit_id, more_assignments=more)
        self._committed()
        if token:
            market.remember_request(self.catalog, f"more/{token}", hit.market_hit_id, at=self.now)
        return {}

    def delete_hit(self) -> dict[str, Any]:
        hit = self._hit()
        counts = dict(market.counts_of(self.catalog, hit.market_hit_id))
        if hit_status(hit, counts, self.now) not in ("Reviewable", "Disposed") or counts.get("submitted"):
            raise TurkError(
                "AWS.MechanicalTurk.InvalidHITState",
                f"HIT {hit.market_hit_id} can be deleted when it is over and every assignment is approved or rejected.",
            )
        market.change_hit(self.catalog, hit.market_hit_id, delete=True)
        return {}

    def _hit_type(self) -> HitType:
        given = self.given
        given.refuse("QualificationRequirements")
        fields = (
            given.text("Title", longest=128),
            given.text("Description", longest=2_000),
            given.text("Keywords", longest=1_000, default=""),
            given.money("Reward"),
            given.whole("AssignmentDurationInSeconds", 30, 31_536_000),
            given.whole("AutoApprovalDelayInSeconds", 0, 2_592_000, DEFAULT_AUTO_APPROVAL),
        )
        hit_type = HitType("3" + fingerprint(fields)[:29].upper(), *fields)
        market.store_hit_type(self.catalog, hit_type)
        return hit_type

    def _known_hit_type(self) -> HitType:
        hit_type = market.find_hit_type(self.catalog, self.given.identifier("HITTypeId"))
        if hit_type is None:
            raise TurkError("AWS.MechanicalTurk.HITTypeDoesNotExist", "There is no such HIT type.")
        return hit_type

    def _create(self, hit_type_of: Callable[[], HitType]) -> dict[str, Any]:
        given = self.given
        given.refuse("AssignmentReviewPolicy", "HITReviewPolicy", "HITLayoutId", "HITLayoutParameters")
        token = given.text("UniqueRequestToken", longest=64, default="")
        if token and (hit_id := market.request_hit(self.catalog, token, since=self.now - DAY)):
            raise TurkError(
                "AWS.MechanicalTurk.HITAlreadyExists", f"The HIT {hit_id} already exists for {token}."
            )
        question = given.text("Question", longest=65_535)
        try:
            html = from_question_xml(question)
        except SourceError as error:
            raise TurkError("AWS.MechanicalTurk.XMLParseError", f"{error}") from error
        if problems := inspect_page(html, self.terms.allowed, self.terms.is_ours):
            raise TurkError(
                "AWS.MechanicalTurk.InvalidParameterValue",
                f"This page cannot work here: {'; '.join(problems)}.",
            )
        hit = MarketHit(
            market_hit_id=new_id(),
            hit_type_id=hit_type_of().hit_type_id,
            hit_id=None,
            template_id=None,
            question=question,
            annotation=given.text("RequesterAnnotation", longest=255, default="") or None,
            max_assignments=given.whole("MaxAssignments", 1, 1_000_000_000, 1),
            created_at=self.now,
            expires_at=self.now + given.whole("LifetimeInSeconds", 30, 31_536_000),
        )
        market.insert_hit(self.catalog, hit)
        self._committed()
        if token:
            market.remember_request(self.catalog, token, hit.market_hit_id, at=self.now)
        return {"HIT": hit_json(self.catalog, hit, self.now)}

    def _committed(self) -> None:
        """Money was committed: within the owner's limit, or nothing of this call holds."""
        try:
            committed(self.catalog, now=self.now, max_cost=self.terms.max_cost)
        except UsageError as error:
            raise TurkError("AWS.MechanicalTurk.InsufficientFunds", f"{error}".replace("`", "")) from error

    def _hit(self) -> MarketHit:
        hit = market.find_hit(self.catalog, self.given.identifier("HITId"))
        if hit is None:
            raise TurkError("AWS.MechanicalTurk.HITDoesNotExist", "There is no such HIT.")
        return hit

    def _assignment(self) -> Lease:
        lease = leases.find_lease(self.catalog, self.given.identifier("AssignmentId"))
        if lease is None or lease.state not in STATES.values():
            raise TurkError(
                "AWS.MechanicalTurk.AssignmentDoesNotExist", "There is no such submitted assignment."
            )
        return lease

    def _decide(self, lease: Lease, state: str, feedback: str) -> dict[str, Any]:
        leases.decide(self.catalog, lease.assignment_id, state, feedback=feedback or None, at=self.now)
        return {}

    def _paging(self) -> tuple[int, tuple[float, str] | None]:
        limit = self.given.whole("MaxResults", 1, 100, 10)
        return limit, read_page_token(self.given.text("NextToken", longest=255, default=""))


def _wrong_state(assignment_id: str, wanted: str) -> TurkError:
    return TurkError(
        "AWS.MechanicalTurk.InvalidAssignmentState",
        f"This operation can be called with a status of: {wanted} (assignment {assignment_id}).",
    )


OPERATIONS: Mapping[str, Callable[[Operation], dict[str, Any]]] = {
    "GetAccountBalance": Operation.get_account_balance,
    "CreateHITType": Operation.create_hit_type,
    "CreateHIT": Operation.create_hit,
    "CreateHITWithHITType": Operation.create_hit_with_hit_type,
    "GetHIT": Operation.get_hit,
    "ListHITs": Operation.list_hits,
    "ListAssignmentsForHIT": Operation.list_assignments_for_hit,
    "GetAssignment": Operation.get_assignment,
    "ApproveAssignment": Operation.approve_assignment,
    "RejectAssignment": Operation.reject_assignment,
    "UpdateExpirationForHIT": Operation.update_expiration_for_hit,
    "CreateAdditionalAssignmentsForHIT": Operation.create_additional_assignments_for_hit,
    "DeleteHIT": Operation.delete_hit,
}

UNSUPPORTED = frozenset(
    {
        "AcceptQualificationRequest", "AssociateQualificationWithWorker", "CreateQualificationType",
        "CreateWorkerBlock", "DeleteQualificationType", "DeleteWorkerBlock", "DisassociateQualificationFromWorker",
        "GetFileUploadURL", "GetQualificationScore", "GetQualificationType", "ListBonusPayments",
        "ListHITsForQualificationType", "ListQualificationRequests", "ListQualificationTypes", "ListReviewableHITs",
        "ListReviewPolicyResultsForHIT", "ListWorkerBlocks", "ListWorkersWithQualificationType", "NotifyWorkers",
        "RejectQualificationRequest", "SendBonus", "SendTestEventNotification", "UpdateHITReviewStatus",
        "UpdateHITTypeOfHIT", "UpdateNotificationSettings", "UpdateQualificationType",
    }
)  # fmt: skip
"""Operations of MTurk's that this server does not offer."""
