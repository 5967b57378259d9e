"""Which of a model's character n-grams words have, found for many words at once.

An n-gram is known by its hash alone: fastText's variant of 32-bit FNV-1a (``Dictionary::hash``, which extends each
byte's sign), modulo the number of buckets; a compressed model has kept some of the buckets (``Dictionary::pushHash``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from newtest.pool.filtering.lid.model_file import Model
from newtest.pool.filtering.lid.words import Characters

__all__ = ["Ngrams"]

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)

Hashes = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int32]


class Ngrams:
    """A model's n-grams."""

    def __init__(self, model: Model) -> None:
        self._lengths = range(model.shortest, model.longest + 1)
        self._buckets = np.uint32(model.buckets)
        hashes, rows = model.ngrams.T
        # Few n-grams of a text are kept: that is asked first, of a table that fits into a processor's cache better.
        self._kept = np.zeros(model.buckets, np.bool_)
        self._kept[hashes] = True
        self._rows = np.zeros(model.buckets, np.int32)
        self._rows[hashes] = rows

    def of(self, text: Characters) -> Iterator[tuple[npt.NDArray[np.int32], Rows]]:
        """For each length the n-grams that the model kept: their words' numbers, ascending, and their rows."""
        codes = _extended(text.data[text.starts])
        hashes = (_BASIS ^ codes) * _PRIME
        _longer(hashes, text, 0)
        for length in range(2, self._lengths.stop):
            hashes = (hashes[:-1] ^ codes[length - 1 :]) * _PRIME
            _longer(hashes, text, length - 1)
            if length in self._lengths:
                # The remainder by way of the quotient, which NumPy finds many times faster.
                buckets = (hashes - hashes // self._buckets * self._buckets).view(np.int32)
                kept = self._kept.take(buckets)
                kept &= text.left[: len(kept)] >= length
                places = np.flatnonzero(kept)
                if len(places):
                    yield text.words[places], self._rows[buckets[places]]


def _longer(hashes: Hashes, text: Characters, last: int) -> None:
    """Hash, in place, the further bytes of the n-grams' last characters, which lie ``last`` behind the first ones."""
    for number, characters in enumerate(text.longer, 1):
        ends = characters[characters >= last]
        codes = _extended(text.data[text.starts[ends] + number])
        hashes[ends - last] = (hashes[ends - last] ^ codes) * _PRIME


def _extended(data: npt.NDArray[np.uint8]) -> Hashes:
    """Each byte with its sign extended."""
    return data.view(np.int8).astype(np.int32).view(np.uint32)
