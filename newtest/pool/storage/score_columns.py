"""Where a pool's CLIP scores come from: a column of its tables, or a layer that was computed."""

from __future__ import annotations

from dataclasses import dataclass

from newtest.errors import PoolError
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.layer_states import found
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.vectors import layers_by, newest

__all__ = ["ARCHES", "ScoreSource", "score_source"]

ARCHES = {"b32": "clip_b32_similarity_score", "l14": "clip_l14_similarity_score"}
"""DataComp's columns, by the names its command line gives them."""


@dataclass(frozen=True)
class ScoreSource:
    """The name of the column that filters read, the layers it needs, and where it comes from in words."""

    column: str
    layers: Columns
    said: str


def score_source(pool: Pool, arch: str | None, prefer: str | None = None) -> ScoreSource | None:
    """The scores of ``model`` ("b32", "l14", the name of an encoder, or None for whatever there is), None where
    there are none.

    Without ``model``: L/14 before B/32 in the tables (DataComp's better one), then a single complete scores
    layer, or of several that of the encoder ``prefer``. Raises PoolError where several layers could be meant, or where
    only some of the shards have the column.
    """
    names = [ARCHES[arch]] if arch in ARCHES else [] if arch else [ARCHES["l14"], ARCHES["b32"]]
    for name in names:
        having = [name in pool.schema(shard).names for shard in pool.shards]
        if all(having):
            return ScoreSource(name, {}, f"the pool's own column {name}")
        if any(having):
            lacking = pool.shards[having.index(False)].name
            raise PoolError(
                f"{pool.place.url}: {having.count(False)} of {len(having)} shards have no column {name} "
                f"(the first is {lacking}), "
                "so the scores are not of one kind; name another score with `model`, or compute them with "
                "'newtest embed-pool'"
            )
    layers, older = newest(layers_by(found(pool, "scores"), arch))
    if len(layers) > 1 and prefer is not None:
        layers = layers_by(layers, prefer) or layers
    if len(layers) > 1:
        choices = ", ".join(sorted(str(layer.config.get("encoder")) for layer in layers))
        raise PoolError(
            f"{pool.place.url}: scores of several encoders are there ({choices}); choose one with `model`"
        )
    if not layers:
        return None
    encoder = str(layers[0].config.get("encoder"))
    return ScoreSource(
        "clip_score",
        {"clip_score": (layers[0], "score")},
        f"the layer {layers[0].folder} ({encoder}{f', the newest of {older + 1}' if older else ''})",
    )
