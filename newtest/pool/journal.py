"""What downloads have brought so far, on disk until their shard is written: a killed run asks for nothing twice.

A journal is a file of records, each a line of JSON and then the bytes. The record that was being written when the
process died is cut off when the journal is opened again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
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

__all__ = ["Journal", "Record", "alone", "journal_folder"]

_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Record:
    """What became of a URL: ``size`` bytes at ``offset`` in the journal, or a ``kind`` (a short word) of failure."""

    kind: str | None
    permanent: bool
    sha256: str | None
    offset: int
    size: int


class Journal:
    """The records of one shard by (uid, URL), the last one where there are several. A context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handle = open(own_descriptor(path, os.O_RDWR | os.O_APPEND), "a+b")  # noqa: SIM115  (closed by __exit__)
        self.records: dict[tuple[str, str], Record] = {}
        self._read()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    def add(self, uid: str, url: str, outcome: Download) -> None:
        """Write down an outcome; it is there when this returns. Raises OSError that names the place (a full disk)."""
        data = outcome.data or b""
        head = {
            "uid": uid, "url": url, "kind": outcome.kind, "permanent": outcome.permanent, "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest() if outcome.data is not None else None,
        }  # fmt: skip
        line = json.dumps(head).encode() + b"\n"
        with full_disk_at(self._path):
            start = self._handle.seek(0, os.SEEK_END)
            self._handle.write(line + data)
            self._handle.flush()
        self._remember(head, start + len(line))

    def data(self, record: Record) -> bytes | None:
        """The bytes of a download; None for a failure, and for bytes that a power cut spoilt."""
        if record.sha256 is None:
            return None
        data = os.pread(self._handle.fileno(), record.size, record.offset)
        return data if hashlib.sha256(data).hexdigest() == record.sha256 else None

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

    def _remember(self, head: dict[str, Any], offset: int) -> None:
        sha256 = head["sha256"]
        self.records[str(head["uid"]), str(head["url"])] = Record(
            None if head["kind"] is None else str(head["kind"]), bool(head["permanent"]),
            None if sha256 is None else str(sha256), offset, head["size"],
        )  # fmt: skip


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
