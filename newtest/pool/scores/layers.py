"""negCLIPLoss, NormSim and ranks as scores that a pool keeps under a name, for rules to take as a column.

Vectors are unit rows rounded to float16, as joins take them. Rows without one have no score, and a reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.clip.torch_runtime import gpus
from newtest.config import fingerprint
from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.dedup.references import require_width
from newtest.pool.dedup.target_sets import vectors_of_set
from newtest.pool.scores.by_rank import WAYS, Ranked
from newtest.pool.scores.neg_clip_loss import NegClipLoss, References, neg_clip_loss
from newtest.pool.scores.norm_sim import NormSim
from newtest.pool.scores.references import drawn, fingerprint_of
from newtest.pool.scoring import Scoring, made_of_vectors, without_vector
from newtest.pool.storage.columns import Columns, numbers, read_batches
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.named_scores import COLUMN, KIND, named_columns, require_free
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_ranges import VectorRows, ranges
from newtest.pool.storage.score_columns import score_source
from newtest.pool.storage.vectors import VectorSource
from newtest.progress import UNWATCHED, Progress
from newtest.reading.arrays import open_arrays

__all__ = ["by_neg_clip_loss", "by_norm_sim", "by_ranks", "scores_of", "scores_read", "texts_beside"]

RULE = 1
"""The version of what this room computes; part of the layers' names."""
AT_A_TIME = 1 << 14
"""Rows that are scored at a time."""
MISSING = "one of the scores is missing"


def texts_beside(pool: Pool, images: VectorSource) -> VectorSource:
    """The captions' vectors of the encoder whose image vectors these are. Raises PoolError where there are none."""
    if images.layer is not None:
        return replace(images, column="text")
    key = images.column.removesuffix("_img") + "_txt"
    if images.outside is None and all(_has(pool, shard, key) for shard in pool.shards):
        return replace(images, column=key)
    where = "in `vectors`" if images.outside is not None else f"called {key} in the .npz files"
    raise PoolError(
        f"{pool.place.url}: negCLIPLoss compares images with captions, and there are no captions' vectors {where}; "
        "'newtest embed-pool' computes both"
    )


def by_neg_clip_loss(
    pool: Pool,
    name: str,
    images: VectorSource,
    config: NegClipLoss,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Scoring:
    """negCLIPLoss of every row that has both vectors. Reads the captions' ids and the references' vectors first.

    Raises PoolError, UsageError.
    """
    require_free(pool, name)
    both = VectorRows.of(pool, images), VectorRows.of(pool, texts_beside(pool, images))
    draws = drawn(*both, config, engine, Resources(workers), progress)
    said = fingerprint_of(draws)
    file = f"neg-clip-loss-{said[:16]}/references.npz"
    if not pool.layers.exists(file):
        with pool.layers.writing(file) as path, open(path, "wb") as handle:
            np.savez(handle, allow_pickle=False, **_arrays(draws))
    made_of = {
        "name": name, "rule": RULE, "scorer": "negCLIPLoss", "vectors": made_of_vectors(pool, images),
        "batch": config.batch, "batches": config.batches, "temperature": config.temperature, "seed": config.seed,
        "references": said,
    }  # fmt: skip
    make = partial(_NegClipLossShard, *both, config, pool, file, said)
    return Scoring(pool, name, Layer(KIND, made_of), make, _one_process(workers))


def by_norm_sim(
    pool: Pool,
    name: str,
    images: VectorSource,
    target: str,
    norm: str = "inf",
    model: str | None = None,
    workers: int = 0,
) -> tuple[Scoring, int]:
    """NormSim of every row that has a vector, and how many images of the target could not be read.

    Raises PoolError, UsageError.
    """
    require_free(pool, name)
    _, wanted, unreadable = vectors_of_set(images, target, model, pool.image_col)
    rows = VectorRows.of(pool, images)
    require_width(rows, target, wanted)
    work = NormSim.of(np.asarray(wanted, np.float32), norm)
    said = hashlib.sha256(np.ascontiguousarray(wanted, np.float32).tobytes()).hexdigest()[:32]
    made_of = {
        "name": name, "rule": RULE, "scorer": f"NormSim_{norm}", "vectors": made_of_vectors(pool, images),
        "target": said, "target_images": len(wanted),
    }  # fmt: skip
    make = partial(_NormSimShard, rows, work)
    return Scoring(pool, name, Layer(KIND, made_of), make, _one_process(workers)), unreadable


def by_ranks(
    pool: Pool,
    name: str,
    columns: Sequence[str],
    way: str,
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Scoring:
    """Several scores of the pool as one, by rank: columns of its tables, named scores, or ``clip_score``.

    All values are held: 4 or 8 bytes per row and score. Raises PoolError, UsageError.
    """
    require_free(pool, name)
    if way not in WAYS:
        raise UsageError(f"`rank_by` is {', '.join(WAYS)}, not {way!r}")
    if len(set(columns)) < 2:
        raise UsageError("ranks bring at least two scores together; name each with `rank`")
    read, layers = scores_read(pool, columns)
    resources = Resources(workers, kind="thread")
    work = partial(scores_of, pool, read, layers)
    held = list(mapped(pool, work, engine, resources, progress, "reading scores"))
    values = [np.concatenate([part[at] for part in held]) for at in range(len(read))]
    made_of = {
        "name": name, "rule": RULE, "scorer": f"{way} rank", "of": list(columns),
        "pool": fingerprint([pool.shard_fingerprint(shard) for shard in pool.shards]),
        "layers": {column: layer.folder for column, (layer, _) in sorted(layers.items())},
    }  # fmt: skip
    make = partial(_RankShard, Ranked.of(values, way), read, layers)
    return Scoring(pool, name, Layer(KIND, made_of), make, resources)


def scores_read(pool: Pool, columns: Sequence[str]) -> tuple[list[str], Columns]:
    """What is read for these scores: names of columns, and the layers that some come from. Raises PoolError."""
    read, layers = [], named_columns(pool, columns)
    for column in columns:
        source = score_source(pool, None) if column == "clip_score" else None
        if column == "clip_score" and source is None:
            raise PoolError(f"{pool.place.url}: there is no CLIP score; 'newtest embed-pool' computes it")
        if source is not None:
            layers |= source.layers
        read.append(column if source is None else source.column)
    return read, layers


def scores_of(
    pool: Pool, columns: Sequence[str], layers: Columns, shard: Shard
) -> list[npt.NDArray[np.floating[Any]]]:
    """A shard's scores, one array (n,) per column, NaN where there is none. Raises PoolError."""
    batches = [
        [numbers(batch[column]) for column in columns] for batch in read_batches(pool, shard, columns, layers)
    ]
    empty = np.empty(0, np.float32)
    return [np.concatenate([empty, *(batch[at] for batch in batches)]) for at in range(len(columns))]


def _has(pool: Pool, shard: Shard, key: str) -> bool:
    if shard.embeddings is None:
        return False
    with pool.place.open(shard.embeddings) as handle, open_arrays(handle) as arrays:
        return key in arrays


def _one_process(workers: int) -> Resources:
    """One process by default, which may use all cores: what it multiplies with takes memory."""
    return Resources(workers or 1, gpus=1.0 if gpus() else 0.0)


def _arrays(draws: Sequence[References]) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    for number, draw in enumerate(draws):
        found |= {
            f"places{number}": draw.places,
            f"images{number}": draw.images,
            f"texts{number}": draw.texts,
        }
    return found


def _table(scores: npt.NDArray[np.float32], reasons: npt.NDArray[Any]) -> pa.Table:
    reasons[~np.isnan(scores)] = None
    return pa.table({COLUMN: pa.array(scores), "reason": pa.array(reasons.tolist(), pa.string())})


class _NegClipLossShard:
    """In a worker: the references once, then shard after shard."""

    def __init__(
        self, images: VectorRows, texts: VectorRows, config: NegClipLoss, pool: Pool, file: str, said: str
    ) -> None:
        self.images, self.texts, self.config = images, texts, config
        self.device = "cuda" if gpus() else "numpy"
        with pool.layers.open(file) as handle, open_arrays(handle) as arrays:
            self.draws = [
                References(*(arrays[f"{kind}{number}"] for kind in ("places", "images", "texts")))
                for number in range(config.batches)
            ]
        if fingerprint_of(self.draws) != said:
            raise PoolError(f"{pool.layers.url}: {file} is damaged or not ours; remove it and run again")

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        place = pool.shards.index(shard)
        first, number = self.images.starts[place], pool.rows(shard)
        scores = np.full(number, np.nan, np.float32)
        for wanted in ranges(self.images.starts[place : place + 2], AT_A_TIME):
            (seen, is_seen), (said, is_said) = self.images.block(wanted), self.texts.block(wanted)
            whole = np.flatnonzero(is_seen & is_said)
            if len(whole):
                scores[wanted[0] - first + whole] = neg_clip_loss(
                    seen[whole], said[whole], wanted[0] + whole, self.draws, self.config, self.device
                )
        return _table(scores, without_vector(self.images.source, pool, shard, number))


class _NormSimShard:
    """In a worker: scores shard after shard against the target."""

    def __init__(self, rows: VectorRows, work: NormSim) -> None:
        self.rows, self.work = rows, work

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        place = pool.shards.index(shard)
        first, number = self.rows.starts[place], pool.rows(shard)
        scores = np.full(number, np.nan, np.float32)
        for wanted in ranges(self.rows.starts[place : place + 2], AT_A_TIME):
            vectors, known = self.rows.block(wanted)
            scores[wanted[0] - first + np.flatnonzero(known)] = self.work.scores(vectors[known])
        return _table(scores, without_vector(self.rows.source, pool, shard, number))


class _RankShard:
    """In a worker: ranks a shard's rows among all."""

    def __init__(self, ranked: Ranked, columns: Sequence[str], layers: Columns) -> None:
        self.ranked, self.columns, self.layers = ranked, columns, layers

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        scores = self.ranked.scores(scores_of(pool, self.columns, self.layers, shard))
        return _table(scores, np.full(len(scores), MISSING, object))
