"""Pixel metrics of a study's pairs: squared L2 against everything, DSSIM on what another metric proposed.

Squared L2 is exact: no pair of the pool, or of the pool and a reference, within the limit is missed. DSSIM is not: it
is measured on the pairs that are close by another metric, and on all pairs inside the classes that are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from newtest.catalog import duplicates as rows
from newtest.catalog import pair_searches, transaction
from newtest.catalog.pair_searches import PairSearch
from newtest.duplicates.metrics import (
    DSSIM,
    DSSIM_CLOSE,
    L2,
    L2_CLOSE,
    cells,
    dssim,
    l2_proposals,
    picture,
    squared_l2,
)
from newtest.duplicates.vector_pairs import Members, compare_scopes
from newtest.errors import ImageError
from newtest.progress import UNWATCHED, Progress
from newtest.study import Study, now

__all__ = ["measure_dssim", "measure_l2"]

BATCH = 200
CELLS = "cells-16"
"""Kind of the summaries that are kept with the hashes: ``metrics.cells`` as 768 little-endian float32."""


def measure_l2(study: Study, *, limit: float = L2_CLOSE, progress: Progress = UNWATCHED) -> dict[str, int]:
    """Keep every pair whose squared L2 is at most ``limit``; returns scope -> new pairs. Exact.

    Decodes every image that has bytes once, so it takes minutes where the hash takes seconds. Images that cannot be
    decoded are not called compared. The study compares by this from now on.
    """
    with study.exclusive("dedup"):
        with transaction(study.catalog):
            pair_searches.choose(study.catalog, PairSearch("l2", L2, {"limit": limit}), at=now())
        _summarise_missing(study, progress)
        known = dict(rows.hash_values(study.catalog, CELLS))
        return compare_scopes(
            study, L2, limit, known, lambda pool, others: _within(study, pool, others, limit)
        )


def measure_dssim(
    study: Study, *, classes: Iterable[str] = (), progress: Progress = UNWATCHED
) -> dict[str, int]:
    """Measure DSSIM where another metric says close, and on all pairs inside ``classes``.

    Proposed pairs keep their DSSIM whatever it is (a reviewer needs to see it); pairs of the named classes are kept
    when it is below 0.2205. Returns how many pairs were measured and how many of them are below that. The study
    measures proposed pairs from now on; classes are gone through when they are named, and only then.
    """
    with study.exclusive("dedup"):
        with transaction(study.catalog):
            pair_searches.choose(study.catalog, PairSearch("dssim", DSSIM, {"limit": DSSIM_CLOSE}), at=now())
        proposed = set(rows.without_metric(study.catalog, DSSIM))
        inside = {
            pair for wnid in classes for pair in combinations(rows.class_members(study.catalog, wnid), 2)
        }
        todo, close = sorted(proposed | inside), 0
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            measured = [(a, b, value) for a, b in batch if (value := _dssim_of(study, a, b)) is not None]
            kept = [
                rows.Neighbour(a, b, DSSIM, value)
                for a, b, value in measured
                if (a, b) in proposed or value < DSSIM_CLOSE
            ]
            close += sum(value < DSSIM_CLOSE for _, _, value in measured)
            with transaction(study.catalog):
                rows.add_neighbours(study.catalog, kept)
            progress.advance("measuring DSSIM", len(batch), len(todo))
    return {"measured": len(todo), "close": close}


def _summarise_missing(study: Study, progress: Progress) -> None:
    todo = rows.unhashed(study.catalog, CELLS)
    for start in range(0, len(todo), BATCH):
        found = []
        for sha256 in todo[start : start + BATCH]:
            try:
                found.append((sha256, cells(picture(study.image_path(sha256))).astype("<f4").tobytes()))
            except (ImageError, OSError):
                continue  # newtest dedup names it: it has no hash either
        with transaction(study.catalog):
            rows.add_hashes(study.catalog, CELLS, found)
        progress.advance("summarising pictures", min(BATCH, len(todo) - start), len(todo))


def _within(study: Study, left: Members, right: Members, limit: float) -> Sequence[rows.Neighbour]:
    found: dict[tuple[str, str], float] = {}
    i, j = l2_proposals(left.values, right.values, limit)
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        one, other = left.ids[a], right.ids[b]
        pair = (min(one, other), max(one, other))
        if one != other and pair not in found:
            found[pair] = squared_l2(
                picture(study.image_path(left.hashes[a])), picture(study.image_path(right.hashes[b]))
            )
    return [rows.Neighbour(a, b, L2, value) for (a, b), value in sorted(found.items()) if value <= limit]


def _dssim_of(study: Study, a: str, b: str) -> float | None:
    """None where one of the two has no bytes, or none that can be decoded."""
    hashes = [rows.sha256_of(study.catalog, image_id) for image_id in (a, b)]
    try:
        pictures = [picture(study.image_path(sha256)) for sha256 in hashes if sha256 is not None]
    except (ImageError, OSError):
        return None
    return dssim(*pictures) if len(pictures) == 2 else None
