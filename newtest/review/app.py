"""The server: one capability link a reviewer, an overview, a class at a time, pairs side by side.

A reviewer's address holds a sealed token of the name: nobody without a link comes in, there are no cookies, and what
other sites make a browser send cannot name the path. Answers to actions carry a sealed record of what held before and
of the rows that the action added: undoing appends the former where the latter are still the latest word, so nobody
takes back what another has said since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from newtest.errors import NewtestError, UsageError
from newtest.reading.jsons import parse_json
from newtest.review import actions
from newtest.review.handing_out import HandingOut
from newtest.review.page_images import ReviewPictures
from newtest.review.page_values import class_view, overview_view, pairs_view
from newtest.study import Study
from newtest.templates import environment
from newtest.web.forms import Form, read_form
from newtest.web.keys import Keys
from newtest.web.serving import guarded

__all__ = ["review_app", "reviewer_link"]

STATIC = {"review.css": "text/css", "class.js": "text/javascript", "pairs.js": "text/javascript"}
MAX_NAME = 60


def review_keys(study: Study, token: str) -> Keys:
    """Links hold as long as the token does: a fresh token a start, or the one that the owner gives."""
    return Keys(study.secret_for("review-server") + token.encode())


def reviewer_link(study: Study, token: str, name: str) -> str:
    """The path of a reviewer's pages. Raises UsageError for a name that is empty, too long, or a rule's."""
    if not name.strip() or len(name) > MAX_NAME or name.startswith("automatic:"):
        raise UsageError(
            f"a reviewer's name has 1 to {MAX_NAME} characters and does not begin with automatic:"
        )
    return f"/r/{review_keys(study, token).seal('reviewer', name.strip())}/"


def review_app(
    study: Study,
    token: str,
    *,
    revision: str | None = None,
    agreement: Mapping[str, float] | None = None,
    hosts: tuple[str, ...] = (),
) -> ASGIApp:
    """The pages of a study; each request opens its own connection, so ``study`` may be closed meanwhile.

    ``revision`` makes it the final review: a class shows that revision's members alone. ``agreement`` is image_id ->
    share of models that agree with the class.
    """
    pages = _Pages(study.root, review_keys(study, token), revision, agreement or {})
    app = Starlette(
        routes=[
            Route("/static/{name}", _static),
            Mount("/r/{token}", routes=pages.routes()),
        ],
        exception_handlers={HTTPException: _refusal, NewtestError: _failure},
    )
    return guarded(app, hosts=hosts)


class _Pages:
    def __init__(self, root: Path, keys: Keys, revision: str | None, agreement: Mapping[str, float]) -> None:
        self._root, self._keys, self._revision, self._agreement = root, keys, revision, agreement
        self._pictures, self._handing_out = ReviewPictures(root), HandingOut()

    def routes(self) -> list[Route]:
        return [
            Route("/", self.overview),
            Route("/class/{wnid}", self.one_class),
            Route("/pairs", self.pairs),
            Route("/pairs.json", self.pairs_json),
            Route("/picture/{sha256}", self.picture),
            Route("/do/{action}", self.act, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        return await self._page(request, "overview.html", lambda study: overview_view(study, self._revision))

    async def one_class(self, request: Request) -> Response:
        wnid, sort = request.path_params["wnid"], request.query_params.get("sort", "frequency")
        return await self._page(
            request,
            "class.html",
            lambda study: class_view(study, wnid, sort, self._revision, self._agreement),
        )

    async def pairs(self, request: Request) -> Response:
        return await self._page(request, "pairs.html", lambda study: {})

    async def pairs_json(self, request: Request) -> Response:
        reviewer = self._reviewer(request)
        return JSONResponse(
            await self._with_study(lambda study: pairs_view(study, reviewer, self._handing_out))
        )

    async def picture(self, request: Request) -> Response:
        self._reviewer(request)
        large = "large" in request.query_params
        data = await run_in_threadpool(self._pictures.read, request.path_params["sha256"], large=large)
        if data is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})

    async def act(self, request: Request) -> Response:
        """An action's form -> JSON with ``undo``, to be sent back to take it back."""
        reviewer, form = self._reviewer(request), await read_form(request)
        action = request.path_params["action"]
        try:
            answer = await self._with_study(lambda study: self._do(study, action, form, reviewer))
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        return JSONResponse(answer)

    def _do(self, study: Study, action: str, form: Form, reviewer: str) -> dict[str, Any]:
        wnid, images = form.one("wnid"), form.all("image")
        if action in ("block", "unblock"):
            before = actions.block(
                study, wnid, images, blocked=action == "block", reason=form.one("reason") or "let in again"
                if action == "unblock" else form.one("reason"), reviewer=reviewer,
            )  # fmt: skip
            return {"undo": self._sealed({"kind": "block", "wnid": wnid, "before": before})}
        self._handing_out.renew(reviewer)
        if action in ("duplicate", "different"):
            before = actions.judge_pairs(study, images, duplicate=action == "duplicate", reviewer=reviewer)
            others = [b for b in before if b["reviewer"] not in ("", reviewer) and b["duplicate"] is not None]
            return {"undo": self._sealed({"kind": "verdict", "before": before}), "others": others}
        if action == "later":
            self._handing_out.put_off(reviewer, [(min(images), max(images))] if images else [])
            return {}
        if action == "done":
            if self._revision is None:
                raise UsageError(
                    "classes are looked over in the final review: begin newtest review with a `revision`"
                )
            return {"members": actions.finish_class(study, self._revision, wnid, reviewer=reviewer)}
        if action == "undo":
            return self._undo(study, form.one("undo"), reviewer)
        raise HTTPException(404, "There is no such action.")

    def _undo(self, study: Study, sealed: str, reviewer: str) -> dict[str, Any]:
        record = self._keys.open("undo", sealed)
        if record is None:
            raise UsageError("this cannot be undone any more: reload the page")
        found = parse_json(record)
        if found["kind"] == "block":
            undone = actions.restore_blocks(study, found["wnid"], found["before"], reviewer=reviewer)
        else:
            undone = actions.restore_verdicts(study, found["before"], reviewer=reviewer)
        return {"before": undone, "kept": len(found["before"]) - len(undone)}

    def _sealed(self, record: dict[str, Any]) -> str:
        return self._keys.seal("undo", json.dumps(record))

    def _reviewer(self, request: Request) -> str:
        name = self._keys.open("reviewer", request.path_params["token"])
        if name is None:
            raise HTTPException(
                401, "Open the link that newtest review printed: this one is not valid (any more)."
            )
        return name

    async def _with_study(self, work: Callable[[Study], Any]) -> Any:
        def call() -> Any:
            with Study(self._root) as study:
                return work(study)

        return await run_in_threadpool(call)

    async def _page(
        self, request: Request, name: str, work: Callable[[Study], Mapping[str, Any]]
    ) -> Response:
        reviewer = self._reviewer(request)
        try:
            values = await self._with_study(work)
        except UsageError as error:
            raise HTTPException(404, str(error)) from error
        home = f"/r/{request.path_params['token']}/"
        html = _template(name).render(**values, reviewer=reviewer, home=home)
        return HTMLResponse(html)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    data = files("newtest.review").joinpath("static", name).read_bytes()
    return Response(data, media_type=STATIC[name], headers={"Cache-Control": "max-age=300"})


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if "/do/" in request.url.path or request.url.path.endswith("/pairs.json"):
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
    html = _template("message.html").render(text=error.detail)
    return HTMLResponse(html, error.status_code, headers=error.headers)


async def _failure(request: Request, error: Exception) -> Response:
    """What went wrong with the study, as a page or as JSON like any refusal."""
    return await _refusal(request, HTTPException(500, str(error)))


def _template(name: str) -> jinja2.Template:
    return environment("newtest.review", "pages").get_template(name)
