"""The application: worker pages, the owner's page, pictures and the MTurk protocol, put together and
guarded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from newtest.crowd.languages import Language, language
from newtest.crowd.server.arrivals import Arrivals
from newtest.crowd.server.database import Database, StudyBusyError
from newtest.crowd.server.owner_studies import owner_routes
from newtest.crowd.server.pages import page
from newtest.crowd.server.protocol import Protocol
from newtest.crowd.server.settings import ServerConfig, Shared
from newtest.crowd.server.work import WorkPages
from newtest.crowd.server.worker_images import Pictures
from newtest.study import Study
from newtest.web.access import OwnerAccess
from newtest.web.forms import read_form
from newtest.web.headers import content_security_policy
from newtest.web.keys import Keys
from newtest.web.serving import guarded

__all__ = ["crowd_app", "crowd_keys"]

STATIC = {
    "crowd.css": "text/css",
    "frame.js": "text/javascript",
    "owner.js": "text/javascript",
    "studies.js": "text/javascript",
    "sent.js": "text/javascript",
    "next.js": "text/javascript",
    "busy.js": "text/javascript",
}


def crowd_keys(study: Study) -> Keys:
    """The keys of a study's crowd server: links and picture addresses stay valid over restarts."""
    return Keys(study.secret_for("crowd-server"))


def crowd_app(study: Study, config: ServerConfig, *, beside: Sequence[Study] = ()) -> ASGIApp:
    """The server of a study, and of others ``beside`` it: one queue per person, one page for the owner. Requesters'
    calls go to the first. It opens its own connections to the catalogs; the studies may be closed meanwhile."""
    studies = [_shared(one, config) for one in (study, *beside)]
    shared = studies[0]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        for one in studies:
            one.database.close()

    pages = Starlette(routes=owner_routes(studies), exception_handlers=_handlers(language("en")))
    owner = OwnerAccess(pages, config.access_token, "/owner")
    app = Starlette(
        routes=[
            *WorkPages(studies).routes(),
            *Protocol(shared).routes(),
            Route("/", _front),
            *Arrivals(studies).routes(),
            Route("/static/{name}", _static),
            Mount("/owner", owner),
        ],
        exception_handlers=_handlers(language(config.wording.language)),
        lifespan=lifespan,
    )
    return guarded(
        app, hosts=config.public_hosts, connections=shared.connections, is_owner=partial(_is_owner, owner)
    )


def _shared(study: Study, config: ServerConfig) -> Shared:
    keys = crowd_keys(study)
    database = Database(study.root / "study.sqlite")
    return Shared(study.root, config, database, keys, Pictures(study.root, keys), study.worker_key)


def _is_owner(owner: OwnerAccess, request: Request) -> bool:
    """Who is answered when there is room for nobody else: the owner, and the files of the owner's page."""
    return owner.lets_in(request) or request.url.path.startswith("/static/")


async def _front(request: Request) -> Response:
    return page(
        "message.html", title="newtest", text="To work here, open the personal link that you were given."
    )


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    return Response(_asset(name), media_type=STATIC[name], headers={"Cache-Control": "max-age=300"})


@cache
def _asset(name: str) -> bytes:
    return files("newtest.crowd.server").joinpath("static", name).read_bytes()


def _handlers(spoken: Language) -> dict[Any, Any]:
    """What is answered to a refusal and to a fault, in the workers' language."""

    async def refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        title = {404: "not_found", 403: "not_allowed"}.get(error.status_code, "did_not_work")
        text = spoken.of_english(error.detail)
        response = page(
            "message.html", status=error.status_code, spoken=spoken, title=spoken.say(title), text=text
        )
        response.headers.update(error.headers or {})
        return response

    async def busy(request: Request, error: Exception) -> Response:
        """Another process keeps the study to itself: the page tries again, with the form that was sent."""
        form = (await read_form(request)).fields if request.method == "POST" else ()
        response = page("busy.html", status=503, spoken=spoken, form=form, path=request.url.path)
        response.headers["Retry-After"] = "3"
        if request.url.path.endswith("/page"):
            response.headers["Content-Security-Policy"] = content_security_policy(frame_ancestors="'self'")
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    async def fault(request: Request, error: Exception) -> Response:
        """A defect, a full disk: the error itself goes to the server's log."""
        title, text = spoken.say("went_wrong"), spoken.say("went_wrong_why")
        return page("message.html", status=500, spoken=spoken, title=title, text=text)

    return {HTTPException: refusal, StudyBusyError: busy, Exception: fault}
