"""A client for Prolific's API, for those who would rather not click: a draft of a study, its places, decisions.

Addresses, fields and words follow Prolific's reference (docs.prolific.com/api-reference, read in November 2026 as
far as it was stored: listing, deciding, bonuses) and two public clients (prolific-oss/cli, facebookresearch/Mephisto:
kinds of codes, categories of rejection, fields of a study). NOT verified: no call was made to Prolific itself.
A study is created as a draft: publishing it, which spends money, stays a click on Prolific's own page.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from newtest.crowd.costs import check_limit
from newtest.crowd.prolific import Decisions
from newtest.errors import SourceError, UsageError
from newtest.reading.jsons import parse_json

__all__ = ["API_URL", "Draft", "Places", "ProlificClient", "cost_of"]

API_URL = "https://api.prolific.com/api/v1"
CODES = (
    ("COMPLETED", "completion_code", "MANUALLY_REVIEW"),
    ("NO_CONSENT", "no_consent_code", "REQUEST_RETURN"),
    ("FAILED_ATTENTION_CHECK", "failed_code", "MANUALLY_REVIEW"),
    ("OTHER", "late_code", "REQUEST_RETURN"),
)
"""Prolific's kind of a code, the draft's field, and what is done with who enters it: a person always looks."""
PARAMETERS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
MOST_BYTES = 10_000_000
PAGE, MOST_PAGES = 100, 1_000


@dataclass(frozen=True)
class Draft:
    """A study to be created. ``reward`` is in cents of the account's currency, ``minutes`` the time it should take."""

    name: str
    description: str
    url: str
    """Where the crowd server is reached, such as https://crowd.example.org."""
    places: int
    minutes: int
    reward: int
    completion_code: str
    no_consent_code: str | None = None
    failed_code: str | None = None
    late_code: str | None = None

    def body(self) -> dict[str, Any]:
        """The request that creates it."""
        if not self.url.startswith("https://"):
            raise UsageError(f"`url` must begin with https://, got {self.url!r}")
        codes = [
            {"code": code, "code_type": kind, "actions": [_action(action, kind)]}
            for kind, field, action in CODES
            if (code := getattr(self, field))
        ]
        return {
            "name": self.name,
            "description": self.description,
            "external_study_url": f"{self.url.rstrip('/')}/join?{PARAMETERS}",
            "prolific_id_option": "url_parameters",
            "completion_codes": codes,
            "total_available_places": self.places,
            "estimated_completion_time": self.minutes,
            "reward": self.reward,
        }


@dataclass(frozen=True)
class Places:
    """How far a study is, by Prolific's word for its state."""

    status: str
    taken: int
    total: int


class ProlificClient:
    """Calls of the API with an owner's token. Every method raises SourceError with Prolific's own sentence."""

    def __init__(self, token: str, url: str = API_URL) -> None:
        if not token.strip():
            raise UsageError("Prolific's API requires a token: set PROLIFIC_TOKEN")
        self._token, self._url = token.strip(), url.rstrip("/")

    def create(self, draft: Draft) -> str:
        """Create an unpublished study; gives its id, which ``annotate serve`` takes as the id to let in."""
        return str(self._call("POST", "/studies/", draft.body())["id"])

    def places(self, study_id: str) -> Places:
        """How many places of a study are taken."""
        found = self._call("GET", f"/studies/{_quoted(study_id)}/")
        return Places(
            str(found.get("status")),
            int(found.get("places_taken") or 0),
            int(found.get("total_available_places") or 0),
        )

    def due(self, study_id: str, found: Decisions) -> Decisions:
        """Those of the decisions that are still to be made; a bonus that was paid is not known here."""
        waiting = self._waiting(study_id)
        return replace(
            found,
            approve=tuple(one for one in found.approve if one in waiting),
            reject={one: reason for one, reason in found.reject.items() if one in waiting},
        )

    def decide(self, due: Decisions, *, reward: Decimal, max_cost: Decimal) -> None:
        """Approve and reject what ``due`` gave; a decision that is made twice is made once on Prolific.

        ``reward`` in dollars per submission, without Prolific's fees. Raises UsageError when approvals and bonuses
        together cost more than ``max_cost``: then nothing is decided. Bonuses: ``newtest.crowd.bonuses``.
        """
        check_limit(cost_of(due, reward), max_cost)
        for submission in due.approve:
            self._transition(submission, {"action": "APPROVE"})
        for submission, reason in due.reject.items():
            self._transition(
                submission, {"action": "REJECT", "message": reason, "rejection_category": "FAILED_CHECK"}
            )

    def set_up_bonuses(self, study_id: str, amounts: Mapping[str, Decimal]) -> str:
        """Set up a batch of bonuses (submission -> amount in the study's currency); it pays nothing. Gives its id."""
        lines = "\n".join(f"{submission},{amount:.2f}" for submission, amount in amounts.items())
        made = self._call(
            "POST", "/submissions/bonus-payments/", {"study_id": study_id, "csv_bonuses": lines}
        )
        return str(made["id"])

    def pay_batch(self, batch: str) -> None:
        """Pay a batch that was set up. Called twice, Prolific pays twice: ``newtest.crowd.bonuses`` calls it once."""
        self._call("POST", f"/bulk-bonus-payments/{_quoted(batch)}/pay/")

    def _waiting(self, study_id: str) -> set[str]:
        """The submissions that wait for a decision, over all pages."""
        found: dict[str, str] = {}
        for page in range(1, MOST_PAGES + 1):
            path = f"/submissions/?study={_quoted(study_id)}&page={page}&page_size={PAGE}"
            listed = self._call("GET", path).get("results") or []
            before = len(found)
            found |= {str(one["id"]): str(one.get("status")) for one in listed}
            if len(listed) < PAGE or len(found) == before:
                break
        return {one for one, status in found.items() if status.upper().replace("_", " ") == "AWAITING REVIEW"}

    def _transition(self, submission: str, body: Mapping[str, Any]) -> None:
        self._call("POST", f"/submissions/{_quoted(submission)}/transition/", body)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if not self._url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise UsageError(f"{self._url}: a token is sent over https only")
        request = urllib.request.Request(  # noqa: S310 - the scheme was just checked
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Token {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                text = response.read(MOST_BYTES)
            answer = parse_json(text or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(2_000).decode(errors="replace")
            raise SourceError(f"Prolific refused {method} {path} ({error.code}): {said[:500]}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise SourceError(f"Prolific did not answer {method} {path} as expected: {error}") from error
        if not isinstance(answer, dict):
            raise SourceError(f"Prolific did not answer {method} {path} as expected: not an object")
        return answer


def cost_of(due: Decisions, reward: Decimal) -> Decimal:
    """Dollars of approvals and bonuses, without Prolific's fees."""
    return reward * len(due.approve) + sum(due.bonus.values(), Decimal(0))


def _action(action: str, kind: str) -> dict[str, str]:
    """What Prolific does with who enters a code; a request to return says why."""
    if action != "REQUEST_RETURN":
        return {"action": action}
    reason = "You did not consent" if kind == "NO_CONSENT" else "Nothing was left to do"
    return {"action": action, "return_reason": reason}


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
