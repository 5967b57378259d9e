"""Copies that nobody has listed: equal bytes and close hashes among a set's own images and the reference's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np

from newtest import hashes as perceptual
from newtest.duplicates.join import equal_bytes
from newtest.duplicates.scan import DEFAULT_RADIUS
from newtest.errors import ImageError
from newtest.files import sha256_of
from newtest.neighbors import close_hashes
from newtest.progress import UNWATCHED, Progress
from newtest.releasing.archives import pictures_of
from newtest.releasing.check import Finding
from newtest.releasing.evidence import Evidence
from newtest.releasing.sets import SetToCheck

__all__ = ["RADIUS", "check_copies"]

Hashed = perceptual.Words | ImageError | None
"""None for a flat picture, an error for one that cannot be decoded."""

RADIUS = DEFAULT_RADIUS
"""Bits of 144 up to which two pictures are shown as likely copies, as newtest dedup does; smaller is closer."""


def check_copies(found: SetToCheck, evidence: Evidence, *, progress: Progress = UNWATCHED) -> list[Finding]:
    """Findings from the bytes of a set, loose or inside tars and Parquet files, and of a reference, where both are at
    hand; every image is decoded once.
    """
    files = {
        member.image_id: member.file for member in found.members if member.file and member.file.is_file()
    }
    packed = {member.image_id for member in found.members if found.archives} - files.keys()
    inside = pictures_of(found.archives, packed) if packed else ()
    others = {
        key: file
        for key, file in evidence.reference.items()
        if file and file.is_file() and key not in files and key not in packed
    }
    own, theirs = _Look(chain(files.items(), inside), progress), _Look(others.items(), progress)
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
    """Hashes of images by id. ``kept`` are the places of those with structure enough to be compared."""

    def __init__(self, images: Iterable[tuple[str, Path | bytes]], progress: Progress) -> None:
        looked = sorted(_looked(iter(images), progress), key=lambda look: look[0])
        self.ids = [key for key, _, _ in looked]
        self.sums = [sha256 for _, sha256, _ in looked]
        self.broken: list[str] = []
        self.kept: list[int] = []
        words = []
        for place, (key, _, hashed) in enumerate(looked):
            if isinstance(hashed, ImageError):
                self.broken.append(f"{key} ({hashed})")
            elif hashed is not None:
                self.kept.append(place)
                words.append(hashed)
        shape = (0, len(perceptual.FRAMINGS), perceptual.WORDS)
        self.words = np.stack(words) if words else np.empty(shape, dtype=np.uint64)


def _looked(
    images: Iterator[tuple[str, Path | bytes]], progress: Progress
) -> Iterator[tuple[str, str, Hashed]]:
    """(id, sha256, hashes) of each; so many at a time that the bytes of an archive never lie in memory together."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        while batch := list(islice(images, 4 * cores)):
            found = threads.map(_hashes, (image for _, image in batch))
            for (key, _), (sha256, hashed) in zip(batch, found, strict=True):
                yield key, sha256, hashed
                progress.advance("looking at images")


def _hashes(image: Path | bytes) -> tuple[str, Hashed]:
    sha256 = hashlib.sha256(image).hexdigest() if isinstance(image, bytes) else sha256_of(image)
    try:
        return sha256, perceptual.hash_of(image)
    except ImageError as error:
        return sha256, error


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
