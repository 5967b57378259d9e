"""The owner's page: progress, throughput, cost and workers' quality, live; links made and revoked."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog import figures, leases, workers
from newtest.crowd.links import PURPOSE, invite
from newtest.crowd.server.pages import page
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.tally import ControlTally
from newtest.errors import UsageError
from newtest.study import now
from newtest.votes.quality import assess
from newtest.web.forms import Form, read_form

__all__ = ["OwnerPages"]


class OwnerPages:
    """The routes below ``/owner/``, behind the access token."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._tally = ControlTally()

    def routes(self) -> list[Route]:
        """What the application mounts behind ``OwnerAccess``."""
        return [
            Route("/", self.overview),
            Route("/progress.json", self.progress),
            Route("/invite", self.invite, methods=["POST"]),
            Route("/revoke", self.revoke, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """The page; its figures are filled in by ``owner.js``."""
        links = [
            link for link in await self._shared.database.read(workers.list_links) if link.origin == "invited"
        ]
        return page(
            "owner.html",
            allowed=self._shared.config.allowed,
            links=[(link, self._address(request, link.link_id)) for link in links],
            csrf=self._csrf(),
        )

    async def progress(self, request: Request) -> Response:
        """The figures as JSON."""
        clock = self._shared.config.clock()
        sums = await self._shared.database.write(self._figures, clock)
        return JSONResponse(sums)

    async def invite(self, request: Request) -> Response:
        """Make a link for each name that was given, one a line or separated by commas."""
        form = await self._form(request)
        try:
            for label in form.one("labels").replace(",", "\n").split("\n"):
                if label.strip():
                    shared = self._shared
                    await shared.database.write(invite, shared.keys, shared.worker_key, label)
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        return RedirectResponse("/owner/", 303)

    async def revoke(self, request: Request) -> Response:
        """Revoke a link: at once nobody comes in by it."""
        form = await self._form(request)
        await self._shared.database.write(workers.revoke_link, form.one("link"), at=now())
        return RedirectResponse("/owner/", 303)

    def _figures(self, catalog: Any, clock: float) -> dict[str, Any]:
        leases.sweep(catalog, clock)
        counts = self._tally.update(catalog)
        people = []
        for row in figures.workers(catalog):
            found = assess(counts[row["worker"]]) if row["worker"] in counts else None
            people.append(
                {
                    "name": row["label"] or row["worker"][:8],
                    "revoked": row["revoked_at"] is not None,
                    "done": row["done"],
                    "seconds": row["seconds"],
                    "controls": counts[row["worker"]].total if found else 0,
                    "sensitivity": found.sensitivity if found else None,
                    "specificity": found.specificity if found else None,
                    "flagged": bool(found and found.flagged),
                }
            )
        return {**figures.progress(catalog, now=clock), "workers": people}

    async def _form(self, request: Request) -> Form:
        form = await read_form(request)
        if not self._shared.keys.is_tag(form.one("csrf"), "csrf", "owner"):
            raise HTTPException(403, "This form is out of date. Reload the page and try again.")
        return form

    def _csrf(self) -> str:
        return self._shared.keys.tag("csrf", "owner")

    def _address(self, request: Request, link_id: str) -> str:
        return f"{request.url.scheme}://{request.url.netloc}/work/{self._shared.keys.link(PURPOSE, link_id)}/"
