"""The owner's page: progress, throughput, cost and workers' quality, live; links made and revoked."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from newtest.catalog import figures, leases, owner, workers
from newtest.crowd.costs import cents
from newtest.crowd.ledger import ledger
from newtest.crowd.links import PURPOSE, invite
from newtest.crowd.server.extending import extend_hits
from newtest.crowd.server.owner_details import hit_page, image_page, name_of, worker_page
from newtest.crowd.server.pages import page
from newtest.crowd.server.settings import Shared
from newtest.crowd.server.tally import ControlTally
from newtest.errors import UsageError
from newtest.study import now
from newtest.votes.quality import assess
from newtest.web.forms import Form, read_form

__all__ = ["OwnerPages", "address_of", "invite_all", "owner_csrf", "owner_form", "seconds_of", "within_limit"]


class OwnerPages:
    """The owner's pages of one study, behind the access token; ``at`` is where they are mounted, and ``name`` the
    study's where the server has several."""

    def __init__(self, shared: Shared, at: str = "/owner", name: str = "") -> None:
        self._shared, self._at, self._name = shared, at, name
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
        return self._page(
            "owner.html",
            allowed=self._shared.config.allowed,
            paused=await self._shared.database.read(owner.is_paused),
            links=[(link, address_of(self._shared, request, link.link_id)) for link in links],
        )

    async def progress(self, request: Request) -> Response:
        """The figures as JSON."""
        clock = self._shared.config.clock()
        sums = await self._shared.database.write(self.figures, clock)
        return JSONResponse(sums)

    async def invite(self, request: Request) -> Response:
        """Make a link for each name that was given, one per line or separated by commas."""
        form = await self._form(request)
        await invite_all(self._shared, form.one("labels"))
        return RedirectResponse(f"{self._at}/", 303)

    async def revoke(self, request: Request) -> Response:
        """Revoke a link: at once nobody comes in by it."""
        form = await self._form(request)
        await self._shared.database.write(workers.revoke_link, form.one("link"), at=now())
        return RedirectResponse(f"{self._at}/", 303)

    async def pause(self, request: Request) -> Response:
        """Let nobody begin a HIT, or let them again."""
        form = await self._form(request)
        await self._shared.database.write(owner.set_paused, paused=form.one("paused") == "yes")
        return RedirectResponse(f"{self._at}/", 303)

    async def extend(self, request: Request) -> Response:
        """Let HITs, or one, end some days later."""
        form = await self._form(request)
        seconds = seconds_of(form.one("days"))
        hit, clock = form.one("hit") or None, self._shared.config.clock()
        await within_limit(
            self._shared.database.write(
                extend_hits, seconds, now=clock, market_hit_id=hit, max_cost=self._shared.config.max_cost
            )
        )
        return self._after(hit)

    async def close(self, request: Request) -> Response:
        """End HITs, or one, now."""
        form = await self._form(request)
        hit, clock = form.one("hit") or None, self._shared.config.clock()
        await self._shared.database.write(owner.close_hits, now=clock, market_hit_id=hit)
        return self._after(hit)

    def _after(self, hit: str | None) -> Response:
        return RedirectResponse(f"{self._at}/" + (f"hit/{quote(hit, safe='')}" if hit else ""), 303)

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
            at=self._at,
            study=self._name,
            csrf=owner_csrf(self._shared),
            now=self._shared.config.clock(),
            name_of=name_of,
            when=lambda at: datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            picture=lambda hit_id, image: f"/picture/{pictures.token(hit_id, image)}",
            **values,
        )

    def figures(self, catalog: sqlite3.Connection, clock: float) -> dict[str, Any]:
        """The study's figures, and a row per worker."""
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
                    "label": row["label"],
                    "counts": astuple(counts[row["worker"]]) if row["worker"] in counts else (0, 0, 0, 0),
                    "begun": row["worker"] in begun,
                    "revoked": row["revoked_at"] is not None,
                    "done": row["done"],
                    "seconds": row["seconds"],
                    "controls": counts[row["worker"]].total if found else 0,
                    "checks": tuple(self._tally.checks.get(row["worker"], (0, 0))),
                    # Without a control of its kind the posterior is the prior: a number that nobody earned.
                    "sensitivity": found.sensitivity if found and counts[row["worker"]].positives else None,
                    "specificity": found.specificity if found and counts[row["worker"]].negatives else None,
                    "flagged": bool(found and found.flagged),
                }
            )
        connections = {"open": len(self._shared.connections.open), **self._shared.connections.counts}
        book = ledger(catalog, clock)
        money = {
            "owed": float(cents(book.earned.reward)),  # as the page has it: what people have earned so far
            "ledger": {name: float(getattr(book, name).total) for name in ("open", "owed", "paid")},
        }
        return {
            **figures.progress(catalog, now=clock),
            **money,
            "workers": people,
            "connections": connections,
        }

    async def _form(self, request: Request) -> Form:
        return await owner_form(self._shared, request)


async def within_limit(change: Awaitable[object], unchanged: str = "Nothing was changed") -> None:
    """Carry out what commits money. Raises HTTPException where the server's limit refuses it."""
    try:
        await change
    except UsageError as error:
        raise HTTPException(400, f"{unchanged}: {error}".replace("`", "")) from error


async def owner_form(shared: Shared, request: Request) -> Form:
    """A form of the owner's. Raises HTTPException for one that did not come from our page."""
    form = await read_form(request)
    if not shared.keys.is_tag(form.one("csrf"), "csrf", "owner"):
        raise HTTPException(403, "This form is out of date. Reload the page and try again.")
    return form


def owner_csrf(shared: Shared) -> str:
    """What a form of the owner's must carry."""
    return shared.keys.tag("csrf", "owner")


def address_of(shared: Shared, request: Request, link_id: str) -> str:
    """A personal link under the address by which the owner came."""
    return f"{request.url.scheme}://{request.url.netloc}/work/{shared.keys.link(PURPOSE, link_id)}/"


async def invite_all(shared: Shared, labels: str) -> None:
    """Make a link for each name, one per line or separated by commas. Raises HTTPException."""
    try:
        for label in labels.replace(",", "\n").split("\n"):
            if label.strip():
                await shared.database.write(invite, shared.keys, shared.worker_key, label)
    except UsageError as error:
        raise HTTPException(400, str(error)) from error


def seconds_of(days: str) -> float:
    """The seconds of a number of days in a form. Raises HTTPException."""
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= 365):
        raise HTTPException(400, "Give a number of days from 1 to 365.")
    return int(days) * 86_400.0
