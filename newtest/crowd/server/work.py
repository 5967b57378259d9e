"""The pages for workers: the list, the frame around a HIT, the HIT itself, submitting and returning.

A worker's personal link is the only credential; it is part of every path, so nothing depends on cookies and a
HIT's page may be framed without an origin. Forms carry a token bound to the link and to what they do.
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog import leases as lease_rows
from newtest.catalog import workers
from newtest.catalog.crowd import HitImage
from newtest.catalog.leases import OpenGroup
from newtest.catalog.workers import WorkerLink
from newtest.crowd.languages import language
from newtest.crowd.links import PURPOSE
from newtest.crowd.server import leases
from newtest.crowd.server.arrivals import leaving
from newtest.crowd.server.leases import Work, WorkList
from newtest.crowd.server.pages import page
from newtest.crowd.server.questions import question_of, with_form
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.shapes import worker_id
from newtest.reading.jsons import parse_json
from newtest.web.forms import Form, read_form
from newtest.web.headers import content_security_policy

__all__ = ["WorkPages"]

GONE = "This link is not valid (any more). Ask the person who gave it to you for a new one."
FORGED = "This form is out of date. Go back, reload the page and try again."


class WorkPages:
    """The routes below ``/work/<link>/``."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._spoken = language(shared.config.wording.language)

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [
            Route("/work/{token}/", self.overview),
            Route("/work/{token}/take", self.take, methods=["POST"]),
            Route("/work/{token}/{assignment}", self.frame),
            Route("/work/{token}/{assignment}/page", self.question),
            Route("/work/{token}/{assignment}/submit", self.submit, methods=["POST"]),
            Route("/work/{token}/{assignment}/return", self.give_back, methods=["POST"]),
            Route("/picture/{token}", self.picture),
            Route("/mturk/externalSubmit", self.external_submit, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """What the worker may take, and what they hold."""
        link = await self._link(request)
        now = self._shared.config.clock()
        listed = await self._shared.database.write(leases.overview, link.worker, now)
        recruiting = self._shared.config.recruiting if link.origin == "recruited" else None
        over = (
            not listed.held
            and not listed.paused
            and (not listed.groups or (recruiting and listed.done >= recruiting.hits))
        )
        if recruiting is not None and over:
            with_code = await self._shared.database.read(leaving, recruiting, link.worker, listed.done)
            return self._page("finished.html", recruiting=with_code, done=listed.done)
        notice = request.query_params.get("notice", "")
        return self._page(
            "overview.html",
            base=self._base(request),
            listed=listed,
            held=[(work, self._name_of(work)) for work in listed.held],
            groups=[(group, self._group_name(group)) for group in listed.groups],
            open=sum(group.available for group in listed.groups) + len(listed.held),
            next=self._next(request, listed) if notice == "done" else None,
            now=now,
            notice=self._notice(notice),
            csrf=self._csrf(request, "take"),
        )

    def _next(self, request: Request, listed: WorkList) -> dict[str, str] | None:
        """What opens by itself after an answer: what is begun, else one more of the same class, else any."""
        base = self._base(request)
        if listed.held:
            work = listed.held[0]
            action = base + work.lease.assignment_id
            return {"method": "get", "action": action, "group": "", "name": self._name_of(work)}
        same = (group for group in listed.groups if group.group == listed.last_group)
        group = next(same, next(iter(listed.groups), None))
        if group is None:
            return None
        return {
            "method": "post",
            "action": base + "take",
            "group": group.group,
            "name": self._group_name(group),
        }

    def _notice(self, kind: str) -> tuple[str, str] | None:
        look = _NOTICES.get(kind)
        key = "saved" if kind == "done" else kind
        return None if look is None else (look, self._spoken.say(key, most=leases.MAX_LEASES))

    def _name_of(self, work: Work) -> str:
        return self._class_name(work.wnid, work.lemmas) or work.hit_type.title

    def _group_name(self, group: OpenGroup) -> str:
        return self._class_name(group.group, group.lemmas) or group.title

    def _class_name(self, wnid: str | None, lemmas: str | None) -> str | None:
        """A class in the workers' language."""
        if wnid is None or lemmas is None:
            return None
        names = self._shared.config.wording.names.get(wnid, (parse_json(lemmas), ""))[0]
        return str(names[0])

    def _page(self, template: str, /, *, status: int = 200, **values: object) -> HTMLResponse:
        return page(template, status=status, spoken=self._spoken, **values)

    async def take(self, request: Request) -> Response:
        """Lease the next HIT of a group and go to it."""
        link = await self._link(request)
        form = await self._form(request, "take")
        taken = await self._shared.database.write(
            leases.take, link.worker, form.one("group"), self._shared.config.clock()
        )
        where = taken.assignment_id or f"?notice={taken.why}"
        return RedirectResponse(self._base(request) + where, 303)

    async def frame(self, request: Request) -> Response:
        """The bar with the time that is left, and the HIT's page in a frame below it."""
        work = await self._work(request)
        if work.lease.state not in ("leased", "lapsed"):
            return RedirectResponse(
                self._base(request) + f"?notice={_NOTICE_OF_STATE[work.lease.state]}", 303
            )
        left = max(0, int(work.lease.lease_ends - self._shared.config.clock()))
        query = {
            "assignmentId": work.lease.assignment_id,
            "hitId": work.hit.market_hit_id,
            "workerId": worker_id(work.lease.worker),
            "turkSubmitTo": f"{request.url.scheme}://{request.url.netloc}",
        }  # as on MTurk
        listed = await self._shared.database.write(
            leases.overview, work.lease.worker, self._shared.config.clock()
        )
        return self._page(
            "frame.html",
            base=self._base(request),
            query=urlencode(query),
            work=work,
            name=self._name_of(work),
            done=listed.done,
            open=sum(group.available for group in listed.groups) + len(listed.held),
            left=left,
            csrf=self._csrf(request, "return", work.lease.assignment_id),
        )

    async def question(self, request: Request) -> Response:
        """The HIT's page itself, its form bound to this assignment."""
        link = await self._link(request)
        work = await self._work_of(link, request)
        pictures = self._shared.pictures

        def picture_url(hit_id: str, image: HitImage) -> str:
            return f"/picture/{pictures.token(hit_id, image, link.link_id)}"

        allowed = self._shared.config.allowed
        question = await self._shared.database.read(
            question_of, work.hit, picture_url, allowed, pictures.is_ours, self._shared.config.wording
        )
        if question.problems:
            say = self._spoken.say
            title, text = say("cannot_be_shown"), say("cannot_be_shown_why")
            return self._framed(self._page("message.html", title=title, text=text))
        assignment = work.lease.assignment_id
        hidden = {"assignmentId": assignment, "csrf": self._csrf(request, "submit", assignment)}
        text = with_form(question.html, f"{self._base(request)}{assignment}/submit", hidden)
        headers = {"Content-Security-Policy": question.policy, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(text, headers=headers)

    async def submit(self, request: Request) -> Response:
        """Keep the answer; a second submit of the same form finds it there and is thanked too."""
        link = await self._link(request)
        assignment = request.path_params["assignment"]
        form = await self._form(request, "submit", assignment)
        return await self._keep(link.worker, assignment, form, self._base(request))

    async def external_submit(self, request: Request) -> Response:
        """The address that pages made for MTurk send their forms to. The assignment's id is what lets them in: nobody
        can guess it, and only the worker's own page was told."""
        form = await read_form(request)
        assignment = next((value for value in form.all("assignmentId") if value), "")
        lease = await self._shared.database.read(lease_rows.find_lease, assignment)
        link = (
            await self._shared.database.read(workers.active_link, lease.worker) if lease is not None else None
        )
        if lease is None or link is None:
            raise HTTPException(404, "There is no such task, or it was a preview: nothing was saved.")
        base = f"/work/{self._shared.keys.link(PURPOSE, link.link_id)}/"
        response = await self._keep(lease.worker, assignment, form, base)
        if response.status_code != 303 or request.headers.get("sec-fetch-dest") == "document":
            return self._framed(response)
        return self._framed(self._page("sent.html", address=response.headers["location"]))

    async def _keep(self, worker: str, assignment: str, form: Form, base: str) -> Response:
        fields = [(name, value) for name, value in form.fields if name not in ("csrf", "assignmentId")]
        outcome = await self._shared.database.write(
            leases.submit_work, worker, assignment, fields, self._shared.config.clock()
        )
        if outcome == "unknown":
            raise HTTPException(404, "There is no such task.")
        if outcome == "empty":
            return self._page("empty.html", status=400, base=base, assignment=assignment)
        return RedirectResponse(f"{base}?notice={outcome}", 303)

    @staticmethod
    def _framed(response: Response) -> Response:
        """A page of ours that may stand in our own frame."""
        response.headers["Content-Security-Policy"] = content_security_policy(frame_ancestors="'self'")
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    async def give_back(self, request: Request) -> Response:
        """Return the HIT."""
        work = await self._work(request)
        await self._form(request, "return", work.lease.assignment_id)
        await self._shared.database.write(lease_rows.give_back, work.lease.assignment_id)
        return RedirectResponse(f"{self._base(request)}?notice=returned", 303)

    async def picture(self, request: Request) -> Response:
        """An image by its sealed name."""
        data = await self._shared.picture(request.path_params["token"])
        if data is None:
            raise HTTPException(404, "There is no such picture.")
        headers = {
            "Cache-Control": "private, max-age=86400, immutable",
            "Cross-Origin-Resource-Policy": "cross-origin",  # a requester's page in its sandbox has no origin
        }
        return Response(data, media_type="image/jpeg", headers=headers)

    async def _link(self, request: Request) -> WorkerLink:
        link_id = self._shared.keys.link_id(PURPOSE, request.path_params["token"])
        link = await self._shared.database.read(workers.find_link, link_id) if link_id else None
        if link is None or link.revoked_at is not None:
            raise HTTPException(404, GONE)
        return link

    async def _work(self, request: Request) -> Work:
        return await self._work_of(await self._link(request), request)

    async def _work_of(self, link: WorkerLink, request: Request) -> Work:
        assignment = request.path_params["assignment"]
        work = await self._shared.database.write(
            leases.work_of, link.worker, assignment, self._shared.config.clock()
        )
        if work is None:
            raise HTTPException(404, "There is no such task.")
        return work

    async def _form(self, request: Request, *purpose: str) -> Form:
        form = await read_form(request)
        if not self._shared.keys.is_tag(form.one("csrf"), "csrf", request.path_params["token"], *purpose):
            raise HTTPException(403, FORGED)
        return form

    def _csrf(self, request: Request, *purpose: str) -> str:
        return self._shared.keys.tag("csrf", request.path_params["token"], *purpose)

    @staticmethod
    def _base(request: Request) -> str:
        return f"/work/{request.path_params['token']}/"


_NOTICES = {
    "done": "good",
    "returned": "plain",
    "late": "bad",
    "held": "plain",
    "taken": "plain",
    "halted": "plain",
}
"""A notice -> how it looks; its text is the language's."""
_NOTICE_OF_STATE = {"submitted": "done", "approved": "done", "rejected": "done", "returned": "returned"}
