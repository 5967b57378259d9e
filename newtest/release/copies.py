"""Copies that nobody has listed: equal bytes and close hashes among a set's own files and the reference's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from newtest import hashes as perceptual
from newtest.duplicates.join import equal_bytes
from newtest.duplicates.scan import DEFAULT_RADIUS
from newtest.errors import ImageError
from newtest.files import sha256_of
from newtest.neighbors import close_hashes
from newtest.release.check import Finding
from newtest.release.evidence import Evidence
from newtest.release.sets import SetToCheck

__all__ = ["RADIUS", "check_copies"]

RADIUS = DEFAULT_RADIUS
"""Bits of 144 up to which two pictures are shown as likely copies, as newtest dedup does; smaller is closer."""


def check_copies(
    found: SetToCheck, evidence: Evidence, *, advance: Callable[[int], None] | None = None
) -> list[Finding]:
    """Findings from the bytes of a set and of a reference, where both are at hand; every image is decoded once."""
    files = {
        member.image_id: member.file for member in found.members if member.file and member.file.is_file()
    }
    others = {
        key: file for key, file in evidence.reference.items() if file and file.is_file() and key not in files
    }
    own, theirs = _Look(files, advance), _Look(others, advance)
    findings = [
        Finding("bytes", "error", f"{what} that cannot be decoded: {len(look.broken)}", tuple(look.broken))
        for look, what in ((own, "images"), (theirs, "reference images"))
        if look.broken
    ]
    known = {f"{a} ~ {b}" for a, b in evidence.pairs} | {f"{b} ~ {a}" for a, b in evidence.pairs}
    for look, where in ((own, "inside the set"), (theirs, "between the set and the reference")):
        equal = [pair for pair in _equal(own, look) if pair not in known]
        told = known.union(equal)
        close = [pair for pair in _close(own, look) if pair not in told]
        if equal:
            findings.append(
                Finding("copies", "error", f"pairs of equal bytes {where}: {len(equal)}", tuple(equal))
            )
        if close:
            message = f"pairs {where} to look at, alike up to {RADIUS} of 144 bits: {len(close)}"
            findings.append(Finding("copies", "warning", message, tuple(close)))
    return findings


class _Look:
    """Hashes of files. ``kept`` are the places of those with structure enough to be compared."""

    def __init__(self, files: Mapping[str, Path], advance: Callable[[int], None] | None) -> None:
        self.ids = sorted(files)
        self.sums: list[str] = []
        self.broken: list[str] = []
        self.kept: list[int] = []
        words = []
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for place, (sha256, hashed) in enumerate(threads.map(_hashes, (files[key] for key in self.ids))):
                self.sums.append(sha256)
                if isinstance(hashed, ImageError):
                    self.broken.append(f"{self.ids[place]} ({hashed})")
                elif hashed is not None:
                    self.kept.append(place)
                    words.append(hashed)
                if advance is not None:
                    advance(1)
        shape = (0, len(perceptual.FRAMINGS), perceptual.WORDS)
        self.words = np.stack(words) if words else np.empty(shape, dtype=np.uint64)


def _hashes(file: Path) -> tuple[str, perceptual.Words | ImageError | None]:
    try:
        return sha256_of(file), perceptual.hash_of(file)
    except ImageError as error:
        return sha256_of(file), error


def _equal(own: _Look, other: _Look) -> Iterator[str]:
    yield from _names(
        own, other, *equal_bytes(own.sums, other.sums), range(len(own.ids)), range(len(other.ids))
    )


def _close(own: _Look, other: _Look) -> Iterator[str]:
    i, j, _ = close_hashes(own.words, other.words, RADIUS)
    yield from _names(own, other, i, j, own.kept, other.kept)


def _names(
    own: _Look, other: _Look, i: Iterable[int], j: Iterable[int], at: Sequence[int], there: Sequence[int]
) -> Iterator[str]:
    for a, b in zip(i, j, strict=True):
        if own is not other or a < b:
            yield f"{own.ids[at[a]]} ~ {other.ids[there[b]]}"
