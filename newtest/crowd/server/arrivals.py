"""People whom a recruiting site sends: their ids, the owner's introduction and consent, their completion code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog.workers import consented, put_consent, was_revoked
from newtest.crowd.consent import consent_version, to_html
from newtest.crowd.languages import language
from newtest.crowd.links import arrive
from newtest.crowd.people import FIELDS, remember, unfilled
from newtest.crowd.server.pages import page
from newtest.crowd.server.persons import Person
from newtest.crowd.server.settings import Recruiting, Shared
from newtest.crowd.server.tally import ControlTally
from newtest.reading.jsons import parse_json
from newtest.study import Study, now
from newtest.votes.quality import ControlCounts, QualityRule, assess
from newtest.web.forms import read_form

__all__ = ["Arrivals", "leaving"]

CHECKS = 4
"""A person who failed is told apart on at least this many controls."""


MISSED = 2
"""So many attention checks that were not done as they say are a failure; one can happen to anybody."""


class Arrivals:
    """``/join``: three ids become a personal link, after the consent where there is one. Whoever arrives, arrives in
    every study of the server; the first one's settings hold."""

    def __init__(self, studies: Sequence[Shared]) -> None:
        self._studies, self._shared = tuple(studies), studies[0]
        self._spoken = language(self._shared.config.wording.language)

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [Route("/join", self.join), Route("/join", self.answer, methods=["POST"])]

    async def join(self, request: Request) -> Response:
        """Turn PROLIFIC_PID, STUDY_ID and SESSION_ID into a personal link, or show what is asked first."""
        given = {name: request.query_params.get(name, "") for name in FIELDS}
        recruiting = self._checked(given)
        if recruiting.introduction is None:
            return await self._enter(given)
        version = consent_version(recruiting.introduction)
        worker = self._shared.worker_key(f"recruited:{given['PROLIFIC_PID']}")
        if await self._shared.database.read(consented, worker, version):
            return await self._enter(given)
        return page(
            "arrival.html",
            text=to_html(recruiting.introduction),
            recruiting=recruiting,
            sealed=self._shared.keys.seal("arrival", json.dumps(given)),
            version=version,
            spoken=self._spoken,
        )

    async def answer(self, request: Request) -> Response:
        """Take the consent, or its refusal."""
        form = await read_form(request)
        opened = self._shared.keys.open("arrival", form.one("arrival"))
        if opened is None:
            raise HTTPException(
                403, "This form is out of date. Come by the link of the recruiting site again."
            )
        given = parse_json(opened)
        recruiting = self._checked(given)
        if recruiting.introduction is None or form.one("version") != consent_version(recruiting.introduction):
            raise HTTPException(
                403, "The text has changed since. Come by the link of the recruiting site again."
            )
        if form.one("consent") != "yes":
            return page("refused.html", spoken=self._spoken, recruiting=recruiting.leaving("no consent"))
        for shared in await self._open_to(given["PROLIFIC_PID"]):
            worker = shared.worker_key(f"recruited:{given['PROLIFIC_PID']}")
            await shared.database.write(
                put_consent, worker, form.one("version"), recruiting.introduction, at=now()
            )
        return await self._enter(given)

    def _checked(self, given: dict[str, str]) -> Recruiting:
        recruiting = self._shared.config.recruiting
        if recruiting is None:
            raise HTTPException(403, "This study is not open here.")
        if (name := unfilled(given)) is not None:
            value = given.get(name, "")
            if set("{}%") & set(value):
                raise HTTPException(
                    400,
                    f"The link still has the placeholder {value[:60]} where {name} belongs: tell the researcher.",
                )
            if name == "PROLIFIC_PID":
                raise HTTPException(400, "Your id is missing: come by the link of the recruiting site.")
            raise HTTPException(403, "This study is not open here.")
        if given["STUDY_ID"] != recruiting.study_id:
            raise HTTPException(403, "This study is not open here.")
        return recruiting

    async def _open_to(self, person: str) -> list[Shared]:
        """The studies that have not revoked this person's link."""
        key = f"recruited:{person}"
        return [s for s in self._studies if not await s.database.read(was_revoked, s.worker_key(key))]

    async def _enter(self, given: dict[str, str]) -> Response:
        token: str | None = None
        studies = await self._open_to(given["PROLIFIC_PID"])
        if self._shared not in studies:
            raise HTTPException(403, "This link is not valid any more.")
        for shared in reversed(studies):
            token = (
                await shared.database.write(arrive, shared.keys, shared.worker_key, given["PROLIFIC_PID"])
                or ""
            )
            await run_in_threadpool(_remember, shared, given)
        return RedirectResponse(f"/work/{token}/", 303)  # of the first study


def _remember(shared: Shared, given: dict[str, str]) -> None:
    with Study(shared.root) as study:
        remember(study, given)


async def leaving(person: Person, recruiting: Recruiting, done: int) -> Recruiting:
    """The settings with the code that this person leaves with: done, failed checks, or too late to do anything."""
    if not done:
        return recruiting.leaving("too late")
    if recruiting.failed_code:
        counts, missed = Counter[int](), 0
        for member in person.members:
            tally = ControlTally()
            found = (await member.shared.database.read(tally.update)).get(member.worker)
            counts.update(dict(enumerate(astuple(found))) if found else {})
            passed, asked = tally.checks.get(member.worker, (0, 0))
            missed += asked - passed
        known = ControlCounts(*(counts[n] for n in range(4)))
        if missed >= MISSED or (counts and assess(known, QualityRule(min_controls=CHECKS)).flagged):
            return replace(recruiting, completion_code=recruiting.failed_code)
    return recruiting
