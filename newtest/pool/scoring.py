"""Scores by a function of one's own over the image vectors that a pool has: aesthetic, NSFW or watermark heads.

The function sees the vectors as they are stored, as float32; rows without a vector are not shown to it. What it answers
is a layer under a name, which rules of ``filter-pool`` take for a column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.config import fingerprint
from newtest.engines import Engine, Outcome, Resources
from newtest.pool.scorers import Scorer
from newtest.pool.storage.layers import Layer, build, manifest_of
from newtest.pool.storage.named_scores import COLUMN, KIND, give_name, require_free
from newtest.pool.storage.outside_vectors import outside_fingerprint
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows, starts_of
from newtest.pool.storage.vectors import VectorSource, vector_source

__all__ = [
    "ROWS", "Range", "Scoring", "by_function", "made_of_vectors", "named_layer", "range_of", "vectors_for",
    "without_vector",
]  # fmt: skip

RULE = 1
"""The version of what this module computes; part of the layers' names."""
ROWS = 1 << 14
"""Vectors that the function is given at a time, at most."""

NO_VECTOR = "no vector"
NOT_FINITE = "the scorer gave no finite number"


@dataclass(frozen=True)
class Range:
    """The lowest, mean and highest of ``rows`` finite scores; None where there is none."""

    rows: int
    low: float | None
    mean: float | None
    high: float | None


def vectors_for(pool: Pool, encoder: str | None = None, outside: str | None = None) -> VectorSource:
    """The image vectors that heads are asked about: an encoder's own, never its descriptors. Raises PoolError."""
    source = vector_source(pool, encoder, outside)
    return source if source.layer is None else replace(source, column="image")


def named_layer(pool: Pool, name: str, scorer: Scorer, source: VectorSource) -> Layer:
    """The layer of these scores: ``score`` (float32) and ``reason``. Raises PoolError, UsageError."""
    made_of = {"name": name, "rule": RULE, "vectors": made_of_vectors(pool, source), **scorer.identity()}
    return Layer(KIND, made_of)


@dataclass(frozen=True)
class Scoring:
    """A layer of scores, the name that will stand for it, and the work that fills it."""

    pool: Pool
    name: str
    layer: Layer
    make: Any
    resources: Resources

    def outcomes(self, engine: Engine) -> Iterator[Outcome[Shard, dict[str, int]]]:
        """Compute what is lacking, one outcome per shard; in the end the name stands for it. Raises PoolError."""
        yield from build(self.pool, self.layer, self.make, engine, self.resources)
        if manifest_of(self.pool, self.layer) is not None:
            give_name(self.pool, self.name, self.layer)


def by_function(pool: Pool, name: str, scorer: Scorer, source: VectorSource, workers: int = 0) -> Scoring:
    """Scores by a function of one's own. One process runs it where ``workers`` is 0. Raises PoolError, UsageError."""
    layer = named_layer(pool, require_free(pool, name), scorer, source)
    make = partial(_ScoreShard, scorer, VectorRows(pool, source, starts_of(pool)))
    return Scoring(pool, name, layer, make, Resources(workers or 1))


def range_of(pool: Pool, layer: Layer) -> Range:
    """What the scores of a complete layer lie between. Raises PoolError."""
    rows, low, high, total = 0, np.inf, -np.inf, 0.0
    for shard in pool.shards:
        scores = layer.table(pool, shard, [COLUMN])[COLUMN].to_numpy()
        scores = scores[np.isfinite(scores)]
        if len(scores):
            rows += len(scores)
            low, high = min(low, float(scores.min())), max(high, float(scores.max()))
            total += float(scores.sum(dtype=np.float64))
    return Range(rows, low, total / rows, high) if rows else Range(0, None, None, None)


def made_of_vectors(pool: Pool, source: VectorSource) -> dict[str, Any]:
    """What the vectors are made of, beyond what the shards' own fingerprints tell."""
    if source.outside is not None:
        return {"outside": outside_fingerprint(source.outside)}
    if source.layer is not None:
        return {"layer": source.layer.folder, "column": source.column}
    return {
        "npz": source.column,
        "files": fingerprint([source.fingerprint(pool, shard) for shard in pool.shards]),
    }


class _ScoreShard:
    """In a worker: the function once, then shard after shard."""

    def __init__(self, scorer: Scorer, rows: VectorRows) -> None:
        self.scorer, self.rows = scorer, rows
        self.function = scorer.load()

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        number = pool.rows(shard)
        scores = np.full(number, np.nan, np.float32)
        reasons = without_vector(self.rows.source, pool, shard, number)
        first = self.rows.starts[pool.shards.index(shard)]
        for start in range(0, number, ROWS):
            stop = min(start + ROWS, number)
            vectors = self.rows.stored((first + start, first + stop))
            known = np.flatnonzero(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))
            if len(known):
                scores[start + known] = self.scorer.scores(
                    self.function, np.ascontiguousarray(vectors[known])
                )
                reasons[start + known] = None
        odd = np.array([reason is None for reason in reasons], np.bool_) & ~np.isfinite(scores)
        scores[odd], reasons[odd] = np.nan, NOT_FINITE
        return pa.table({COLUMN: pa.array(scores), "reason": pa.array(reasons.tolist(), pa.string())})


def without_vector(source: VectorSource, pool: Pool, shard: Shard, number: int) -> npt.NDArray[Any]:
    """Why each of a shard's rows would have no vector, (number,): what the embeddings say of it."""
    reasons = np.full(number, NO_VECTOR, object)
    if source.layer is not None and source.layer.has(pool, shard, "reason"):
        said = source.layer.table(pool, shard, ["reason"])["reason"].to_pylist()
        reasons[:] = [reason or NO_VECTOR for reason in said]
    return reasons
