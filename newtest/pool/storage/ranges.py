"""Files of a store, read by ranges: few requests for a pool of many small shards, few bytes too many of large ones.

A small file is fetched whole, once. Of a large Parquet file the end (its footer) is fetched once, then the ranges that
are asked for; Arrow asks for whole columns. Any other file is read ahead, as tars are read from front to back.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["AHEAD", "Known", "RangedFile", "forget_blocks"]

AHEAD = 1 << 20
"""Bytes fetched at least where a file is read from front to back, and the size up to which a file is fetched whole."""
TAIL = 1 << 16
"""Bytes at the end of a Parquet file that are fetched with its footer: what Arrow reads first."""
LEAST = 1 << 14
"""Bytes fetched at least of a Parquet file."""
CACHED = 64 << 20
"""Bytes of small files and of footers that a process keeps."""


@dataclass(frozen=True)
class Known:
    """What a listing or a store's answer says of a file: ``tag`` changes with its bytes."""

    size: int
    tag: str


@dataclass(frozen=True)
class _Block:
    start: int
    data: bytes

    def part(self, start: int, end: int) -> bytes | None:
        inside = self.start <= start and end <= self.start + len(self.data)
        return self.data[start - self.start : end - self.start] if inside else None


class _Kept:
    """Blocks by file, the least recently used given up first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Any, _Block] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any) -> _Block | None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def put(self, key: Any, block: _Block) -> None:
        with self._lock:
            if key in self._blocks:
                return
            self._blocks[key] = block
            self._bytes += len(block.data)
            while self._bytes > CACHED:
                self._bytes -= len(self._blocks.popitem(last=False)[1].data)

    def clear(self) -> None:
        with self._lock:
            self._blocks.clear()
            self._bytes = 0


_KEPT = _Kept()
forget_blocks = _KEPT.clear


class RangedFile(io.RawIOBase):
    """A file of ``known`` size, of which ``fetch(start, end)`` gets bytes. ``key`` names it among all files.

    ``columns`` says that it is a Parquet file: what is asked for is fetched, and no more.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], known: Known, key: Any, *, columns: bool) -> None:
        self._fetch, self._known, self._columns = fetch, known, columns
        self._key = (key, known)
        self._at = 0
        self._block: _Block | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._known.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative place {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._known.size)
        if end <= self._at:
            return 0
        data = self._bytes(self._at, end)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _bytes(self, start: int, end: int) -> bytes:
        kept = _KEPT.get(self._key) if self._known.tag else None
        for block in (self._block, kept):
            if block is not None and (part := block.part(start, end)) is not None:
                return part
        block = self._fetched(start, end)
        found = block.part(start, end)
        if found is None:
            raise OSError(
                f"the store gave {len(block.data)} bytes where {end - start} or more were asked for"
            )
        return found

    def _fetched(self, start: int, end: int) -> _Block:
        size = self._known.size
        if size <= AHEAD:
            begin, stop, keep = 0, size, True
        elif self._columns:
            tail = size - TAIL
            keep = start >= tail
            begin, stop = (tail, size) if keep else (start, min(max(end, start + LEAST), size))
        else:
            begin, stop, keep = start, min(max(end, start + AHEAD), size), False
        block = _Block(begin, self._fetch(begin, stop))
        if keep and self._known.tag:  # without a tag a changed file of the same size would not be noticed
            _KEPT.put(self._key, block)
        else:
            self._block = block
        return block
