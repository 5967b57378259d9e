"""What an owner can set, and what the parts of the server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from starlette.concurrency import run_in_threadpool

from newtest.catalog.crowd import file_of
from newtest.crowd.requester.hosts import AllowedHosts
from newtest.crowd.server.database import Database
from newtest.crowd.server.worker_images import Pictures
from newtest.errors import ImageError
from newtest.web.keys import Keys

__all__ = ["Recruiting", "ServerConfig", "Shared"]

MAX_KNOWN = 100_000


@dataclass(frozen=True)
class Recruiting:
    """People who come from a recruiting site with ``PROLIFIC_PID``, ``STUDY_ID`` and ``SESSION_ID``."""

    study_id: str
    """Only this study's people are let in."""
    completion_code: str
    hits: int = 1
    """After so many HITs a person is done and gets the code."""

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
    recruiting: Recruiting | None = None
    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    """Hosts that pages of requesters may load from."""
    public_hosts: tuple[str, ...] = ()
    """Host names (without port) under which people reach the server, beside loopback's."""
    clock: Callable[[], float] = field(default=time.time, compare=False)


@dataclass(frozen=True)
class Shared:
    """What every part of the running server holds."""

    config: ServerConfig
    database: Database
    keys: Keys
    pictures: Pictures
    worker_key: Callable[[str], str]
    """A person's id as it is stored (``Study.worker_key``)."""
    known_hashes: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    """Image id -> (the minute it was looked up, the hash of its bytes)."""

    async def picture(self, image_id: str) -> bytes | None:
        """An image as workers see it; None when its bytes are not here or cannot be read.

        The catalog is asked about an image once a minute at most: pages show 48 of them.
        """
        minute = int(self.config.clock() / 60)
        known = self.known_hashes.get(image_id)
        if known is None or known[0] != minute:
            if len(self.known_hashes) > MAX_KNOWN:
                self.known_hashes.clear()
            known = minute, await self.database.read(file_of, image_id)
            self.known_hashes[image_id] = known
        if known[1] is None:
            return None
        try:
            return self.pictures.in_memory(known[1]) or await run_in_threadpool(self.pictures.read, known[1])
        except (OSError, ImageError):
            return None
