"""A pool's image vectors: what joins and clusterings are made on.

They come from an embeddings layer (its descriptors where it has them) or from the ``.npz`` files that DataComp puts
beside its tables. Rows without a vector are left out and counted; nothing is known of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.clip.torch_runtime import PRECISIONS
from newtest.errors import NewtestError, PoolError
from newtest.pool.storage.layer_states import found
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.location import Entry
from newtest.pool.storage.outside_vectors import outside_vectors
from newtest.pool.storage.pool import Pool, Shard
from newtest.reading.arrays import open_arrays

__all__ = ["VectorSource", "layers_by", "newest", "parted", "vector_source"]

NPZ_KEYS = ("l14_img", "b32_img")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class VectorSource:
    """A layer and its column, or (``layer`` None) a key of the npz files, or a place where others keep theirs."""

    layer: Layer | None
    column: str
    outside: str | None = None
    older: int = 0
    """Complete layers of the same encoder by earlier versions of newtest, which this one comes before."""

    @property
    def said(self) -> str:
        """Where the vectors come from, in words."""
        if self.outside is not None:
            return f"the vectors in {self.outside}"
        if self.layer is None:
            return f"{self.column} of the .npz files"
        newest = f", the newest of {self.older + 1}" if self.older else ""
        return f"{self.column} of the layer {self.layer.folder} ({self.layer.config.get('encoder')}{newest})"

    def rows(self, pool: Pool, shard: Shard) -> npt.NDArray[np.float32]:
        """The shard's vectors, shape (n, d), NaN where there is none. Raises PoolError."""
        if self.outside is not None:
            return _outside(pool, self.outside, shard)
        if self.layer is not None:
            return self.layer.vectors(pool, shard, self.column)
        if shard.embeddings is None:
            raise PoolError(f"{pool.place.url}: shard {shard.name} has no .npz beside it")
        try:
            with (
                pool.place.open(shard.embeddings) as handle,
                open_arrays(handle) as arrays,
            ):
                rows = np.asarray(arrays[self.column], np.float32)
        except _UNREADABLE as error:
            raise _unreadable(pool, shard.embeddings, self.column, error) from error
        if rows.ndim != 2 or len(rows) != pool.rows(shard):
            raise PoolError(
                f"{pool.place.url}: {shard.embeddings.name} has {rows.shape} values, its table "
                f"{pool.rows(shard)} rows"
            )
        return rows

    def pieces(self, pool: Pool, shard: Shard, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
        """Rows ``start`` to ``stop`` of ``rows`` in the type that they are kept in, a few at a time, for sources that
        are parted by shards. Raises PoolError.
        """
        if self.layer is not None:
            yield from map(_rows_of_lists, self.layer.part(pool, shard, self.column, start, stop))
            return
        if shard.embeddings is None:
            raise PoolError(f"{pool.place.url}: shard {shard.name} has no .npz beside it")
        try:
            with pool.place.open(shard.embeddings) as handle, open_arrays(handle) as arrays:
                shape = arrays.shape(self.column)
                rows = arrays.rows(self.column, start, stop) if len(shape) == 2 else None
        except _UNREADABLE as error:
            raise _unreadable(pool, shard.embeddings, self.column, error) from error
        if rows is None or shape[0] != pool.rows(shard):
            raise PoolError(
                f"{pool.place.url}: {shard.embeddings.name} has {shape} values, its table {pool.rows(shard)} rows"
            )
        yield rows

    def fingerprint(self, pool: Pool, shard: Shard) -> str:
        """What a shard's vectors are, told cheaply, for sources that are parted by shards."""
        if self.layer is not None:
            return f"{self.layer.folder}/{self.column}/{pool.shard_fingerprint(shard)}"
        return f"{self.column}/{pool.file_fingerprint(shard.embeddings) if shard.embeddings else ''}"


def vector_source(pool: Pool, encoder: str | None = None, outside: str | None = None) -> VectorSource:
    """The image vectors of a pool: those of ``outside`` (``newtest.pool.storage.outside_vectors``), else its one
    complete embeddings layer (or the named encoder's), else its npz files (``encoder`` may be "l14", "b32" or any key).

    Raises PoolError where there is none, or where several layers could be meant.
    """
    if outside is not None:
        outside_vectors(outside, sum(pool.rows(shard) for shard in pool.shards))
        return VectorSource(None, "image", outside)
    layers, older = newest(layers_by(found(pool, "embeddings"), encoder))
    if len(layers) > 1:
        names = ", ".join(sorted(str(layer.config.get("encoder")) for layer in layers))
        raise PoolError(
            f"{pool.place.url}: embeddings of several encoders are there ({names}); choose one with `model`"
        )
    if layers:
        layer = layers[0]
        descriptor = layer.has(pool, pool.shards[0], "descriptor")
        return VectorSource(layer, "descriptor" if descriptor else "image", older=older)
    if key := _key(pool, encoder):
        return VectorSource(None, key)
    raise PoolError(
        f"{pool.place.url}: there are no image embeddings{f' by {encoder}' if encoder else ''}; compute them with "
        "'newtest embed-pool', or name vectors that were made elsewhere as `vectors`"
    )


def layers_by(layers: Sequence[Layer], encoder: str | None) -> list[Layer]:
    """The layers that the encoder of this name made, as layers or ``embed-pool`` have it; all where it is None.

    A checkpoint (``MODEL@FILE``) is known by its bytes, wherever it lies. Without a precision any will do, but a layer
    of the very name comes first.
    """
    if encoder is None:
        return list(layers)
    exact = [layer for layer in layers if _made_by(layer) == encoder]
    name = encoder if exact else _full_name(encoder)
    exact = exact or [layer for layer in layers if _made_by(layer) == name]
    return exact or [layer for layer in layers if parted(_made_by(layer))[0] == name]


def newest(layers: Sequence[Layer]) -> tuple[list[Layer], int]:
    """Of the layers of each encoder the one by the latest rule, and how many others there are.

    Raises PoolError where that rule made several of one encoder, from other pictures: versions of open_clip may prepare
    them in other ways.
    """
    best: dict[str, Layer] = {}
    for layer in layers:
        known = best.get(_made_by(layer))
        if known is None or _rule(layer) > _rule(known):
            best[_made_by(layer)] = layer
    for layer in layers:
        known = best[_made_by(layer)]
        if _rule(layer) == _rule(known) and layer.folder != known.folder:
            told = " and ".join(f"{one.folder} ({one.config.get('preprocessing')})" for one in (known, layer))
            raise PoolError(
                f"{told} are layers of {_made_by(layer)} whose pictures were prepared in different ways; "
                "remove the one that is not meant"
            )
    return list(best.values()), len(layers) - len(best)


def parted(name: str) -> tuple[str, str]:
    """An encoder's full name as its own and its precision: ``ViT-B-32/openai/bfloat16`` was made in bfloat16."""
    own, _, last = name.rpartition("/")
    return (own, last) if own and last in PRECISIONS else (name, "float32")


def _made_by(layer: Layer) -> str:
    return str(layer.config.get("encoder"))


def _rule(layer: Layer) -> int:
    rule = layer.config.get("rule")
    return rule if isinstance(rule, int) else 0


def _full_name(encoder: str) -> str:
    """The name that layers have of an encoder: of a checkpoint the hash of its bytes is in it."""
    if "@" not in encoder and not encoder.startswith(("hf-hub:", "local-dir:")):
        return encoder
    from newtest.clip.loading import encoder as load

    try:
        return load(encoder).name
    except NewtestError:
        return encoder


def _key(pool: Pool, encoder: str | None) -> str | None:
    """The key of the npz files that holds the wanted vectors; None where there is none."""
    first = pool.shards[0].embeddings
    if first is None or not all(shard.embeddings for shard in pool.shards):
        return None
    try:
        with pool.place.open(first) as handle, open_arrays(handle) as arrays:
            names = list(arrays.files)
    except _UNREADABLE as error:
        raise _unreadable(pool, first, " or ".join(NPZ_KEYS), error) from error
    if encoder is not None:
        return next((name for name in (f"{encoder}_img", encoder) if name in names), None)
    usual = [key for key in NPZ_KEYS if key in names]
    return usual[0] if usual else names[0] if len(names) == 1 else None


def _rows_of_lists(lists: Any) -> npt.NDArray[Any]:
    """Lists of one size as rows; a missing list's values are NaN."""
    width = lists.type.list_size
    if not lists.null_count:
        return np.asarray(lists.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)
    values = lists.values.slice(lists.offset * width, len(lists) * width)
    rows = np.array(values.to_numpy(zero_copy_only=False)).reshape(-1, width)
    rows[np.asarray(lists.is_null())] = np.nan
    return rows


def _outside(
    pool: Pool, place: str, shard: Shard, first: int = 0, last: int | None = None
) -> npt.NDArray[np.float32]:
    """Rows of one shard, of vectors that stand in the pool's order."""
    counts = [pool.rows(each) for each in pool.shards]
    arrays = outside_vectors(place, sum(counts))
    own = pool.shards.index(shard)
    start = sum(counts[:own]) + first
    stop = sum(counts[:own]) + (counts[own] if last is None else last)
    parts, before = [], 0
    for array in arrays:
        parts.append(array[max(0, start - before) : max(0, stop - before)])
        before += len(array)
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _unreadable(pool: Pool, entry: Entry, what: str, error: Exception) -> PoolError:
    return PoolError(
        f"{pool.place.url}: {entry.name} gives no {what} ({error}); fetch it again or move it away"
    )
