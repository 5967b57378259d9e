"""What downloads have brought so far, on disk until their shard is written: a killed run asks for nothing twice.

A journal is a file of records, each a line of JSON and then the bytes. The record that was being written when the
process died is cut off when the journal is opened again. A shard has a journal for each worker that downloads for it,
and for each run of which something was left: a worker adds to its own, and they are read together.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from newtest.config import fingerprint
from newtest.download import Download
from newtest.errors import PoolError
from newtest.files import cache_folder, full_disk_at, own_descriptor
from newtest.pool.storage.location import JOURNALS, LocalPlace, RemotePlace
from newtest.reading.jsons import parse_json

__all__ = ["Journal", "Journals", "Record", "alone", "journal_folder", "next_generation", "part_of"]

_LONGEST_LINE = 1 << 20
_ENDING = ".journal"
_PATIENCE = 30.0
"""Seconds in which the workers of a killed run must have ended."""


@dataclass(frozen=True)
class Record:
    """What became of a URL: ``size`` bytes at ``offset`` in the journal, or a ``kind`` (a short word) of failure."""

    kind: str | None
    permanent: bool
    sha256: str | None
    offset: int
    size: int


class Journal:
    """Records of one shard by (uid, URL), the last one where there are several. A context manager.

    Raises PoolError while another process has it open.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handle = open(own_descriptor(path, os.O_RDWR | os.O_APPEND), "a+b")  # noqa: SIM115  (closed by __exit__)
        self.records: dict[tuple[str, str], Record] = {}
        self._end = 0
        try:
            _hold(self._handle.fileno(), path)
            self._read()
        except BaseException:
            self._handle.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def add(self, uid: str, url: str, outcome: Download) -> None:
        """Write down an outcome; it is there when this returns. Raises OSError that names the place (a full disk)."""
        data = outcome.data or b""
        head = {
            "uid": uid, "url": url, "kind": outcome.kind, "permanent": outcome.permanent, "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest() if outcome.data is not None else None,
        }  # fmt: skip
        line = json.dumps(head).encode() + b"\n"
        with full_disk_at(self._path):
            self._append(line, data)
        self._remember(head, self._end - len(data))

    def data(self, record: Record, *, trusted: bool = False) -> bytes | None:
        """The bytes of a download; None for a failure, and for bytes that a power cut spoilt. ``trusted``: there was
        no power cut since they were written.
        """
        if record.sha256 is None:
            return None
        data = os.pread(self._handle.fileno(), record.size, record.offset)
        if trusted and len(data) == record.size:
            return data
        return data if hashlib.sha256(data).hexdigest() == record.sha256 else None

    def knows(self, uid: str, url: str) -> bool:
        """Whether there is an answer that is worth no second question in this run: all that was written down."""
        record = self.records.get((uid, url))
        return record is not None and (record.sha256 is None or self.data(record) is not None)

    def _append(self, line: bytes, data: bytes) -> None:
        """At the end, whole: a file system that is almost full takes a part first, and a second call tells why."""
        left = [memoryview(line), memoryview(data)]
        while left:
            written = os.writev(self._handle.fileno(), left)
            self._end += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = left[0][written:]

    def remove(self) -> None:
        """Forget everything: the shard is written."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        total = self._handle.seek(0, os.SEEK_END)
        end = self._handle.seek(0)
        while line := self._handle.readline(_LONGEST_LINE):
            head = _head(line)
            if head is None or end + len(line) + head["size"] > total:
                break
            self._remember(head, end + len(line))
            end = self._handle.seek(end + len(line) + head["size"])
        self._handle.truncate(end)
        self._end = end

    def _remember(self, head: dict[str, Any], offset: int) -> None:
        sha256 = head["sha256"]
        self.records[str(head["uid"]), str(head["url"])] = Record(
            None if head["kind"] is None else str(head["kind"]), bool(head["permanent"]),
            None if sha256 is None else str(sha256), offset, head["size"],
        )  # fmt: skip


class Journals:
    """All journals of one shard as one; what was written down later holds. A context manager.

    The bytes of ``trusted`` parts, those of this run on this machine, are not compared with their sha256.
    """

    def __init__(self, folder: Path, shard: str, trusted: str | None = None) -> None:
        self._journals: list[Journal] = []
        self._of: dict[tuple[str, str], Journal] = {}
        self._trusted = trusted and f"{shard}.{trusted}-"
        try:
            for path in _parts(folder, shard):
                self._journals.append(Journal(path))
                self._of.update(dict.fromkeys(self._journals[-1].records, self._journals[-1]))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Journals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def record(self, uid: str, url: str) -> Record | None:
        """What became of a request, None where nothing was written down."""
        journal = self._of.get((uid, url))
        return journal.records[uid, url] if journal is not None else None

    def data(self, uid: str, url: str) -> bytes | None:
        """The bytes of a download; None for a failure, and for bytes that a power cut spoilt."""
        journal = self._of.get((uid, url))
        if journal is None:
            return None
        trusted = bool(self._trusted) and journal.name.startswith(str(self._trusted))
        return journal.data(journal.records[uid, url], trusted=trusted)

    def remove(self) -> None:
        """Forget everything: the shard is written."""
        for journal in self._journals:
            journal.remove()

    def _close(self) -> None:
        for journal in self._journals:
            journal.__exit__(None, None, None)


def part_of(folder: Path, shard: str, part: str) -> Path:
    """The journal of one shard that one worker writes; parts of later runs have names that sort behind."""
    return folder / f"{shard}.{part}{_ENDING}"


def next_generation(folder: Path) -> str:
    """The beginning of the names of this run's parts: four digits that sort behind those of runs that left any."""
    used = [path.name.split(".")[1].partition("-")[0] for path in folder.glob(f"*.*{_ENDING}")]
    return f"{1 + max((int(number) for number in used if number.isdecimal()), default=0):04d}"


def _parts(folder: Path, shard: str) -> list[Path]:
    """The oldest first; newtest 0.x had one without a part, ``SHARD.journal``."""
    whole = folder / f"{shard}{_ENDING}"
    return [*([whole] if whole.exists() else []), *sorted(folder.glob(f"{shard}.*{_ENDING}"))]


def _hold(handle: int, path: Path) -> None:
    """Hold a journal for this process. Workers of a killed run end a moment after it: they are waited for."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise PoolError(
                    f"{path}: another process writes this; wait until it has ended, then run again"
                ) from error
            time.sleep(0.05)
        except OSError:
            return  # a file system without locks


def journal_folder(place: LocalPlace | RemotePlace) -> Path:
    """Where the journals of a pool that is being fetched lie: in the pool, or for one behind a URL in the cache."""
    if isinstance(place, LocalPlace):
        return place.own(f"{JOURNALS}/x").parent
    return cache_folder() / "fetching" / fingerprint(place.url)[:16]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for this process, and remove it at the end if it is empty; the kernel lets go when we die.

    Raises PoolError while another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PoolError(
                f"{folder.parent}: another newtest fetches into this pool; wait until it has ended, then run again"
            ) from error
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            if not any(folder.iterdir()):
                folder.rmdir()
    finally:
        os.close(handle)


def _head(line: bytes) -> dict[str, Any] | None:
    try:
        head = parse_json(line)
    except ValueError:
        return None
    whole = isinstance(head, dict) and {"uid", "url", "kind", "permanent", "size", "sha256"} <= head.keys()
    return head if whole and line.endswith(b"\n") and isinstance(head["size"], int) else None
