"""The engine, and the settings that its name may carry."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from newtest.engines.base import MakeWorker, Outcome, Resources
from newtest.engines.ray.connecting import connected, the_ray
from newtest.engines.ray.crew import Crew
from newtest.engines.ray.patience import Needs, Patience
from newtest.engines.ray.variables import chosen
from newtest.engines.ray.worker import Baggage, Cargo
from newtest.errors import UsageError
from newtest.progress import UNWATCHED, Progress

__all__ = ["RayEngine", "Settings", "settings_of"]

_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class Settings(TypedDict, total=False):
    """What may stand behind the engine's name."""

    memory: int
    cpus: float
    wait: float


@dataclass(frozen=True)
class RayEngine:
    """``address`` None joins a cluster that Ray finds by itself (``RAY_ADDRESS``) or starts a local one.

    A worker takes ``cpus`` and ``memory`` (bytes; 0 reserves none) of its node. ``wait`` is how many seconds may pass
    without any worker before the run is given up; 0 waits for as long as the cluster is busy.
    """

    address: str | None = None
    name: str = "ray"
    memory: int = 0
    cpus: float = 1
    wait: float = 0
    progress: Progress = UNWATCHED
    without: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The nodes that lacked a folder in an earlier map: by id, what they lack."""

    def map(
        self, make_worker: MakeWorker[Any, Any], items: Sequence[Any], resources: Resources = Resources()
    ) -> Iterator[Outcome[Any, Any]]:
        """One outcome for every item, in the order in which they end. Raises ClusterError."""
        if not items:
            return
        ray = the_ray()
        with connected(ray, self.address):
            needs = Needs(self.cpus, resources.gpus, self.memory)
            baggage = Baggage(str(Path.cwd()), chosen(), ray.cloudpickle.dumps(make_worker))
            crew = Crew(
                ray,
                Cargo(ray.put(ray.cloudpickle.dumps(baggage))),
                needs,
                deque(enumerate(items)),
                Patience(ray, needs, self.progress, self.wait),
                resources.workers,
                self.without,
            )
            yield from crew.run()


def settings_of(words: Sequence[str]) -> Settings:
    """``memory=4GiB``, ``cpus=2``, ``wait=600``. Raises UsageError."""
    settings: Settings = {}
    for word in words:
        name, _, value = word.partition("=")
        number = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]iB)?", value)
        if name not in ("memory", "cpus", "wait") or number is None or (number[2] and name != "memory"):
            raise UsageError(
                f"{word!r} is not a setting of a Ray engine; there are memory=4GiB, cpus=2 and wait=600 (seconds)"
            )
        if name == "memory":
            settings["memory"] = int(float(number[1]) * _UNITS[number[2] or ""])
        elif name == "cpus":
            settings["cpus"] = float(number[1])
        else:
            settings["wait"] = float(number[1])
    return settings
