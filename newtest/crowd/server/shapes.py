"""HITs and assignments as MTurk's JSON, and the tokens of its pages."""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import Any

from newtest.catalog import market
from newtest.catalog.leases import Lease
from newtest.catalog.market import MarketHit
from newtest.crowd.server.parameters import TurkError
from newtest.reading.jsons import parse_json

__all__ = [
    "STATES",
    "assignment_json",
    "hit_json",
    "hit_status",
    "page_token",
    "read_page_token",
    "worker_id",
]

STATES = {"Submitted": "submitted", "Approved": "approved", "Rejected": "rejected"}


def hit_status(hit: MarketHit, counts: dict[str, int], now: float) -> str:
    """Assignable, Unassignable, Reviewable or Disposed."""
    taken = sum(count for state, count in counts.items() if state not in ("returned", "lapsed"))
    if hit.deleted:
        return "Disposed"
    if taken < hit.max_assignments and hit.expires_at > now:
        return "Assignable"
    return "Unassignable" if counts.get("leased") else "Reviewable"


def hit_json(catalog: sqlite3.Connection, hit: MarketHit, now: float) -> dict[str, Any]:
    """The structure HIT."""
    hit_type = market.find_hit_type(catalog, hit.hit_type_id)
    assert hit_type is not None
    counts = dict(market.counts_of(catalog, hit.market_hit_id))
    live = {state: counts.get(state, 0) for state in ("leased", "submitted", "approved", "rejected")}
    optional = {"Question": hit.question, "RequesterAnnotation": hit.annotation}
    return {
        "HITId": hit.market_hit_id,
        "HITTypeId": hit.hit_type_id,
        "HITGroupId": hit.hit_type_id,
        "CreationTime": hit.created_at,
        "Title": hit_type.title,
        "Description": hit_type.description,
        "Keywords": hit_type.keywords,
        "HITStatus": hit_status(hit, counts, now),
        "MaxAssignments": hit.max_assignments,
        "Reward": hit_type.reward,
        "AutoApprovalDelayInSeconds": hit_type.auto_approval,
        "Expiration": hit.expires_at,
        "AssignmentDurationInSeconds": hit_type.duration,
        "QualificationRequirements": [],
        "HITReviewStatus": "NotReviewed",
        "NumberOfAssignmentsPending": live["leased"],
        "NumberOfAssignmentsAvailable": hit.max_assignments - sum(live.values()),
        "NumberOfAssignmentsCompleted": live["approved"] + live["rejected"],
        **{key: value for key, value in optional.items() if value is not None},
    }


def worker_id(worker: str) -> str:
    """A worker's keyed hash in MTurk's alphabet."""
    return "A" + worker.upper()


def assignment_json(lease: Lease) -> dict[str, Any]:
    """The structure Assignment. A worker's id is the keyed hash."""
    status = next(name for name, state in STATES.items() if state == lease.state)
    decided = {"approved": "ApprovalTime", "rejected": "RejectionTime"}.get(lease.state)
    optional = {"RequesterFeedback": lease.feedback, decided: lease.decided_at}
    return {
        "AssignmentId": lease.assignment_id,
        "WorkerId": worker_id(lease.worker),
        "HITId": lease.market_hit_id,
        "AssignmentStatus": status,
        "AutoApprovalTime": lease.auto_approve_at,
        "AcceptTime": lease.accepted_at,
        "SubmitTime": lease.submitted_at,
        "Deadline": lease.lease_ends,
        "Answer": lease.answer,
        **{key: value for key, value in optional.items() if key is not None and value is not None},
    }


def page_token(last: tuple[float, str]) -> str:
    """NextToken: where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def read_page_token(token: str) -> tuple[float, str] | None:
    """Where a page begins; None for the first. Raises TurkError for a token that is not ours."""
    if not token:
        return None
    try:
        at, key = parse_json(base64.b64decode(token, altchars=b"-_", validate=True))
        return float(at), str(key)
    except (ValueError, TypeError):
        raise TurkError("AWS.ParameterOutOfRange", "NextToken is not one that this server gave.") from None
