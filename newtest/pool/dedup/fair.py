"""FairDeDup's rule for who stays of a group: the one most like the concept that the rows so far are least like.

Slyman et al. 2024 (arXiv 2404.16123): people name concepts that should not be lost, as prototypes, which are vectors of
captions such as "a photo of a dark-skinned woman". Groups are gone through in the pool's order. For each the concept is
found whose mean similarity with the rows that stay so far is lowest, and the row that is most similar to that concept
stays. Rows that have no duplicate stay, and count.

Rows and prototypes are rounded to float16, so that their products add up exactly in float64, and similarities to whole
multiples of 2^-24: no shard, range, worker or library of linear algebra shows in a sum.

The paper goes through the clusters of SemDeDup one by one and begins each anew; here one mean runs through the pool, so
that neither clusters nor methods show in the rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.encoder import unit_rows
from newtest.clip.loading import encoder
from newtest.errors import PoolError, UsageError
from newtest.pool.dedup.joins import BLOCK
from newtest.pool.dedup.pairs import Groups
from newtest.pool.dedup.references import require_width
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_ranges import VectorRows, ranges
from newtest.pool.storage.vectors import VectorSource, parted, vector_source
from newtest.progress import Progress
from newtest.reading.arrays import load_array
from newtest.reading.texts import read_lines

__all__ = ["Concepts", "Fair", "chosen_fairly", "concepts_of", "fair"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_UNIT = 2.0**24
UNKNOWN = np.iinfo(np.int64).min
"""The similarity of a row that has no vector."""


@dataclass(frozen=True)
class Concepts:
    """Names (c,) and unit vectors (c, d) of the prototypes."""

    names: tuple[str, ...]
    vectors: npt.NDArray[np.float32]

    @property
    def fingerprint(self) -> str:
        """What they are."""
        return hashlib.sha256(np.ascontiguousarray(self.vectors).tobytes()).hexdigest()[:32]


@dataclass(frozen=True)
class Fair:
    """Which rows of the groups stay, (m,), and the mean similarity of all that stay to each concept, (c,)."""

    stays: Mask
    means: Floats


def concepts_of(source: VectorSource, file: Path, model: str | None = None) -> Concepts:
    """Prototypes from an ``.npy`` of vectors, or from captions in a text file, one concept per line.

    The pool's encoder makes the vectors of captions. Captions of one concept are parted by tabs: the prototype is the
    mean of their unit vectors, and the first names it.

    Raises PoolError, UsageError.
    """
    try:
        if file.suffix == ".npy":
            vectors = np.asarray(load_array(file), np.float32)
            names = tuple(str(number) for number in range(len(vectors)))
        else:
            captions = _captions(read_lines(file))
            names, vectors = tuple(captions), np.empty((0, 1), np.float32)
    except (OSError, ValueError) as error:
        raise PoolError(f"{file}: cannot be read as concepts ({error})") from error
    if not len(names):
        raise PoolError(f"{file}: no concepts in this file; write one per line, or name an .npy of vectors")
    if file.suffix != ".npy":
        if source.layer is None:
            raise UsageError(
                f"the pool's vectors are {source.said}: give the concepts as an .npy of the same encoder"
            )
        wanted = str(source.layer.config["encoder"])
        own, precision = parted(wanted)
        opened = encoder(own if model in (None, wanted) else str(model), precision=precision)
        vectors = np.stack([unit_rows(opened.texts(list(some))).mean(axis=0) for some in captions.values()])
    if vectors.ndim != 2 or not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
        raise PoolError(f"{file}: concepts are rows of finite numbers, not all 0")
    return Concepts(names, unit_rows(vectors))


def _captions(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The captions of each concept, by the first. Raises ValueError: two concepts begin with the same one."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        own = tuple(dict.fromkeys(part.strip() for part in line.split("\t") if part.strip()))
        if own and found.setdefault(own[0], own) != own:
            raise ValueError(f"two concepts begin with {own[0]!r}")
    return found


def fair(
    pool: Pool,
    groups: Groups,
    file: Path,
    barred: Mask,
    progress: Progress,
    model: str | None = None,
    outside: str | None = None,
) -> tuple[Fair, dict[str, Any]]:
    """Who stays of the groups, and what the manifest says of it. ``barred`` (n,) are rows of the pool that cannot stay.

    Reads every vector once more, in this process. Raises PoolError, UsageError.
    """
    source = vector_source(pool, model, outside)
    source = (
        source if source.layer is None else replace(source, column="image")
    )  # captions are like no descriptor
    concepts = concepts_of(source, file, model)
    rows = VectorRows.of(pool, source)
    require_width(rows, str(file), concepts.vectors)
    found = _over_the_pool(rows, groups, concepts, barred, progress)
    told = {
        "rule": "FairDeDup", "concepts": len(concepts.names), "prototypes": concepts.fingerprint,
        "mean_similarity": {
            name: round(mean, 6) for name, mean in zip(concepts.names, found.means.tolist(), strict=True)
        },
    }  # fmt: skip
    return found, told


def _over_the_pool(
    rows: VectorRows, groups: Groups, concepts: Concepts, barred: Mask, progress: Progress
) -> Fair:
    total = rows.starts[-1]
    place = np.full(total, -1, np.int64)
    place[groups.rows] = np.arange(len(groups.rows))
    first = np.full(len(groups), total, np.int64)
    np.minimum.at(first, groups.numbers, groups.rows)
    similar = np.full((len(groups.rows), len(concepts.names)), UNKNOWN)
    sums = np.zeros((len(groups), len(concepts.names)), np.int64)
    so_far, number = np.zeros(len(concepts.names), np.int64), 0
    prototypes = concepts.vectors.astype(np.float16).astype(np.float64).T
    for start, stop in ranges(rows.starts, BLOCK):
        progress.advance("comparing with concepts", start, total)
        vectors, there = rows.block((start, stop))
        near = np.round(vectors.astype(np.float64) @ prototypes * _UNIT).astype(np.int64)
        own = place[start:stop]
        known = (own >= 0) & there
        similar[own[known]] = near[known]
        alone = (own < 0) & there & ~barred[start:stop]
        steps = np.cumsum(np.where(alone[:, None], near, 0), axis=0) + so_far
        here = np.flatnonzero((first >= start) & (first < stop))
        sums[here] = steps[first[here] - start]
        so_far, number = steps[-1], number + int(np.count_nonzero(alone))
    progress.advance("comparing with concepts", total, total)
    found = chosen_fairly(groups.numbers, similar, barred[groups.rows], sums)
    kept = found & ~barred[groups.rows] & (similar != UNKNOWN).all(axis=1)
    means = (so_far + similar[kept].sum(axis=0)) / _UNIT / max(number + int(np.count_nonzero(kept)), 1)
    return Fair(found, means)


def chosen_fairly(numbers: Ints, similar: Ints, barred: Mask, before: Ints) -> Mask:
    """Which rows stay, one of each group, (m,). ``numbers`` (m,) are the rows' groups, in the order of the rows;
    ``similar`` (m, c) their similarities, or UNKNOWN; ``before`` (g, c) the sums over the rows without duplicates that
    come before each group's first row. The lowest mean is the lowest sum, for all means are over the same rows.

    A barred row stays only where its whole group is barred. Of equals the first in the pool stays.
    """
    order = np.argsort(numbers, kind="stable")
    edges = np.searchsorted(numbers[order], np.arange(len(before) + 1))
    sums = np.zeros(similar.shape[1], np.int64)
    stays = np.zeros(len(numbers), np.bool_)
    for group in range(len(before)):  # they are numbered in the order of their first rows
        members = order[edges[group] : edges[group + 1]]
        free = members[~barred[members]] if not barred[members].all() else members
        least = int((before[group] + sums).argmin())
        best = free[int(similar[free, least].argmax())]
        stays[best] = True
        if similar[best, least] != UNKNOWN and not barred[best]:
            sums += similar[best]
    return stays
