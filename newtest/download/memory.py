"""What was learned of hosts that throttle, kept from one run to the next and shared by all studies and pools.

A small JSON file in the folder of newtest's state: host -> requests per second, and until when it is to be left
alone (seconds since 1970). A host that was not heard of for a month is forgotten. A file that cannot be read or
written costs no download: its paces are learned again.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from newtest.files import open_bytes, state_folder, write_atomic
from newtest.reading.jsons import parse_json

__all__ = ["CarriedMemory", "HostMemory", "Memory", "Remembered"]

_KEPT = 30 * 86400.0
_MOST_HOSTS, _MOST_BYTES = 10_000, 4 * 2**20


@dataclass(frozen=True)
class Remembered:
    """``rate`` in requests per second; ``rest_until`` and ``seen`` in seconds since 1970."""

    rate: float
    rest_until: float
    seen: float


class Memory(Protocol):
    """Where a run looks up the paces of hosts, and leaves what it has learned."""

    def load(self) -> dict[str, Remembered]:
        """What is remembered, by host."""
        ...

    def save(self, hosts: Mapping[str, Remembered]) -> None:
        """Remember these."""
        ...


class HostMemory:
    """The file of paces. Raises nothing: what goes wrong with it is not a reason to stop a download."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or state_folder()) / "paces.json"

    def load(self) -> dict[str, Remembered]:
        """What is remembered, by host."""
        try:
            with open_bytes(self._path) as handle:
                entries = parse_json(handle.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        known = entries.items() if isinstance(entries, dict) else ()
        read = {host: _read(entry) for host, entry in known}
        return {host: entry for host, entry in read.items() if entry is not None}

    def save(self, hosts: Mapping[str, Remembered]) -> None:
        """Add these hosts to the file, beside what other processes have written by now."""
        if not hosts:
            return
        try:
            with self._alone():
                newest = sorted((self.load() | dict(hosts)).items(), key=lambda item: -item[1].seen)[
                    :_MOST_HOSTS
                ]
                write_atomic(self._path, json.dumps({host: asdict(entry) for host, entry in sorted(newest)}))
        except OSError:
            return

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class CarriedMemory:
    """What other workers of the same run have told, and what this one learns, to be told to them; on several machines
    they have no file in common. ``on_disk``: the file of this machine is read and kept too.
    """

    def __init__(self, told: Mapping[str, Remembered], *, on_disk: bool) -> None:
        self.learned: dict[str, Remembered] = {}
        self._told, self._file = told, HostMemory() if on_disk else None

    def load(self) -> dict[str, Remembered]:
        """What is remembered, by host: the later word holds."""
        known = self._file.load() if self._file is not None else {}
        for host, entry in self._told.items():
            if host not in known or known[host].seen < entry.seen:
                known[host] = entry
        return known

    def save(self, hosts: Mapping[str, Remembered]) -> None:
        """Add these to what was learned."""
        self.learned.update(hosts)
        if self._file is not None:
            self._file.save(hosts)


def _read(entry: object) -> Remembered | None:
    names = ("rate", "rest_until", "seen")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), (int, float)) for name in names):
        return None
    rate, rest_until, seen = (float(entry[name]) for name in names)
    sound = all(map(math.isfinite, (rate, rest_until, seen))) and rate > 0
    return Remembered(rate, rest_until, seen) if sound and time.time() - seen < _KEPT else None
