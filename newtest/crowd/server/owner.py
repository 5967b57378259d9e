"""The owner's page: progress, throughput, cost and workers' quality, live; links made and revoked."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog import figures, leases, owner, workers
from newtest.crowd.links import PURPOSE, invite
from newtest.crowd.server.owner_details import hit_page, image_page, name_of, worker_page
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
            Route("/pause", self.pause, methods=["POST"]),
            Route("/extend", self.extend, methods=["POST"]),
            Route("/close", self.close, methods=["POST"]),
            Route("/hits", self.hits),
            Route("/hit/{key}", self.hit),
            Route("/image/{key}", self.image),
            Route("/worker/{key}", self.worker),
        ]

    async def overview(self, request: Request) -> Response:
        """The page; its figures are filled in by ``owner.js``."""
        links = [
            link for link in await self._shared.database.read(workers.list_links) if link.origin == "invited"
        ]
        return page(
            "owner.html",
            allowed=self._shared.config.allowed,
            paused=await self._shared.database.read(owner.is_paused),
            links=[(link, self._address(request, link.link_id)) for link in links],
            csrf=self._csrf(),
        )

    async def progress(self, request: Request) -> Response:
        """The figures as JSON."""
        clock = self._shared.config.clock()
        sums = await self._shared.database.write(self._figures, clock)
        return JSONResponse(sums)

    async def invite(self, request: Request) -> Response:
        """Make a link for each name that was given, one per line or separated by commas."""
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

    async def pause(self, request: Request) -> Response:
        """Let nobody begin a HIT, or let them again."""
        form = await self._form(request)
        await self._shared.database.write(owner.set_paused, paused=form.one("paused") == "yes")
        return RedirectResponse("/owner/", 303)

    async def extend(self, request: Request) -> Response:
        """Let HITs, or one, end some days later."""
        form = await self._form(request)
        days = form.one("days")
        if not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= 365):
            raise HTTPException(400, "Give a number of days from 1 to 365.")
        hit, clock = form.one("hit") or None, self._shared.config.clock()
        seconds = int(days) * 86_400.0
        await self._shared.database.write(owner.extend_hits, seconds, now=clock, market_hit_id=hit)
        return RedirectResponse(f"/owner/hit/{quote(hit, safe='')}" if hit else "/owner/", 303)

    async def close(self, request: Request) -> Response:
        """End HITs, or one, now."""
        form = await self._form(request)
        hit, clock = form.one("hit") or None, self._shared.config.clock()
        await self._shared.database.write(owner.close_hits, now=clock, market_hit_id=hit)
        return RedirectResponse(f"/owner/hit/{quote(hit, safe='')}" if hit else "/owner/", 303)

    async def hits(self, request: Request) -> Response:
        """The list of HITs, a hundred at a time."""
        start = request.query_params.get("from", "0")
        offset = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0
        rows = await self._shared.database.read(owner.hit_rows, limit=100, offset=offset)
        return self._page("owner_hits.html", hits=rows, offset=offset)

    async def hit(self, request: Request) -> Response:
        """One HIT: who did it, what it showed, what they said."""
        return await self._one(request, "owner_hit.html", hit_page)

    async def image(self, request: Request) -> Response:
        """One image: every answer about it."""
        return await self._one(request, "owner_image.html", image_page)

    async def worker(self, request: Request) -> Response:
        """One worker: everything that they did."""
        return await self._one(request, "owner_worker.html", worker_page)

    async def _one(
        self, request: Request, template: str, find: Callable[[sqlite3.Connection, str], object | None]
    ) -> Response:
        shown = await self._shared.database.read(find, request.path_params["key"])
        if shown is None:
            raise HTTPException(404, "There is nothing of that name here.")
        return self._page(template, shown=shown)

    def _page(self, template: str, **values: Any) -> Response:
        pictures = self._shared.pictures
        return page(
            template,
            csrf=self._csrf(),
            now=self._shared.config.clock(),
            name_of=name_of,
            when=lambda at: datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            picture=lambda hit_id, image: f"/picture/{pictures.token(hit_id, image)}",
            **values,
        )

    def _figures(self, catalog: Any, clock: float) -> dict[str, Any]:
        leases.sweep(catalog, clock)
        counts = self._tally.update(catalog)
        begun = figures.workers_who_began(catalog)
        people = []
        for row in figures.workers(catalog):
            found = assess(counts[row["worker"]]) if row["worker"] in counts else None
            people.append(
                {
                    "name": row["label"] or row["worker"][:8],
                    "key": row["worker"],
                    "begun": row["worker"] in begun,
                    "revoked": row["revoked_at"] is not None,
                    "done": row["done"],
                    "seconds": row["seconds"],
                    "controls": counts[row["worker"]].total if found else 0,
                    "sensitivity": found.sensitivity if found else None,
                    "specificity": found.specificity if found else None,
                    "flagged": bool(found and found.flagged),
                }
            )
        connections = {"open": len(self._shared.connections.open), **self._shared.connections.counts}
        return {**figures.progress(catalog, now=clock), "workers": people, "connections": connections}

    async def _form(self, request: Request) -> Form:
        form = await read_form(request)
        if not self._shared.keys.is_tag(form.one("csrf"), "csrf", "owner"):
            raise HTTPException(403, "This form is out of date. Reload the page and try again.")
        return form

    def _csrf(self) -> str:
        return self._shared.keys.tag("csrf", "owner")

    def _address(self, request: Request, link_id: str) -> str:
        return f"{request.url.scheme}://{request.url.netloc}/work/{self._shared.keys.link(PURPOSE, link_id)}/"
