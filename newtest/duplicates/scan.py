"""The stage: hash what has no hash yet, join it with everything, keep the close pairs.

Only images that were not compared before (or not so far) are joined with the whole of every set, so running it again
after a download costs what is new. Hashes are kept as they come; close pairs and "these were compared" are one
transaction: after kill -9 the next run goes on and ends with the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from newtest import hashes as perceptual
from newtest.catalog import duplicates as rows
from newtest.catalog import pair_searches, transaction
from newtest.catalog.kept import believed
from newtest.catalog.pair_searches import PairSearch
from newtest.duplicates.join import equal_bytes
from newtest.errors import ImageError, UsageError
from newtest.neighbors import close_hashes
from newtest.progress import UNWATCHED, Progress
from newtest.study import Study, now

__all__ = ["BYTES", "HASH", "ScanConfig", "ScanReport", "scan", "scan_config"]

BYTES = "bytes"
"""Metric: identical bytes. Distance 0 and no other."""
HASH = perceptual.KIND
"""Metric: differing bits of the perceptual hash, the least over framings and orientations; 0 to 144."""
TURNED = f"{HASH}/turned"
"""In the record of what was compared: by hash, in all eight orientations."""
DEFAULT_RADIUS = perceptual.RADIUS
BATCH = 256
SIZE = 8 * len(perceptual.FRAMINGS) * perceptual.WORDS
"""Bytes of a picture's hashes."""

_Members = list[tuple[str, str]]
"""(image_id, sha256) of images."""
_Joins = list[tuple[_Members, _Members]]


@dataclass(frozen=True)
class ScanConfig:
    """``radius``: bits of 144 up to which a pair is kept as close. ``turns``: look for pictures turned by 90 degrees
    and upside down too, not only for mirrored ones (four times the work)."""

    radius: int = DEFAULT_RADIUS
    turns: bool = False
    workers: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= perceptual.BITS // 3:
            raise UsageError(
                f"the radius must be 0 to {perceptual.BITS // 3} bits of {perceptual.BITS}, got {self.radius}"
            )


@dataclass
class ScanReport:
    """What a scan did. ``broken``: sha256 -> why it has no hash. ``flat``: pictures without structure."""

    hashed: int = 0
    flat: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    new_pairs: dict[str, int] = field(default_factory=dict)


def scan(study: Study, config: ScanConfig | None = None, *, progress: Progress = UNWATCHED) -> ScanReport:
    """Find close pairs inside the pool and between the pool and every reference set, by bytes and by hash.

    Without ``config`` as the study was scanned before, or by the defaults. Exact: every pair whose hash distance is at
    most ``config.radius`` is found. Pairs inside one reference set are not looked for: the original is what it is.
    ``progress`` is told how many pictures were hashed. The study compares by both from now on.
    """
    config, report = config or scan_config(study), ScanReport()
    with study.exclusive("dedup"):
        with transaction(study.catalog):
            _choose(study, config)
        _hash_missing(study, config, report, progress)
        found = _Hashes.load(study)
        for scope in rows.scopes(study.catalog):
            _compare(study, scope, config, found, report)
    return report


def scan_config(study: Study) -> ScanConfig:
    """How the study was scanned last; the defaults where it never was."""
    found = pair_searches.chosen(study.catalog).get("hash")
    if found is None:
        return ScanConfig()
    with believed("how pairs are compared by 'hash'"):
        return ScanConfig(radius=int(found.settings["radius"]), turns=bool(found.settings["turns"]))


def _choose(study: Study, config: ScanConfig) -> None:
    settings = {"radius": config.radius, "turns": config.turns}
    for search in (PairSearch("bytes", BYTES, {}), PairSearch("hash", HASH, settings)):
        pair_searches.choose(study.catalog, search, at=now())


def _hash_missing(study: Study, config: ScanConfig, report: ScanReport, progress: Progress) -> None:
    def one(sha256: str) -> tuple[str, bytes | ImageError]:
        try:
            words = perceptual.hash_of(study.image_path(sha256))
        except ImageError as error:
            return sha256, error
        return sha256, b"" if words is None else words.astype("<u8").tobytes()

    with ThreadPoolExecutor(config.workers) as pool:  # Pillow decodes without the interpreter's lock
        todo = rows.unhashed(study.catalog, HASH)
        for batch in _batches(todo):
            done = list(pool.map(one, batch))
            good = [(sha256, value) for sha256, value in done if isinstance(value, bytes)]
            report.broken.update(
                (sha256, str(value)) for sha256, value in done if isinstance(value, ImageError)
            )
            report.hashed += len(good)
            report.flat += sum(not value for _, value in good)
            with transaction(study.catalog):
                rows.add_hashes(study.catalog, HASH, good)
            progress.advance("hashing pictures", len(batch), len(todo))


def _batches(items: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


@dataclass(frozen=True)
class _Hashes:
    """sha256 -> row of ``words`` (rows, framings, 3); -1 for a flat picture."""

    row: dict[str, int]
    words: perceptual.Words

    @classmethod
    def load(cls, study: Study) -> _Hashes:
        row: dict[str, int] = {}
        values = bytearray()  # one buffer, and no object for each image
        for sha256, value in rows.hash_values(study.catalog, HASH):
            row[sha256] = len(values) // SIZE if value else -1
            values += value
        words = np.frombuffer(values, dtype="<u8").astype(np.uint64, copy=False)
        return cls(row, words.reshape(-1, len(perceptual.FRAMINGS), perceptual.WORDS))


def _compare(study: Study, scope: str, config: ScanConfig, found: _Hashes, report: ScanReport) -> None:
    """Compare the pool's images that are new to ``scope`` with all of it, and what is new in it with the rest."""
    pool = _members(study, "pool", found)
    others = pool if scope == "pool" else _members(study, scope, found)
    done = rows.compared_radius(study.catalog, TURNED if config.turns else HASH, scope)
    fresh = [member for member in pool if done.get(member[0], -1) < config.radius]
    joins = [(fresh, others)]
    if scope != "pool":
        rest = [member for member in pool if done.get(member[0], -1) >= config.radius]
        joins.append(([member for member in others if done.get(member[0], -1) < config.radius], rest))
    pairs = {BYTES: _equal(joins), HASH: _close(joins, config, found)}
    covered = sorted({image_id for members, _ in joins for image_id, _ in members})
    with transaction(study.catalog):
        for metric in (BYTES, HASH):
            new = rows.add_neighbours(study.catalog, pairs[metric])
            report.new_pairs[metric] = report.new_pairs.get(metric, 0) + new
        for metric, radius in ((BYTES, 0), (HASH, config.radius), (TURNED, config.radius)):
            if metric != TURNED or config.turns:
                rows.add_compared(study.catalog, covered, metric=metric, scope=scope, radius=radius)
    report.compared[scope] = len(covered)


def _members(study: Study, scope: str, found: _Hashes) -> _Members:
    """The scope's images that could be hashed: what is broken was not compared."""
    members = rows.members_with_bytes(study.catalog, scope)
    return [(image_id, sha256) for image_id, sha256 in members if sha256 in found.row]


def _equal(joins: _Joins) -> list[rows.Neighbour]:
    pairs = set()
    for left, right in joins:
        i, j = equal_bytes([sha256 for _, sha256 in left], [sha256 for _, sha256 in right])
        pairs |= {_ordered(left[a][0], right[b][0]) for a, b in zip(i, j, strict=True)}
    return [rows.Neighbour(a, b, BYTES, 0.0) for a, b in sorted(pairs) if a != b]


def _close(joins: _Joins, config: ScanConfig, found: _Hashes) -> list[rows.Neighbour]:
    """Flat pictures are left out: their hashes are noise."""
    orientations = perceptual.ORIENTATIONS if config.turns else perceptual.MIRROR
    nearest: dict[tuple[str, str], int] = {}
    for sides in joins:
        left, right = ([m for m in side if found.row[m[1]] >= 0] for side in sides)
        words = found.words[[found.row[sha256] for _, sha256 in left]]
        others = words if left == right else found.words[[found.row[sha256] for _, sha256 in right]]
        for i, j, distance in zip(*close_hashes(words, others, config.radius, orientations), strict=True):
            pair = _ordered(left[i][0], right[j][0])
            nearest[pair] = min(int(distance), nearest.get(pair, perceptual.BITS))
    return [rows.Neighbour(a, b, HASH, float(near)) for (a, b), near in sorted(nearest.items()) if a != b]


def _ordered(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
