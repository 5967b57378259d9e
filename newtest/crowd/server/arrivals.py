"""People whom a recruiting site sends: their ids, the owner's introduction and consent, the code they leave with."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog.workers import consented, put_consent
from newtest.crowd.consent import consent_version, to_html
from newtest.crowd.languages import language
from newtest.crowd.links import arrive
from newtest.crowd.people import FIELDS, remember, unfilled
from newtest.crowd.server.pages import page
from newtest.crowd.server.settings import Recruiting, Shared
from newtest.crowd.server.tally import ControlTally
from newtest.reading.jsons import parse_json
from newtest.study import Study, now
from newtest.votes.quality import QualityRule, assess
from newtest.web.forms import read_form

__all__ = ["Arrivals", "leaving"]

CHECKS = 4
"""A person who failed is told apart on at least so many controls."""


class Arrivals:
    """``/join``: three ids become a personal link, after the consent where there is one."""

    def __init__(self, shared: Shared, root: Path) -> None:
        self._shared, self._root = shared, root
        self._spoken = language(shared.config.wording.language)

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
        worker = self._shared.worker_key(f"recruited:{given['PROLIFIC_PID']}")
        await self._shared.database.write(
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

    async def _enter(self, given: dict[str, str]) -> Response:
        shared = self._shared
        token = await shared.database.write(arrive, shared.keys, shared.worker_key, given["PROLIFIC_PID"])
        if token is None:
            raise HTTPException(403, "This link is not valid any more.")
        await run_in_threadpool(self._remember, given)
        return RedirectResponse(f"/work/{token}/", 303)

    def _remember(self, given: dict[str, str]) -> None:
        with Study(self._root) as study:
            remember(study, given)


def leaving(catalog: sqlite3.Connection, recruiting: Recruiting, worker: str, done: int) -> Recruiting:
    """The settings with the code that this person leaves with: done, failed checks, or too late to do anything."""
    if not done:
        return recruiting.leaving("too late")
    if recruiting.failed_code:
        counts = ControlTally().update(catalog).get(worker)
        if counts is not None and assess(counts, QualityRule(min_controls=CHECKS)).flagged:
            return replace(recruiting, completion_code=recruiting.failed_code)
    return recruiting
