"""The search: which captions name which class, how near they are to its definition, and which of them are drawn."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from newtest.engines import Engine, Resources
from newtest.errors import UsageError
from newtest.pool.search.found import Found, Hit
from newtest.pool.search.layers import Definitions, MentionsOf, Named, definitions_layer, mentions_layer
from newtest.pool.storage.layers import Layer, build
from newtest.pool.storage.opt_outs import known, mask_of
from newtest.pool.storage.passes import complete, merged
from newtest.pool.storage.pool import Pool, Shard
from newtest.progress import UNWATCHED, Progress, watched
from newtest.records import Class

__all__ = ["SearchConfig", "search"]

_MOST_HITS = 200_000
"""Hits in memory, beyond which a draw is made in between; it changes nothing but what duplicates are counted as."""


@dataclass(frozen=True)
class SearchConfig:
    """``per_class`` candidates at most (0: all), drawn by ``seed``, or with ``best`` those nearest to the definition.

    ``min_definition_similarity`` is a cosine; None asks no encoder. With ``exclude_others`` a caption that names
    several classes, of those searched and of ``others``, is a candidate of none.
    """

    per_class: int = 0
    min_definition_similarity: float | None = None
    exclude_others: bool = False
    encoder: str = "conse"
    precision: str = "float32"
    best: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_class < 0:
            raise UsageError(f"`per_class` must not be negative: {self.per_class}")
        bound = self.min_definition_similarity
        if bound is not None and not -1 <= bound <= 1:
            raise UsageError(f"`min_definition_similarity` is a cosine, from -1 to 1, and not {bound}")

    @property
    def compares(self) -> bool:
        """Whether captions are compared with definitions."""
        return self.best or self.min_definition_similarity is not None


def search(
    pool: Pool,
    classes: Sequence[Class],
    config: SearchConfig | None = None,
    *,
    others: Sequence[Class] = (),
    engine: Engine,
    workers: int = 0,
    progress: Progress = UNWATCHED,
) -> Found:
    """Find candidates of the classes by caption. What is computed is kept as layers of the pool.

    Raises UsageError, PoolError, MissingExtra.
    """
    config = config or SearchConfig()
    if not classes:
        raise UsageError("name a class to search for: `wnids`")
    known = {cls.wnid for cls in classes}
    what = Named(
        tuple(classes),
        tuple(cls for cls in others if cls.wnid not in known) if config.exclude_others else (),
        config.exclude_others,
    )
    what.mentions()  # a class that cannot be searched is an error before anything is read
    layer = mentions_layer(what)
    outcomes = build(pool, layer, partial(MentionsOf, what), engine, Resources(workers, light=True))
    sums = complete(watched(progress, "reading captions", outcomes, len(pool.shards)), len(pool.shards))
    definitions = _compare(pool, what, config, engine, workers, progress) if config.compares else None
    make = partial(_Chooser, pool, what, config, definitions)
    gathered = _Gathered([shard.name for shard in pool.shards], config)
    for name, part, counted in merged(
        pool, make, engine, Resources(workers, light=True), progress, "choosing"
    ):
        gathered.add(name, part, counted)
    hits, counts = gathered.end()
    return Found(tuple(classes), tuple(hits), sums["rows"], counts)


def _compare(
    pool: Pool, what: Named, config: SearchConfig, engine: Engine, workers: int, progress: Progress
) -> Layer:
    """The layer of similarities, made where it is not there; one process runs a model on all cores."""
    from newtest.clip.loading import encoder
    from newtest.clip.torch_runtime import gpus

    name = encoder(config.encoder, precision=config.precision).name
    layer = definitions_layer(what, name)
    on_gpu = gpus() > 0
    resources = Resources(workers, gpus=1.0 if on_gpu else 0.0, alone=not on_gpu)
    make = partial(_definitions, what, config.encoder, config.precision)
    outcomes = build(pool, layer, make, engine, resources)
    complete(watched(progress, "comparing definitions", outcomes, len(pool.shards)), len(pool.shards))
    return layer


def _definitions(what: Named, name: str, precision: str) -> Definitions:
    from newtest.clip.loading import encoder

    return Definitions(what, encoder(name, precision=precision))


class _Chooser:
    """In a worker: a shard's hits, no more of a class than can be drawn, and what was left out and why."""

    def __init__(self, pool: Pool, what: Named, config: SearchConfig, definitions: Layer | None) -> None:
        self._pool, self._what, self._config, self._definitions = pool, what, config, definitions
        self._mentions = what.mentions()
        self._opt_outs = known(pool)

    def __call__(self, shard: Shard) -> tuple[str, list[Hit], dict[tuple[str, str], int]]:
        terms = mentions_layer(self._what).table(self._pool, shard, ["terms"])["terms"]
        rows = pc.indices_nonzero(pc.list_value_length(terms)).to_pylist()
        near = self._near(shard, rows)
        out = mask_of(self._pool, shard, self._opt_outs)
        counted: Counter[tuple[str, str]] = Counter()
        wanted: dict[int, list[tuple[int, float | None, str]]] = {}
        for row, mentioned in zip(rows, terms.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
            gone = out is not None and bool(out[row])
            for number, similarity in self._classes(row, mentioned, near, counted, gone=gone):
                lemma = next(
                    self._mentions.terms[t] for t in mentioned if number in self._mentions.classes[t]
                )
                wanted.setdefault(row, []).append((number, similarity, lemma))
        hits = self._hits(shard, wanted)
        kept, left_out = _drawn(hits, self._config)
        counted.update(left_out)
        return shard.name, kept, dict(counted)

    def _near(self, shard: Shard, rows: Sequence[int]) -> dict[int, dict[int, float]]:
        if self._definitions is None:
            return {}
        table = self._definitions.table(self._pool, shard, ["classes", "similarity"])
        some = table.take(pa.array(rows, pa.int64())).to_pylist()
        return {
            row: dict(zip(entry["classes"], entry["similarity"], strict=True))
            for row, entry in zip(rows, some, strict=True)
        }

    def _classes(
        self,
        row: int,
        mentioned: Sequence[int],
        near: Mapping[int, Mapping[int, float]],
        counted: Counter[tuple[str, str]],
        *,
        gone: bool,
    ) -> list[tuple[int, float | None]]:
        named_ = {number for term in mentioned for number in self._mentions.classes[term]}
        searched = [number for number in sorted(named_) if number < len(self._what.classes)]
        candidates = self._what.classes_in(self._mentions, mentioned)
        bound = self._config.min_definition_similarity
        found: list[tuple[int, float | None]] = []
        for number in searched:
            wnid = self._what.classes[number].wnid
            counted[wnid, "mentions"] += 1
            similarity = near.get(row, {}).get(number)
            if gone:
                counted[wnid, "opted out"] += 1
            elif number not in candidates:
                counted[wnid, "names another class"] += 1
            elif bound is not None and (similarity is None or similarity < bound):
                counted[wnid, "far from the definition"] += 1
            else:
                found.append((number, similarity))
        return found

    def _hits(self, shard: Shard, wanted: Mapping[int, list[tuple[int, float | None, str]]]) -> list[Hit]:
        if not wanted:
            return []
        told = [name for name in ("url", "width", "height") if self._pool.tells(shard, name)]
        own = [name for name in ("license",) if name in self._pool.schema(shard).names]
        hits, start = [], 0
        for batch in self._pool.batches(shard, ["uid", "text", *told, *own]):
            here = [row for row in range(start, start + len(batch)) if row in wanted]
            taken = batch.take(pa.array([row - start for row in here], pa.int64())).to_pylist()
            for row, values in zip(here, taken, strict=True):
                for number, similarity, lemma in wanted[row]:
                    wnid = self._what.classes[number].wnid
                    hits.append(
                        Hit(
                            wnid,
                            str(values["uid"]),
                            shard.name,
                            row,
                            values["text"] or "",
                            lemma,
                            similarity,
                            values.get("url"),
                            values.get("width"),
                            values.get("height"),
                            values.get("license"),
                        )
                    )
            start += len(batch)
        return hits


class _Gathered:
    """The hits of the shards, taken in the pool's order however they come, and never many more than can be drawn."""

    def __init__(self, shards: Sequence[str], config: SearchConfig) -> None:
        self._next, self._config = list(reversed(shards)), config
        self._early: dict[str, list[Hit]] = {}
        self._hits: list[Hit] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, hits: list[Hit], counted: Mapping[tuple[str, str], int]) -> None:
        """One shard's; the counts are sums, whose order does not matter."""
        self._counts.update(counted)
        self._early[name] = hits
        while self._next and self._next[-1] in self._early:
            self._hits += self._early.pop(self._next.pop())
            if self._config.per_class and len(self._hits) > _MOST_HITS:
                self._draw()

    def end(self) -> tuple[list[Hit], dict[tuple[str, str], int]]:
        """What is drawn of all shards, and the counts."""
        self._draw()
        return self._hits, dict(self._counts)

    def _draw(self) -> None:
        self._hits, left_out = _drawn(self._hits, self._config)
        self._counts.update(left_out)


def _drawn(hits: Sequence[Hit], config: SearchConfig) -> tuple[list[Hit], dict[tuple[str, str], int]]:
    """Of each class the first ``per_class`` in the order of the draw, or of the similarity; by class, in that order."""
    left_out: Counter[tuple[str, str]] = Counter()
    by_class: dict[str, dict[str, Hit]] = {}
    for hit in sorted(hits, key=lambda hit: (hit.wnid, hit.uid, hit.shard, hit.row)):
        if by_class.setdefault(hit.wnid, {}).setdefault(hit.uid, hit) is not hit:
            left_out[hit.wnid, "a uid that is there already"] += 1
    kept: list[Hit] = []
    for wnid in sorted(by_class):
        ordered = sorted(by_class[wnid].values(), key=lambda hit: _place(hit, config))
        chosen = ordered[: config.per_class] if config.per_class else ordered
        left_out[wnid, "beyond the number per class"] += len(ordered) - len(chosen)
        kept += chosen
    return kept, {what: number for what, number in left_out.items() if number}


def _place(hit: Hit, config: SearchConfig) -> tuple[float, bytes, str]:
    """The place in the order: of the seed, the class and the uid alone, so in no order of reading."""
    name = f"{config.seed}\x1f{hit.wnid}\x1f{hit.uid}".encode()
    draw = hashlib.blake2b(name, digest_size=8).digest()
    return -(hit.similarity or 0.0) if config.best else 0.0, draw, hit.uid
