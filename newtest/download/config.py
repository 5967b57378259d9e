"""Limits and manners of a run of downloads, apart from what downloads: whoever only names them imports no client."""

from __future__ import annotations

from dataclasses import dataclass

from newtest.version import __version__

__all__ = ["DownloadConfig"]


@dataclass(frozen=True)
class DownloadConfig:
    """Limits and manners of a run; times in seconds."""

    total: int = 256
    per_host: int = 32
    connect_timeout: float = 10.0
    read_timeout: float = 10.0
    deadline: float = 60.0
    least_bytes_per_second: int = 512
    """Below this average, once ``read_timeout`` seconds have passed, a response is given up."""
    max_bytes: int = 64 * 2**20
    max_redirects: int = 5
    retries: int = 4
    backoff: float = 0.5
    """Before the first retry; doubles each time, times a jitter in [0.5, 1) drawn from ``seed`` and the key."""
    longest_wait: float = 30.0
    """A Retry-After of a failure beyond this ends the request for this run. Hosts that throttle are another matter:"""
    first_rest: float = 1.0
    """Before a host that throttles is asked again, where it does not say when; doubles while it goes on refusing."""
    longest_rest: float = 900.0
    """A host that refuses for longer, or asks to be left alone for longer, is left alone for the rest of the run."""
    remember: bool = True
    """Whether the paces of hosts that throttle are kept for later runs (see ``newtest.download.memory``)."""
    allow_private: bool = False
    opt_out: tuple[str, ...] = ("noai", "noimageai")
    robots: bool = False
    """Whether each site's robots.txt is asked for first, and obeyed."""
    user_agent: str = f"newtest/{__version__}"
    read_ahead: int = 20_000
    """How many requests wait in memory at most; hosts take turns within them."""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.total, self.per_host, self.read_ahead, self.max_bytes) < 1 or self.retries < 0:
            raise ValueError(
                "`total`, `per_host`, `read_ahead` and `max_bytes` must be positive, `retries` not negative"
            )
