"""People on a server of several studies: one personal link, and who its person is in each study.

Every study hashes ids under its own key, so nothing in two catalogs tells that two workers are one person. The server
can: the owner's name for somebody invited stands in the link, and what a recruiting site calls a person is sealed in
``people.sqlite`` of the study that they came to. From it each study's own worker follows, the same as if that
study were served alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool

from newtest.catalog import workers
from newtest.catalog.workers import WorkerLink
from newtest.crowd.links import PURPOSE, arrive, invite
from newtest.crowd.people import person_of
from newtest.crowd.server.settings import Shared
from newtest.study import Study

__all__ = ["Member", "Person", "Persons"]


@dataclass(frozen=True)
class Member:
    """Who somebody is in one study: the worker's keyed hash, and the id of their link there."""

    shared: Shared
    worker: str
    link_id: str


@dataclass(frozen=True)
class Person:
    """Somebody with a good link. ``members`` are in the order of the server's studies; one in which the owner has
    revoked their link is not among them."""

    origin: str
    members: tuple[Member, ...]
    taking: asyncio.Lock
    """Held while they take a HIT: two takes at once in two studies could show them an image twice."""


class Persons:
    """Finds the person of a link. ``studies`` has at least one."""

    def __init__(self, studies: Sequence[Shared]) -> None:
        self._studies = tuple(studies)
        self._ids: dict[str, str] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, token: str) -> Person | None:
        """The person whose link this is; None for every link that is not (any more) good."""
        for home in self._studies:
            link_id = home.keys.link_id(PURPOSE, token)
            link = await home.database.look(workers.find_link, link_id) if link_id else None
            if link is None:
                continue
            if link.revoked_at is not None:
                return None
            members = [m for shared in self._studies if (m := await self._member(shared, home, link))]
            lock = self._locks.setdefault(members[0].worker, asyncio.Lock())
            return Person(link.origin, tuple(members), lock)
        return None

    async def _member(self, shared: Shared, home: Shared, link: WorkerLink) -> Member | None:
        if shared is home:
            return Member(shared, link.worker, link.link_id)
        named = await self._name(home, link)
        if named is None:
            return None
        worker = shared.worker_key(f"{link.origin}:{named}")
        theirs = await shared.database.look(workers.active_link, worker)
        if theirs is None:
            if await shared.database.look(workers.was_revoked, worker):
                return None
            await shared.database.write(_enter, shared, link.origin, named)
            theirs = await shared.database.look(workers.active_link, worker)
        return None if theirs is None else Member(shared, worker, theirs.link_id)

    async def _name(self, home: Shared, link: WorkerLink) -> str | None:
        """The owner's name for the person, or the recruiting site's id; None for somebody who was forgotten."""
        if link.origin == "invited":
            return link.label or None
        if link.link_id not in self._ids:
            found = await run_in_threadpool(_site_id, home, link.worker)
            if found is None:
                return None
            self._ids[link.link_id] = found
        return self._ids[link.link_id]


def _site_id(home: Shared, worker: str) -> str | None:
    with Study(home.root) as study:
        return person_of(study, worker)


def _enter(catalog: sqlite3.Connection, shared: Shared, origin: str, named: str) -> None:
    begin: Callable[..., object] = invite if origin == "invited" else arrive
    begin(catalog, shared.keys, shared.worker_key, named)
