"""What is asked for, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Download", "Request"]


@dataclass(frozen=True)
class Request:
    """``key`` is the caller's name for it, unique in a run."""

    key: str
    url: str


@dataclass(frozen=True)
class Download:
    """Bytes, or else a ``kind`` and a ``reason``. ``permanent``: asking again is pointless, or unwelcome.

    ``throttled``: its host asks for fewer requests than this run has time for; nothing was learned of this one, so it
    counts as no attempt.
    """

    key: str
    data: bytes | None = field(repr=False, default=None)
    kind: str | None = None
    reason: str | None = None
    permanent: bool = False
    tries: int = 1
    throttled: bool = False
