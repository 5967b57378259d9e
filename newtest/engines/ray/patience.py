"""Waiting for a worker: what the cluster lacks is reported after a while, again each minute, and not for ever."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from newtest.errors import ClusterError
from newtest.progress import Progress

__all__ = ["Needs", "Patience"]

_FIRST_S, _AGAIN_S = 8.0, 60.0
_HOPELESS_S = 600.0
"""How long to wait for a node that is large enough: an autoscaler may start one."""


@dataclass(frozen=True)
class Needs:
    """What a worker takes of its node; ``memory`` in bytes, 0 for no reservation."""

    cpus: float = 1
    gpus: float = 0
    memory: int = 0

    def options(self) -> dict[str, Any]:
        """As Ray names it."""
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        return options | ({"memory": self.memory} if self.memory else {})

    def fit(self, room: dict[str, float]) -> int:
        """How many workers find room in so much of Ray's resources."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": float(self.memory)}
        return int(min((room.get(name, 0) // need for name, need in wanted.items() if need), default=1))

    def __str__(self) -> str:
        words = [f"{self.cpus:g} CPU{'s' if self.cpus > 1 else ''}"] if self.cpus else []
        words += [f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''}"] if self.gpus else []
        words += [f"{gib(self.memory)} of memory"] if self.memory else []
        return " and ".join(words) or "nothing"


@dataclass
class Patience:
    """How long nobody has worked."""

    ray: Any
    needs: Needs
    progress: Progress
    limit: float = 0
    since: float = field(default_factory=time.monotonic)
    said: float = 0

    def renewed(self) -> None:
        """Somebody works."""
        self.since, self.said = time.monotonic(), 0

    def tried(self) -> None:
        """Nobody has worked for a while: say why. Raises ClusterError when that has lasted too long."""
        waited = time.monotonic() - self.since
        if waited < (_FIRST_S if not self.said else self.said + _AGAIN_S) and not (0 < self.limit < waited):
            return
        rooms = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        hopeless = not any(self.needs.fit(room) for room in rooms)
        limit = self.limit or (_HOPELESS_S if hopeless else 0)
        why = _hopeless(self.needs, rooms) if hopeless else _busy(self.needs, self.ray)
        if limit and waited >= limit:
            raise ClusterError(f"no worker of Ray started within {waited:.0f} s: {why}")
        until = f" for {limit:.0f} s at most" if limit else ""
        until += ", as an autoscaler may add a node" if hopeless else ""
        self.progress.say(f"waiting for a worker of Ray{until}: {why}")
        self.said = waited


def gib(size: float) -> str:
    """Bytes as a person reads them: ``14.7 GiB``, ``1,024 GiB``."""
    found = size / (1 << 30)
    return f"{found:,.0f} GiB" if found >= 100 else f"{found:.3g} GiB"


def _hopeless(needs: Needs, rooms: list[dict[str, float]]) -> str:
    cpus, gpus, memory = (
        max((room.get(name, 0) for room in rooms), default=0) for name in ("CPU", "GPU", "memory")
    )
    return (
        f"a worker takes {needs}, and no node of the cluster has that (at most {cpus:g} CPUs, {gpus:g} GPUs, "
        f"{gib(memory)})"
    )


def _busy(needs: Needs, ray: Any) -> str:
    free, all_of_it = ray.available_resources(), ray.cluster_resources()
    of = [
        f"{free.get(name, 0):g} of {all_of_it.get(name, 0):g} {name}s"
        for name, need in (("CPU", needs.cpus), ("GPU", needs.gpus))
        if need
    ]
    if needs.memory:
        of.append(f"{gib(free.get('memory', 0))} of {gib(all_of_it.get('memory', 0))}")
    return f"{' and '.join(of)} are free in the cluster, and a worker takes {needs}"
