"""What runs on the nodes of the cluster: an actor that says where it is, and then does one item after another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.engines.base import Outcome, attempt, sendable
from newtest.engines.ray.connecting import the_ray
from newtest.engines.ray.variables import taken
from newtest.errors import FolderMissing
from newtest.version import __version__

__all__ = ["Answer", "Arrival", "Baggage", "Cargo", "Worker"]


@dataclass(frozen=True)
class Baggage:
    """What a worker is given: the command's folder, its variables, and how workers are made (pickled)."""

    folder: str
    variables: Mapping[str, str]
    make_worker: bytes


@dataclass(frozen=True)
class Cargo:
    """The pickled baggage in Ray's object store. Within a dataclass Ray passes the reference on and not the bytes, so
    that they stand in no description of a task."""

    reference: Any


@dataclass(frozen=True)
class Arrival:
    """A worker that has started: the id and address of its node, its log, and what the node lacks."""

    node: str
    address: str
    version: str
    log: str = ""
    missing: str | None = None
    unset: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The node, as a person finds it again."""
        return f"{self.address} (Ray's node {self.node[:8]})"


@dataclass(frozen=True)
class Answer:
    """What became of an item on a worker: an outcome, or the folder that the node lacks, or what ends the run."""

    outcome: Outcome[Any, Any] | None = None
    missing: str | None = None
    error: BaseException | None = None


class Worker:
    """A worker on some node; the function is made when the first item comes, so that an error names itself."""

    def __init__(self, cargo: Cargo) -> None:
        self.cargo = cargo
        self.packed = b""
        self.work: Any = None

    def arrive(self) -> Arrival:
        """Unpack, and say where this is."""
        ray = the_ray()
        baggage: Baggage = ray.cloudpickle.loads(ray.get(self.cargo.reference))
        _work_in(baggage.folder)
        unset = taken(baggage.variables)
        self.packed = baggage.make_worker
        context = ray.get_runtime_context()
        return Arrival(
            context.get_node_id(),
            ray.util.get_node_ip_address(),
            __version__,
            _log(),
            self._missing(),
            unset,
        )

    def run(self, item: Any) -> Answer:
        """Do one item. A full disk ends the run, and so does a worker that cannot be made."""
        try:
            if self.work is None:
                self.work = the_ray().cloudpickle.loads(self.packed)()
            outcome = attempt(self.work, item)
        except FolderMissing as error:
            return Answer(missing=str(error))
        except Exception as error:
            return Answer(error=sendable(error))
        if outcome.error is not None and (missing := self._missing()) is not None:
            return Answer(missing=missing)  # it went away meanwhile
        return Answer(outcome)

    def _missing(self) -> str | None:
        """The folder that this node lacks: the folders of a pool look for themselves when they are unpacked."""
        try:
            the_ray().cloudpickle.loads(self.packed)
        except FolderMissing as error:
            return str(error)
        except Exception:
            return None  # what cannot be unpacked is told by the first item
        return None


def _log() -> str:
    """The file that this process writes its errors to; empty where the system does not tell."""
    with suppress(OSError):
        return str(Path("/proc/self/fd/2").readlink())
    return ""


def _work_in(folder: str) -> None:
    """Let relative paths mean what they mean to the command: a cluster's processes run in a folder of their own.

    Where a machine has no such folder they mean nothing at all, instead of files that nobody would find again.
    """
    try:
        os.chdir(folder)
    except OSError:
        gone = Path(tempfile.mkdtemp())
        os.chdir(gone)
        gone.rmdir()
