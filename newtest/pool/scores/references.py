"""The samples that negCLIPLoss measures all others against: for each draw the first in an order of hashed uids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from newtest.engines import Engine, Resources
from newtest.pool.hashed_order import order_of
from newtest.pool.scores.neg_clip_loss import NegClipLoss, References
from newtest.pool.storage.opt_outs import OptOuts, known, mask_of
from newtest.pool.storage.passes import mapped
from newtest.pool.storage.pool import Shard
from newtest.pool.storage.row_ranges import VectorRows
from newtest.pool.storage.row_uids import uids_of
from newtest.progress import Progress

__all__ = ["drawn", "fingerprint_of"]

Halves = npt.NDArray[np.float16]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
SPARE = 1.1
"""How many times as many samples are looked at first as are needed: some have no vectors, and hashes scatter."""
_AT_A_TIME = 1 << 14


def drawn(
    images: VectorRows,
    texts: VectorRows,
    config: NegClipLoss,
    engine: Engine,
    resources: Resources,
    progress: Progress,
) -> list[References]:
    """The references of each draw, at most ``config.batch``, from samples that have both vectors and did not opt out.

    Whatever the shards and workers, the same. Raises PoolError.
    """
    rows = images.starts[-1]
    share = min(1.0, SPARE * config.batch / max(rows, 1))
    both = _Both(images, texts)
    while True:
        orders = _ordered(both, config, share, engine, resources, progress)
        read = _read(both, np.unique(np.concatenate(orders)), engine, resources, progress)
        draws = [_first(order, read, config.batch) for order in orders]
        if share >= 1.0 or all(len(draw.places) == config.batch for draw in draws):
            return draws
        share = min(1.0, 4 * share)


def fingerprint_of(draws: Sequence[References]) -> str:
    """What the references are."""
    digest = hashlib.sha256()
    for draw in draws:
        for array in (draw.places, draw.images, draw.texts):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class _Both:
    """The two vectors of each sample."""

    images: VectorRows
    texts: VectorRows

    def start(self, shard: Shard) -> int:
        """The place of the shard's first sample."""
        return self.images.starts[self.images.pool.shards.index(shard)]

    def at(self, wanted: Ints, shard: Shard) -> References:
        """Of the ``wanted`` places those in a shard whose samples have both vectors, ascending."""
        start = self.start(shard)
        places, pictures, captions = [np.empty(0, np.int64)], [], []
        low, high = np.searchsorted(wanted, (start, start + self.images.pool.rows(shard)))
        for first in range(low, high, _AT_A_TIME):
            some = wanted[first : min(first + _AT_A_TIME, high)]
            span = (int(some[0]), int(some[-1]) + 1)
            (seen, is_seen), (said, is_said) = self.images.block(span), self.texts.block(span)
            some = some[(is_seen & is_said)[some - span[0]]]
            places.append(some)
            pictures.append(seen[some - span[0]])
            captions.append(said[some - span[0]])
        return References(np.concatenate(places), _joined(pictures), _joined(captions))


def _joined(parts: list[Halves]) -> Halves:
    parts = [part for part in parts if len(part)]
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float16)


def _ordered(
    both: _Both,
    config: NegClipLoss,
    share: float,
    engine: Engine,
    resources: Resources,
    progress: Progress,
) -> list[Ints]:
    """The places of each draw's first samples, in order: about this share of all."""
    pool = both.images.pool
    hashes: list[list[Words]] = [[np.empty(0, np.uint64)] for _ in range(config.batches)]
    places: list[list[Ints]] = [[np.empty(0, np.int64)] for _ in range(config.batches)]
    work = partial(_lowest, both, known(pool), config, share)
    for found in mapped(pool, work, engine, replace(resources, light=True), progress, "drawing"):
        for draw, (own, at) in enumerate(found):
            hashes[draw].append(own)
            places[draw].append(at)
    result = []
    for some, there in zip(map(np.concatenate, hashes), map(np.concatenate, places), strict=True):
        result.append(there[np.lexsort((there, some))])
    return result


def _lowest(
    both: _Both, opt_outs: OptOuts, config: NegClipLoss, share: float, shard: Shard
) -> list[tuple[Words, Ints]]:
    """A shard's samples whose hashes are low enough, for each draw: hashes and places."""
    pool = both.images.pool
    uids = uids_of(pool, shard)
    out = mask_of(pool, shard, opt_outs)
    allowed = np.ones(len(uids), np.bool_) if out is None else ~out
    limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    result = []
    for draw in range(config.batches):
        own = order_of(uids, "negCLIPLoss", config.seed, draw)
        at = np.flatnonzero((own <= limit) & allowed)
        result.append((own[at], at.astype(np.int64) + both.start(shard)))
    return result


def _read(both: _Both, wanted: Ints, engine: Engine, resources: Resources, progress: Progress) -> References:
    """Of the wanted places, ascending, those whose samples have both vectors, with these."""
    pool = both.images.pool
    starts = np.array(both.images.starts)
    having = np.unique(np.searchsorted(starts, wanted, "right") - 1).tolist()
    some = replace(pool, shards=tuple(pool.shards[place] for place in having))
    work = partial(both.at, wanted)
    parts = list(mapped(some, work, engine, resources, progress, "reading references"))
    parts = sorted((part for part in parts if len(part.places)), key=lambda part: int(part.places[0]))
    places = np.concatenate([np.empty(0, np.int64), *(part.places for part in parts)])
    return References(
        places, _joined([part.images for part in parts]), _joined([part.texts for part in parts])
    )


def _first(order: Ints, read: References, most: int) -> References:
    """The first of a draw's places that have vectors."""
    at = np.searchsorted(read.places, order)
    at = np.minimum(at, max(len(read.places) - 1, 0))
    there = read.places[at] == order if len(read.places) else np.zeros(len(order), np.bool_)
    at = at[there][:most]
    return References(order[there][:most], read.images[at], read.texts[at])
