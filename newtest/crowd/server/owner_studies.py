"""The owner's page of all studies of a server; each study's own pages are below it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from newtest.catalog import owner, workers
from newtest.crowd.people import people
from newtest.crowd.server.extending import extend_hits
from newtest.crowd.server.owner import (
    OwnerPages,
    address_of,
    invite_all,
    owner_csrf,
    owner_form,
    seconds_of,
    within_limit,
)
from newtest.crowd.server.pages import page
from newtest.crowd.server.settings import Shared
from newtest.study import Study, now
from newtest.votes.quality import ControlCounts, assess

__all__ = ["StudiesPages", "owner_routes", "study_names"]

SUMS = ("hits", "wanted", "open", "leased", "submitted", "approved", "rejected", "last_hour", "owed")


def owner_routes(studies: Sequence[Shared]) -> list[BaseRoute]:
    """What is mounted at ``/owner``: the pages of the one study, or a page of all with each study's below it."""
    if len(studies) == 1:
        return [*OwnerPages(studies[0]).routes()]
    names = study_names(studies)
    each = {
        name: OwnerPages(shared, f"/owner/study/{name}", name)
        for name, shared in zip(names, studies, strict=True)
    }
    below = [Mount(f"/study/{name}", routes=pages.routes()) for name, pages in each.items()]
    return [*StudiesPages(dict(zip(names, studies, strict=True)), each).routes(), *below]


def study_names(studies: Sequence[Shared]) -> list[str]:
    """A name in addresses for each study: its folder's, with a number where two are alike."""
    names: list[str] = []
    for shared in studies:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", shared.root.resolve().name).strip("-") or "study"
        free = (other for n in range(1, 10_000) if (other := name if n == 1 else f"{name}-{n}") not in names)
        names.append(next(free))
    return names


@dataclass
class SeveralStudies:
    """A person of the page of all studies: what they did in each, and their controls in all."""

    name: str
    pages: list[tuple[str, str, int]] = field(default_factory=list)
    """(study, address of their page there, HITs done)."""
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    revoked: bool = True

    @property
    def done(self) -> int:
        """HITs in all studies."""
        return sum(done for _, _, done in self.pages)

    @property
    def quality(self) -> tuple[str, str, bool]:
        """Sensitivity and specificity in percent, "" without a control of that kind; and whether they are flagged."""
        counts = ControlCounts(*self.counts)
        found = assess(counts)
        return (
            f"{100 * found.sensitivity:.0f} %" if counts.positives else "",
            f"{100 * found.specificity:.0f} %" if counts.negatives else "",
            bool(counts.total and found.flagged),
        )


class StudiesPages:
    """The page of all studies. People are invited into the first; their links are good for all."""

    def __init__(self, studies: Mapping[str, Shared], pages: Mapping[str, OwnerPages]) -> None:
        self._studies, self._pages = dict(studies), dict(pages)
        self._first = next(iter(studies.values()))
        self._ids: dict[tuple[str, str], str] = {}

    def routes(self) -> list[Route]:
        """What is mounted beside each study's own pages."""
        return [
            Route("/", self.overview),
            Route("/progress.json", self.progress),
            Route("/invite", self.invite, methods=["POST"]),
            Route("/revoke", self.revoke, methods=["POST"]),
            Route("/pause", self.pause, methods=["POST"]),
            Route("/extend", self.extend, methods=["POST"]),
            Route("/close", self.close, methods=["POST"]),
        ]

    async def overview(self, request: Request) -> Response:
        """All studies in a table, their sums above it, everybody below it."""
        figures = await self._figures()
        links = [
            link for link in await self._first.database.read(workers.list_links) if link.origin == "invited"
        ]
        paused = [await shared.database.read(owner.is_paused) for shared in self._studies.values()]
        return page(
            "owner_studies.html",
            studies=[
                (name, found, stopped) for (name, found), stopped in zip(figures.items(), paused, strict=True)
            ],
            sums=_sums(figures),
            paused=all(paused),
            people=await self._people(figures),
            links=[(link, address_of(self._first, request, link.link_id)) for link in links],
            csrf=owner_csrf(self._first),
        )

    async def progress(self, request: Request) -> Response:
        """The figures of all studies, and their sums, as JSON."""
        figures = await self._figures()
        return JSONResponse({"studies": figures, **_sums(figures)})

    async def invite(self, request: Request) -> Response:
        """Make a link for each name; it is good for every study of this server."""
        form = await owner_form(self._first, request)
        await invite_all(self._first, form.one("labels"))
        return _back()

    async def revoke(self, request: Request) -> Response:
        """Revoke a link, and with it the same person's in every other study of this server."""
        form = await owner_form(self._first, request)
        link = await self._first.database.read(workers.find_link, form.one("link"))
        label = link.label if link is not None else ""
        for shared in self._studies.values() if label else ():
            worker = shared.worker_key(f"invited:{label}")
            theirs = await shared.database.read(workers.active_link, worker)
            if theirs is not None:
                await shared.database.write(workers.revoke_link, theirs.link_id, at=now())
        return _back()

    async def pause(self, request: Request) -> Response:
        """Let nobody begin a HIT of any study, or let them again."""
        form = await owner_form(self._first, request)
        return await self._everywhere(owner.set_paused, paused=form.one("paused") == "yes")

    async def extend(self, request: Request) -> Response:
        """Let all HITs of all studies end some days later."""
        seconds = seconds_of((await owner_form(self._first, request)).one("days"))
        for name, shared in self._studies.items():
            clock, limit = self._first.config.clock(), shared.config.max_cost
            change = shared.database.write(extend_hits, seconds, now=clock, max_cost=limit)
            await within_limit(change, f"The study {name} was not extended, those listed before it were")
        return _back()

    async def close(self, request: Request) -> Response:
        """End all HITs of all studies now."""
        await owner_form(self._first, request)
        return await self._everywhere(owner.close_hits, now=self._first.config.clock())

    async def _everywhere(self, change: Callable[..., object], *args: object, **values: object) -> Response:
        for shared in self._studies.values():
            await shared.database.write(change, *args, **values)
        return _back()

    async def _figures(self) -> dict[str, dict[str, Any]]:
        clock = self._first.config.clock()
        return {
            name: await self._studies[name].database.write(pages.figures, clock)
            for name, pages in self._pages.items()
        }

    async def _people(self, figures: Mapping[str, Mapping[str, Any]]) -> list[SeveralStudies]:
        """Everybody once: the invited by the owner's name for them, the recruited by the site's id, which is not
        shown."""
        found: dict[str, SeveralStudies] = {}
        for study, one in figures.items():
            for row in one["workers"]:
                key = f"invited:{row['label']}" if row["label"] else await self._site_id(study, row["key"])
                person = found.setdefault(key, SeveralStudies(row["name"]))
                if row["begun"]:
                    at = f"/owner/study/{study}/worker/{row['key']}"
                    person.pages.append((study, at, row["done"]))
                person.counts = [a + b for a, b in zip(person.counts, row["counts"], strict=True)]
                person.revoked = person.revoked and row["revoked"]
        return list(found.values())

    async def _site_id(self, study: str, worker: str) -> str:
        if (study, worker) not in self._ids:
            known = await run_in_threadpool(_site_ids, self._studies[study])
            self._ids |= {(study, other): f"recruited:{person}" for other, person in known.items()}
        return self._ids.get((study, worker), f"forgotten:{study}/{worker}")


def _site_ids(shared: Shared) -> dict[str, str]:
    with Study(shared.root) as study:
        return {one.worker: one.person for one in people(study)}


def _sums(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {name: round(sum(one[name] for one in figures.values()), 2) for name in SUMS}


def _back() -> Response:
    return RedirectResponse("/owner/", 303)
