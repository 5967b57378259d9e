"""What a search computes about each shard, kept as layers: an interrupted search goes on, another threshold is cheap.

``mentions``: for each row the numbers of the terms that its caption holds. ``definitions``: for the same rows the
numbers of the classes that they are candidates of, and the cosine of caption and definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from newtest.config import fingerprint
from newtest.pool.search.mentions import Mentions, definition_of
from newtest.pool.storage.layers import Layer
from newtest.pool.storage.pool import Pool, Shard
from newtest.records import Class

if TYPE_CHECKING:
    from newtest.clip.encoder import Encoder

__all__ = ["Definitions", "MentionsOf", "Named", "definitions_layer", "mentions_layer"]

RULE = 1
"""The version of what this module computes; part of the layers' names."""
_TEXTS_AT_ONCE = 256
_LISTS = pa.list_(pa.int32())


@dataclass(frozen=True)
class Named:
    """What is searched: ``classes``, and ``others`` whose lemmas only tell captions apart. With ``alone`` a caption
    that names several of all these is a candidate of none."""

    classes: tuple[Class, ...]
    others: tuple[Class, ...] = ()
    alone: bool = False

    def classes_in(self, mentions: Mentions, terms: Sequence[int]) -> tuple[int, ...]:
        """The numbers of the classes that a caption with these terms is a candidate of."""
        found = {number for term in terms for number in mentions.classes[term]}
        if self.alone and len(found) > 1:
            return ()
        return tuple(sorted(number for number in found if number < len(self.classes)))

    def mentions(self) -> Mentions:
        """The automaton of all lemmas."""
        return Mentions((*self.classes, *self.others))


def mentions_layer(what: Named) -> Layer:
    """The layer of a list of classes: ``terms``, a list of numbers for each row."""
    lemmas = [(cls.wnid, cls.lemmas) for cls in (*what.classes, *what.others)]
    return Layer("mentions", {"lemmas": fingerprint(lemmas), "rule": RULE})


def definitions_layer(what: Named, encoder_name: str) -> Layer:
    """The layer of a list of classes and an encoder: ``classes`` and ``similarity``, lists of one length in a row."""
    texts = [definition_of(cls) for cls in what.classes]
    config = {**mentions_layer(what).config, "alone": what.alone, "encoder": encoder_name}
    return Layer("definitions", {**config, "definitions": fingerprint(texts)})


class MentionsOf:
    """Makes a shard's table of mentions."""

    def __init__(self, what: Named) -> None:
        self._mentions = what.mentions()

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        of = self._mentions.of
        offsets: list[int] = [0]
        values: list[int] = []
        for batch in pool.batches(shard, ["text"]):
            for text in batch["text"].to_pylist():
                if text:
                    values.extend(of(text))
                offsets.append(len(values))
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.int32()))
        return pa.table({"terms": lists})


class Definitions:
    """Makes a shard's table of similarities; the mentions are there."""

    def __init__(self, what: Named, encoder: Encoder) -> None:
        self._what, self._encoder = what, encoder
        self._mentions = what.mentions()
        self._definitions = encoder.texts([definition_of(cls) for cls in what.classes])

    def __call__(self, pool: Pool, shard: Shard) -> pa.Table:
        terms = mentions_layer(self._what).table(pool, shard, ["terms"])["terms"].to_pylist()
        classes = [self._what.classes_in(self._mentions, row) if row else () for row in terms]
        texts = _texts(pool, shard, classes)
        rows = sorted(texts)
        similarity: list[list[float]] = [[] for _ in classes]
        for start in range(0, len(rows), _TEXTS_AT_ONCE):
            some = rows[start : start + _TEXTS_AT_ONCE]
            vectors = self._encoder.texts([texts[row] for row in some])
            for row, vector in zip(some, vectors, strict=True):
                similarity[row] = (self._definitions[list(classes[row])] @ vector).tolist()
        return pa.table(
            {
                "classes": pa.array([list(row) for row in classes], _LISTS),
                "similarity": pa.array(similarity, pa.list_(pa.float32())),
            }
        )


def _texts(pool: Pool, shard: Shard, classes: Sequence[tuple[int, ...]]) -> dict[int, str]:
    """Row -> caption, of the rows that are candidates of a class."""
    wanted = np.fromiter((bool(row) for row in classes), np.bool_, len(classes))
    found: dict[int, str] = {}
    start = 0
    for batch in pool.batches(shard, ["text"]):
        here = np.flatnonzero(wanted[start : start + len(batch)])
        taken: list[Any] = batch["text"].take(pa.array(here)).to_pylist()
        found |= {int(start + row): text or "" for row, text in zip(here, taken, strict=True)}
        start += len(batch)
    return found
