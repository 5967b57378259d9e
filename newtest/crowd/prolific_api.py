"""A client for Prolific's API, for those who would rather not click: a draft of a study, its places, decisions.

Written from what is generally known of version 1 of Prolific's API; its reference could not be had here. NOT verified.
A study is created as a draft: publishing it, which spends money, stays a click on Prolific's own page.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from newtest.crowd.costs import check_limit
from newtest.crowd.prolific import Decisions
from newtest.errors import SourceError, UsageError
from newtest.reading.jsons import parse_json

__all__ = ["API_URL", "Draft", "Places", "ProlificClient"]

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
            {"code": code, "code_type": kind, "actions": [{"action": action}]}
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

    def decide(self, study_id: str, found: Decisions, *, reward: Decimal, max_cost: Decimal) -> Sequence[str]:
        """Approve, reject and pay bonuses; gives the submissions that were decided before and were left alone.

        A bonus is paid with the decision on its submission, never later: a second run, also after one that was killed,
        pays nothing twice. ``reward`` in dollars a submission, without Prolific's fees. Raises UsageError above
        ``max_cost``.
        """
        check_limit(reward * len(found.approve) + sum(found.bonus.values(), Decimal(0)), max_cost)
        waiting = self._waiting(study_id)
        for submission in found.approve:
            if submission in waiting:
                self._transition(submission, {"action": "APPROVE"})
        for submission, reason in found.reject.items():
            if submission in waiting:
                self._transition(
                    submission, {"action": "REJECT", "message": reason, "rejection_category": "FAILED_CHECK"}
                )
        due = {one: amount for one, amount in found.bonus.items() if found.submission_of.get(one) in waiting}
        if due:
            lines = "\n".join(f"{person},{amount}" for person, amount in due.items())
            made = self._call(
                "POST", "/submissions/bonus-payments/", {"study_id": study_id, "csv_bonuses": lines}
            )
            self._call("POST", f"/bulk-bonus-payments/{_quoted(str(made['id']))}/pay/")
        return [one for one in (*found.approve, *found.reject) if one not in waiting]

    def _waiting(self, study_id: str) -> set[str]:
        """The submissions that wait for a decision."""
        listed = self._call("GET", f"/submissions/?study={_quoted(study_id)}&limit=10000").get("results", [])
        return {str(one["id"]) for one in listed if one.get("status") == "AWAITING REVIEW"}

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


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
