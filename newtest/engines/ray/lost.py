"""Workers that are lost: why, in a few words, and the end of their log, which lies on their node."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from newtest.engines.ray.worker import Arrival
from newtest.files import open_bytes

__all__ = ["gone", "losses", "reason", "said"]

_LINES, _LENGTH = 3, 300
_WAIT_S = 5.0
_GONE = "its node is gone"
_FATAL = "Fatal Python error"
_NOISE = re.compile(
    r":(job_id|actor_name|task_name):|\[[^\]]*\] logging\.cc|PC: @|@ +0x|Extension modules:"
    r"|.*\(most recent call first\):$"
)
"""What Ray and Python write for themselves where a process crashes: addresses, a list of modules."""


def losses(ray: Any) -> tuple[type[BaseException], ...]:
    """What Ray raises where a worker or its node is gone."""
    names = ("RayActorError", "ObjectLostError", "NodeDiedError", "OutOfMemoryError", "WorkerCrashedError")
    return tuple(getattr(ray.exceptions, name) for name in names if hasattr(ray.exceptions, name))


def gone(ray: Any, error: BaseException, worker: Arrival) -> bool:
    """Whether the worker's node went, and not only its process. Ray may take a while to see that."""
    return _kind(str(error)) == _GONE or not any(
        node["Alive"] for node in ray.nodes() if node["NodeID"] == worker.node
    )


def reason(ray: Any, error: BaseException, worker: Arrival | None) -> str:
    """``on 10.0.0.2 (...), its node is gone``, or how it ended, and the last lines of its log."""
    if worker is None:  # it had not arrived
        address = re.search(r"\bip[=:]\s*([0-9a-fA-F.:]*[0-9a-fA-F])", str(error))
        return f"on {address[1]}, {_kind(str(error))}" if address else _kind(str(error))
    kind = _GONE if gone(ray, error, worker) else _kind(str(error))
    end = _end(ray, worker) if kind != _GONE and worker.log.startswith("/") else ""
    if end is None:  # Ray may take a while to see that a node is gone
        return f"on {worker.place}, it or its node is gone"
    return f"on {worker.place}, {kind}" + (f"; its log ends: {end}" if end else "")


def _kind(text: str) -> str:
    """Ray's words for it are long and name causes that may be; what is certain of them is little."""
    lower = text.lower()
    if "node is dead" in lower or "node has died" in lower or "node was terminated" in lower:
        return _GONE
    if "running low on memory" in lower or "memory usage threshold" in lower or "outofmemory" in lower:
        return "Ray ended it because the node was short of memory; let a worker reserve more (memory=4GiB)"
    if module := re.search(r"No module named '[\w.]+'", text):
        return f"it could not start: {module[0]}, so newtest or a package of it must be installed there"
    return "its process ended by itself or was killed"


def _end(ray: Any, worker: Arrival) -> str | None:
    """The last lines of the worker's log, read on its node; None where the node does not answer."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(worker.node, soft=False)
    read = ray.remote(_last_lines).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    with suppress(Exception):  # the node may go while it is asked
        return str(ray.get(read.remote(worker.log), timeout=_WAIT_S))
    return None


def _last_lines(path: str) -> str:
    with open_bytes(path) as file:
        file.seek(max(0, file.seek(0, 2) - 8192))
        return said(file.read().decode("utf-8", "replace"))


def said(log: str) -> str:
    """The last lines of a log; of a crash what Python calls it, the line before that and where it was."""
    stripped = (line.strip() for line in log.splitlines())
    lines = [line for line in stripped if line and not _NOISE.match(line)]
    crash = next((at for at, line in enumerate(lines) if line.startswith(_FATAL)), None)
    if crash is None:
        return " | ".join(lines[-_LINES:])[-_LENGTH:]
    before = [line for line in lines[:crash] if not line.startswith("*** ")]
    return " | ".join([*before[-1:], *lines[crash : crash + _LINES]])[:_LENGTH]
