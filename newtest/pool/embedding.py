"""Embed a pool: the images and captions of each shard as vectors, and their cosine as CLIP scores, kept as layers.

A thread reads the tar (or the table that holds the images) ahead of the model. Images are decoded by threads
(Pillow holds no lock while it decodes): where the model runs on a GPU several batches ahead of it, so that a slow
image delays nothing but its own batch, and only once the look-ahead is used up; where it runs on the CPU between its
batches, because threads that fight with the model's for the same cores make it wait for each other. Batches follow
the tar's order: the same pool gives the same bytes. An image that cannot be decoded is a row with a reason, never a
dead run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.clip.torch_runtime import gpus
from newtest.engines import Engine, Outcome, Resources
from newtest.engines.base import cores
from newtest.errors import ImageError, PoolError
from newtest.images import ImageLimits, shown
from newtest.images.ahead import decoded_ahead
from newtest.pool.prefetch import read_ahead
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import paired, require_images
from newtest.pool.storage.tars import Sample

if TYPE_CHECKING:
    from newtest.clip.encoder import Encoder

__all__ = [
    "EmbedConfig", "EncoderFacts", "embed", "embeddings_layer", "encoder_facts", "require_images_embedded", "score",
    "scores_layer",
]  # fmt: skip

Halves = npt.NDArray[np.float16]

RULE = 3
"""The version of what this module computes; part of the layers' names."""
MODELS_RULE = 5
"""The same for the models of open_clip. Since 4 their pictures are prepared as open_clip does, since 5 the layer's name
tells how."""


@dataclass(frozen=True)
class EmbedConfig:
    """The encoder by name, and how to feed it. Only ``encoder`` and ``precision`` decide what comes out."""

    encoder: str = "conse"
    precision: str = "float32"
    batch: int = 64
    decoders: int = 0
    """Decoding threads per worker; 0 is one per core."""
    ahead: int = 4
    """Batches that are read ahead of the model, and decoded where it runs on a GPU."""
    max_pixels: int = 80_000_000


@dataclass(frozen=True)
class EncoderFacts:
    """What tells the layers of encoders apart: ``name`` (model, weights, precision) and, of open_clip's models,
    ``preprocessing``, which another version of open_clip may change under the same name.

    ``doubt`` is what a person should know of the configuration, a sentence; empty where there is nothing.
    """

    name: str
    preprocessing: str = ""
    doubt: str = ""

    def made_by(self) -> dict[str, object]:
        """What made a layer, as its configuration."""
        if not self.preprocessing:
            return {"encoder": self.name, "rule": RULE}
        return {"encoder": self.name, "rule": MODELS_RULE, "preprocessing": self.preprocessing}


def embeddings_layer(encoder: EncoderFacts) -> Layer:
    """The layer of an encoder: columns ``image`` and ``text`` (float16 lists), and ``reason`` where one is
    missing.
    """
    return Layer("embeddings", encoder.made_by())


def scores_layer(encoder: EncoderFacts) -> Layer:
    """The layer of scores: ``score``, float32, NaN where there is none, and ``reason``."""
    return Layer("scores", encoder.made_by())


def embed(
    pool: Pool, config: EmbedConfig, engine: Engine, resources: Resources
) -> Iterator[Outcome[Shard, dict[str, int]]]:
    """Compute the embeddings that the pool lacks; one outcome per shard. Raises PoolError, UsageError, MissingExtra."""
    require_images(pool)
    layer = embeddings_layer(encoder_facts(config))
    yield from build(pool, layer, partial(_EmbedShard, config), engine, resources)


def score(
    pool: Pool, config: EmbedConfig, engine: Engine, workers: int = 0
) -> Iterator[Outcome[Shard, dict[str, int]]]:
    """Compute the scores of the embeddings that ``embed`` made with this configuration; one outcome per shard."""
    encoder = encoder_facts(config)
    make = partial(_ScoreShard, embeddings_layer(encoder))
    yield from build(pool, scores_layer(encoder), make, engine, Resources(workers, kind="thread"))


def encoder_facts(config: EmbedConfig) -> EncoderFacts:
    """The full name of the encoder, as results carry it, and its preprocessing; loads no weights."""
    made = _encoder(config)
    preprocessing = "" if made.name == "conse" else made.preprocessing  # conse's is ours: the rule tells it
    return EncoderFacts(made.name, preprocessing, getattr(made, "doubt", ""))


def _encoder(config: EmbedConfig) -> Encoder:
    from newtest.clip.loading import encoder

    return encoder(config.encoder, precision=config.precision)


def require_images_embedded(pool: Pool, encoder: EncoderFacts, sums: Mapping[str, int]) -> None:
    """Raises PoolError, with the first reason, where a complete layer holds not one image's vector."""
    if not sums["rows"] or sums["failed"] < sums["rows"]:
        return
    layer = embeddings_layer(encoder)
    first = None
    for shard in pool.shards:
        if np.isfinite(layer.vectors(pool, shard, "image")).all(axis=1).any():
            return
        reasons = layer.table(pool, shard, ["reason"])["reason"].to_pylist()
        first = first or next((reason for reason in reasons if reason), None)
    raise PoolError(
        f"{pool.place.url}: none of the {sums['rows']:,} rows has an image that can be embedded (the first: {first}); "
        "see what the tars or tables hold with 'newtest pool-status'"
    )


class _EmbedShard:
    """In a worker: the model once, then shard after shard."""

    def __init__(self, config: EmbedConfig) -> None:
        self.config = config
        self.encoder = _encoder(config)

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        rows = pool.rows(shard)
        columns, reasons = self._images(pool, shard, rows)
        columns["text"] = self._texts(pool, shard, rows, reasons)
        lists = {name: _lists(vectors) for name, vectors in sorted(columns.items())}
        return pa.table({**lists, "reason": pa.array(reasons.tolist(), pa.string())})

    def _images(self, pool: Pool, shard: Shard, rows: int) -> tuple[dict[str, Halves], npt.NDArray[Any]]:
        columns = {"image": np.full((rows, self.encoder.dimension), np.nan, np.float16)}
        reasons = np.full(rows, "no image", object)
        ahead = self.config.ahead if gpus() else 0
        read = read_ahead(paired(pool, shard), self.config.batch * (self.config.ahead + 1))
        decoded = decoded_ahead(
            read,
            lambda pair: (pair[0], self._decode(pair[1])),
            batch=self.config.batch,
            ahead=ahead,
            threads=self.config.decoders or cores(),
        )
        with closing(read), closing(decoded):
            for batch in decoded:
                whole = [(row, pixels) for row, pixels in batch if not isinstance(pixels, str)]
                for row, pixels in batch:
                    reasons[row] = pixels if isinstance(pixels, str) else None
                if whole:
                    places = [row for row, _ in whole]
                    look = self.encoder.look(np.stack([pixels for _, pixels in whole]))
                    columns["image"][places] = look.vectors
                    if look.descriptors is not None:
                        wide = (rows, look.descriptors.shape[1])
                        columns.setdefault("descriptor", np.full(wide, np.nan, np.float16))[places] = (
                            look.descriptors
                        )
        return columns, reasons

    def _decode(self, sample: Sample) -> Any:
        """The prepared pixels, or the reason why there are none."""
        data = sample.image
        if data is None:
            return sample.why
        try:
            return self.encoder.prepare(shown(data, limits=ImageLimits(max_pixels=self.config.max_pixels)))
        except ImageError as error:
            return error.kind

    def _texts(self, pool: Pool, shard: Shard, rows: int, reasons: npt.NDArray[Any]) -> Halves:
        vectors = np.full((rows, self.encoder.dimension), np.nan, np.float16)
        start = 0
        for texts in self._captions(pool, shard, rows):
            present = {place: text for place, text in enumerate(texts) if text is not None}
            vectors[[start + place for place in present]] = self.encoder.texts(list(present.values()))
            for place in sorted(set(range(len(texts))) - set(present)):
                reasons[start + place] = reasons[start + place] or "no caption"
            start += len(texts)
        return vectors

    def _captions(self, pool: Pool, shard: Shard, rows: int) -> Iterator[list[str | None]]:
        """A table without a column of them (a release's) has none."""
        if not pool.tells(shard, "text"):
            yield [None] * rows
            return
        for batch in pool.batches(shard, ["text"], self.config.batch * 4):
            yield batch["text"].to_pylist()


class _ScoreShard:
    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        images = self.layer.vectors(pool, shard, "image")
        texts = self.layer.vectors(pool, shard, "text")
        # float16 rows are only nearly of length 1.
        with np.errstate(invalid="ignore", divide="ignore"):
            lengths = np.linalg.norm(images, axis=1) * np.linalg.norm(texts, axis=1)
            scores = (np.einsum("nd,nd->n", images, texts) / lengths).astype(np.float32)
        return pa.table(
            {"score": pa.array(scores), "reason": self.layer.table(pool, shard, ["reason"])["reason"]}
        )


def _lists(vectors: Halves) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
