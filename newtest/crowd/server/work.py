"""The pages for workers: the list, the frame around a HIT, the HIT itself, submitting and returning.

A worker's personal link is the only credential; it is part of every path, so nothing depends on cookies and a
HIT's page may be framed without an origin. Forms carry a token bound to the link and to what they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog import leases as lease_rows
from newtest.catalog import workers
from newtest.catalog.classes import lemmas_of
from newtest.catalog.crowd import HitImage, hit_files
from newtest.catalog.open_hits import OpenGroup
from newtest.crowd.languages import language
from newtest.crowd.links import PURPOSE
from newtest.crowd.server import leases
from newtest.crowd.server.arrivals import leaving
from newtest.crowd.server.leases import Work
from newtest.crowd.server.pages import page
from newtest.crowd.server.persons import Member, Person, Persons
from newtest.crowd.server.questions import question_of, with_form
from newtest.crowd.server.queue import Queue, queue_of, take_next, whose, work_in
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.shapes import worker_id
from newtest.crowd.server.training import TrainingPages, is_trained
from newtest.web.forms import Form, read_form
from newtest.web.headers import content_security_policy

__all__ = ["WorkPages"]

GONE = "This link is not valid (any more). Ask the person who gave it to you for a new one."
FORGED = "This form is out of date. Go back, reload the page and try again."


class WorkPages:
    """The routes below ``/work/<link>/``. The first study's settings and keys hold for all."""

    def __init__(self, studies: Sequence[Shared]) -> None:
        self._studies, self._shared = tuple(studies), studies[0]
        self._persons = Persons(studies)
        self._training = TrainingPages(studies, self._persons)
        self._spoken = language(self._shared.config.wording.language)

    def routes(self) -> list[Route]:
        """What the application mounts."""
        return [
            Route("/picture/{token}", self.picture),  # nine requests of ten are for these
            Route("/work/{token}/", self.overview),
            Route("/work/{token}/take", self.take, methods=["POST"]),
            *self._training.routes(),
            Route("/work/{token}/{assignment}", self.frame),
            Route("/work/{token}/{assignment}/page", self.question),
            Route("/work/{token}/{assignment}/submit", self.submit, methods=["POST"]),
            Route("/work/{token}/{assignment}/return", self.give_back, methods=["POST"]),
            Route("/mturk/externalSubmit", self.external_submit, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """What the worker may take, and what they hold."""
        person = await self._person(request)
        now = self._shared.config.clock()
        queue = await queue_of(person, now)
        recruiting = self._shared.config.recruiting if person.origin == "recruited" else None
        over = (
            not queue.held
            and not queue.paused
            and (not queue.offers or (recruiting and queue.done >= recruiting.hits))
        )
        if recruiting is not None and over:
            with_code = await leaving(person, recruiting, queue.done)
            return self._page("finished.html", recruiting=with_code, done=queue.done)
        if queue.offers and not await is_trained(person, self._shared.config.training):
            return RedirectResponse(self._base(request) + "training", 303)
        notice = request.query_params.get("notice", "")
        return self._page(
            "overview.html",
            base=self._base(request),
            listed=queue,
            held=[(work, self._name_of(work)) for work in queue.held],
            offers=[(offer, self._group_name(offer.group)) for offer in queue.offers],
            open=queue.open,
            next=self._next(request, queue) if notice == "done" else None,
            now=now,
            notice=self._notice(notice),
            csrf=self._csrf(request, "take"),
        )

    def _next(self, request: Request, queue: Queue) -> dict[str, str] | None:
        """What opens by itself after an answer: what is begun, else one more of the same class, else any."""
        base = self._base(request)
        if queue.held:
            work = queue.held[0]
            action = base + work.lease.assignment_id
            return {"method": "get", "action": action, "group": "", "name": self._name_of(work)}
        same = (offer for offer in queue.offers if offer.group.group == queue.last_group)
        offer = next(same, next(iter(queue.offers), None))
        if offer is None:
            return None
        name = self._group_name(offer.group)
        return {"method": "post", "action": base + "take", "group": offer.key, "name": name}

    def _notice(self, kind: str) -> tuple[str, str] | None:
        look = _NOTICES.get(kind)
        key = "saved" if kind == "done" else kind
        return None if look is None else (look, self._spoken.say(key, most=leases.MAX_LEASES))

    def _name_of(self, work: Work) -> str:
        if work.kind == "pairs":
            return self._spoken.page["pairs_title"]
        return self._class_name(work.wnid, work.lemmas) or work.hit_type.title

    def _group_name(self, group: OpenGroup) -> str:
        if group.group == "pairs":
            return self._spoken.page["pairs_title"]
        return self._class_name(group.group.rpartition(":")[2], group.lemmas) or group.title

    def _class_name(self, wnid: str | None, lemmas: str | None) -> str | None:
        """A class in the workers' language."""
        if wnid is None or lemmas is None:
            return None
        names = self._shared.config.wording.names.get(wnid, (lemmas_of(wnid, lemmas), ""))[0]
        return str(names[0])

    def _page(self, template: str, /, *, status: int = 200, **values: object) -> HTMLResponse:
        return page(template, status=status, spoken=self._spoken, **values)

    async def take(self, request: Request) -> Response:
        """Lease the next HIT of a group and go to it."""
        person = await self._person(request)
        form = await self._form(request, "take")
        if not await is_trained(person, self._shared.config.training):
            return RedirectResponse(self._base(request) + "training", 303)
        taken = await take_next(person, form.one("group"), self._shared.config.clock())
        where = taken.assignment_id or f"?notice={taken.why}"
        return RedirectResponse(self._base(request) + where, 303)

    async def frame(self, request: Request) -> Response:
        """The bar with the time that is left, and the HIT's page in a frame below it."""
        person = await self._person(request)
        _, work = await self._work(person, request)
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
        queue = await queue_of(person, self._shared.config.clock())
        return self._page(
            "frame.html",
            base=self._base(request),
            query=urlencode(query),
            work=work,
            name=self._name_of(work),
            done=queue.done,
            open=queue.open,
            left=left,
            csrf=self._csrf(request, "return", work.lease.assignment_id),
        )

    async def question(self, request: Request) -> Response:
        """The HIT's page itself, its form bound to this assignment."""
        member, work = await self._work(await self._person(request), request)
        pictures = member.shared.pictures

        def picture_url(hit_id: str, image: HitImage) -> str:
            return f"/picture/{pictures.token(hit_id, image, member.link_id)}"

        if work.hit.hit_id is not None and work.hit.hit_id not in pictures.ready:
            hashes = await member.shared.database.read(hit_files, work.hit.hit_id)
            await run_in_threadpool(pictures.make_ready, work.hit.hit_id, hashes)
        allowed = self._shared.config.allowed
        question = await member.shared.database.read(
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
        person = await self._person(request)
        assignment = request.path_params["assignment"]
        form = await self._form(request, "submit", assignment)
        member = await whose(person, assignment)
        if member is None:
            raise HTTPException(404, "There is no such task.")
        return await self._keep(member.shared, member.worker, assignment, form, self._base(request))

    async def external_submit(self, request: Request) -> Response:
        """The address that pages made for MTurk send their forms to. The assignment's id is what lets them in: nobody
        can guess it, and only the worker's own page was told."""
        form = await read_form(request)
        assignment = next((value for value in form.all("assignmentId") if value), "")
        for shared in self._studies:
            lease = await shared.database.read(lease_rows.find_lease, assignment)
            link = (
                await shared.database.read(workers.active_link, lease.worker) if lease is not None else None
            )
            if lease is not None and link is not None:
                break
        else:
            raise HTTPException(404, "There is no such task, or it was a preview: nothing was saved.")
        base = f"/work/{shared.keys.link(PURPOSE, link.link_id)}/"
        response = await self._keep(shared, lease.worker, assignment, form, base)
        if response.status_code != 303 or request.headers.get("sec-fetch-dest") == "document":
            return self._framed(response)
        return self._framed(self._page("sent.html", address=response.headers["location"]))

    async def _keep(self, shared: Shared, worker: str, assignment: str, form: Form, base: str) -> Response:
        fields = [(name, value) for name, value in form.fields if name not in ("csrf", "assignmentId")]
        outcome = await shared.database.write(
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
        member, work = await self._work(await self._person(request), request)
        await self._form(request, "return", work.lease.assignment_id)
        await member.shared.database.write(lease_rows.give_back, work.lease.assignment_id)
        return RedirectResponse(f"{self._base(request)}?notice=returned", 303)

    async def picture(self, request: Request) -> Response:
        """An image by its sealed name."""
        token = request.path_params["token"]
        found = ((shared, place) for shared in self._studies if (place := shared.pictures.place(token)))
        shared, place = next(found, (self._shared, None))
        data = await shared.picture(place)
        if data is None:
            raise HTTPException(404, "There is no such picture.")
        headers = {
            "Cache-Control": "private, max-age=86400, immutable",
            "Cross-Origin-Resource-Policy": "cross-origin",  # a requester's page in its sandbox has no origin
        }
        return Response(data, media_type="image/jpeg", headers=headers)

    async def _person(self, request: Request) -> Person:
        person = await self._persons.of(request.path_params["token"])
        if person is None:
            raise HTTPException(404, GONE)
        return person

    async def _work(self, person: Person, request: Request) -> tuple[Member, Work]:
        """The assignment in the path, and who its worker is in its study."""
        assignment = request.path_params["assignment"]
        member = await whose(person, assignment)
        work = await work_in(member, assignment, self._shared.config.clock()) if member else None
        if member is None or work is None:
            raise HTTPException(404, "There is no such task.")
        return member, work

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
