"""What a run of downloads is doing, for those who look at it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HostTraffic", "Traffic"]


@dataclass(frozen=True)
class HostTraffic:
    """A host that throttles: ``waiting`` requests, ``rate`` per second where it is known, ``rest`` seconds to go."""

    host: str
    waiting: int
    rate: float | None
    rest: float

    @property
    def seconds(self) -> float | None:
        """How long its requests will take at its pace; None while that is being learned."""
        return None if self.rate is None else self.rest + self.waiting / self.rate


@dataclass(frozen=True)
class Traffic:
    """``active`` requests are under way; ``paced`` are the hosts that are asked at a pace of theirs."""

    active: int
    paced: tuple[HostTraffic, ...] = ()

    @property
    def waiting(self) -> int:
        """How many requests wait for hosts that throttle."""
        return sum(host.waiting for host in self.paced)
