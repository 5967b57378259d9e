"""What an owner can set, and what the parts of the server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from starlette.concurrency import run_in_threadpool

from newtest.catalog.crowd import shown_file
from newtest.crowd.questions import Wording
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.server.database import Database
from newtest.crowd.server.worker_images import FLOOR_SECONDS, Pictures, Place
from newtest.crowd.training import Training
from newtest.errors import ImageError
from newtest.web.connections import Connections
from newtest.web.keys import Keys

__all__ = ["Recruiting", "ServerConfig", "Shared"]


@dataclass(frozen=True)
class Recruiting:
    """People who come from a recruiting site with ``PROLIFIC_PID``, ``STUDY_ID`` and ``SESSION_ID``."""

    study_id: str
    """Only this study's people are let in."""
    completion_code: str
    hits: int = 1
    """A person is done after this many HITs and gets the code."""
    no_consent_code: str | None = None
    failed_code: str | None = None
    """For who clearly failed on images whose answer is known; on the site it should lead to a review by a person."""
    late_code: str | None = None
    introduction: str | None = None
    """The owner's introduction and consent text, as Markdown; it is shown on arrival and has to be agreed to."""
    minutes: int | None = None
    """How long it all takes, as the arrival page says."""
    pay: str = ""
    """What a person is paid, in the site's own terms."""

    def leaving(self, why: Literal["no consent", "too late"]) -> Recruiting:
        """These settings with the code for who leaves so; the code is empty where the owner gave none."""
        code = self.no_consent_code if why == "no consent" else self.late_code
        return replace(self, completion_code=code or "")

    @property
    def return_url(self) -> str:
        """Where people go back to when they are done."""
        return f"https://app.prolific.com/submissions/complete?cc={self.completion_code}"


@dataclass(frozen=True)
class ServerConfig:
    """The settings of a crowd server. ``clock`` gives seconds since 1970; tests set their own."""

    access_token: str
    """Opens the owner's page, and is the secret access key of the MTurk protocol (access key ``newtest``)."""
    balance: Decimal = Decimal("10000.00")
    """What GetAccountBalance starts from; rewards of submitted work are subtracted."""
    max_cost: Decimal | None = None
    """What all that is open, owed and paid may cost in dollars, per study: no HIT is extended or opened beyond it."""
    recruiting: Recruiting | None = None
    training: Training | None = None
    """A practice that everybody does before their first task."""
    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    """Hosts that pages of requesters may load from."""
    wording: Wording = field(default_factory=Wording)
    """The language of workers' pages, and how planned HITs are put."""
    public_hosts: tuple[str, ...] = ()
    """Host names (without port) under which people reach the server, beside loopback's."""
    clock: Callable[[], float] = field(default=time.time, compare=False)


@dataclass(frozen=True)
class Shared:
    """What every part of the running server holds of one study."""

    root: Path
    """The study's folder."""
    config: ServerConfig
    database: Database
    keys: Keys
    pictures: Pictures
    worker_key: Callable[[str], str]
    """A person's id as it is stored (``Study.worker_key``)."""
    connections: Connections = field(default_factory=Connections)

    async def picture(self, place: Place | None) -> bytes | None:
        """An image as a worker sees it; None when its address is not (any more) good, or its bytes cannot be read.

        Takes ``FLOOR_SECONDS`` at least, whatever became of it.
        """
        earliest = asyncio.get_running_loop().time() + FLOOR_SECONDS
        data = None if place is None else await self._picture(place)
        await asyncio.sleep(earliest - asyncio.get_running_loop().time())
        return data

    async def _picture(self, place: Place) -> bytes | None:
        sha256 = await self.database.look(shown_file, place.hit_id, place.position, place.link_id)
        if sha256 is None:
            return None
        try:
            return self.pictures.in_memory(sha256) or await run_in_threadpool(self.pictures.read, sha256)
        except (OSError, ImageError):
            return None
