"""A compressed fastText classifier asked about many captions at once.

The answers are fastText's: where the two likeliest labels are so close that rounding, or the order in which fastText
walks its tree, could decide between them, the answer is not sure, and fastText itself is to be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.pool.filtering.lid.label_tree import label_tree, probabilities
from newtest.pool.filtering.lid.model_file import Floats, Model
from newtest.pool.filtering.lid.ngrams import Ngrams
from newtest.pool.filtering.lid.words import Words, characters_of, parted
from newtest.pool.storage.columns import flags

__all__ = ["BatchModel"]

_AT_ONCE = 1024
_WORDS_AT_ONCE = 8192
"""Captions and distinct words whose arrays are held at a time: near to the processor, and in memory that is used again
instead of asked for anew, which costs more than the arithmetic.
"""

_UNIT = 2.0**-24
"""The relative rounding error of one float32 operation."""


class BatchModel:
    """A model's tables."""

    def __init__(self, model: Model) -> None:
        self.labels = model.labels
        self._ngrams = Ngrams(model)
        self._tree = label_tree(model.label_counts)
        self._outputs = model.outputs
        # Two more numbers are summed with each row: 1, so that a sum knows how many rows it has, and the most that an
        # error of the row, relative to each of its values, can weigh in a node's logit.
        weights = np.einsum("ij,j->i", np.abs(model.inputs), np.abs(model.outputs).max(axis=0))
        self._inputs: Floats = np.column_stack([model.inputs, np.ones_like(weights), weights])
        self._words = _strings(model.words)

    def answers(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """For each of one or more captions the number of its likeliest label, and whether that is sure.

        No caption may hold fastText's own words, ``</s>`` and those that begin with ``__label__``; a line's end counts
        as any white space.
        """
        words = parted(texts)
        vectors = self._word_vectors(words.distinct)
        found = [self._likeliest(sums) for sums in _sums(vectors, words)]
        labels, sure = zip(*found, strict=True)
        return np.concatenate(labels), np.concatenate(sure)

    def _word_vectors(self, distinct: pa.Array) -> Floats:
        """The sum of each word's rows, its own and its n-grams'; the first word, the line's end, has no n-grams."""
        found = pc.index_in(distinct, value_set=self._words)
        known = pc.drop_null(found)
        vectors = np.zeros((len(distinct), self._inputs.shape[1]), np.float32)
        own = np.frombuffer(known.buffers()[1], np.int32, len(known), 4 * known.offset)
        vectors[flags(pc.is_valid(found))] = self._inputs[own]
        for first in range(1, len(distinct), _WORDS_AT_ONCE):
            text = characters_of(distinct.slice(first, _WORDS_AT_ONCE))
            for numbers, rows in self._ngrams.of(text):
                starts = np.flatnonzero(np.diff(numbers, prepend=-1))
                sums = np.add.reduceat(self._inputs.take(rows, axis=0), starts, axis=0)
                vectors[numbers[starts] + first] += sums
        return vectors

    def _likeliest(self, sums: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """The likeliest label of each sum of rows, and whether it is sure."""
        rows = sums[:, -2]
        hidden = np.divide(sums[:, :-2].T, rows, order="C")
        # No product of NumPy's BLAS, whose threads would fight with those of the other workers.
        found = probabilities(self._tree, np.einsum("ij,jk->ik", self._outputs, hidden))
        margin = self._margin(rows, sums[:, -1])
        near = found >= found.max(axis=0) * np.exp(-margin)
        labels, captions = np.divmod(np.flatnonzero(near), len(sums))
        answers = np.zeros(len(sums), np.intp)
        answers[captions] = labels
        return answers, (np.bincount(captions, minlength=len(sums)) == 1) & (margin < 1)

    def _margin(self, rows: Floats, weights: Floats) -> Floats:
        """How far apart the logarithms of two labels' probabilities are when the same one leads in any computation.

        Summing n rows and multiplying by the outputs errs by at most (n + dim + 8) units, relative to the absolute
        values; that is so here and in fastText, and for each node on the ways to the two labels. Besides, of two
        labels with a probability of at least 1 / (e * labels), rounding changes the factors' logarithms by no more than
        8 units / factor, and fastText leaves out a branch that is behind the best label so far, although each further
        factor may be as large as 1 + 1e-5.
        """
        depth, labels = self._tree.depth, len(self.labels)
        logits = 4 * depth * _UNIT * (rows + self._outputs.shape[1] + 8) * weights / rows
        margin: Floats = logits + np.float32(4 * 8 * _UNIT * (np.e * labels + depth) + depth * 1e-5)
        return margin


def _sums(vectors: Floats, words: Words) -> Iterator[Floats]:
    """The sums of captions' words, some captions at a time."""
    for first in range(0, len(words.starts), _AT_ONCE):
        starts = words.starts[first : first + _AT_ONCE + 1]
        end = starts[_AT_ONCE] if len(starts) > _AT_ONCE else len(words.numbers)
        those = vectors.take(words.numbers[starts[0] : end], axis=0)
        yield np.add.reduceat(those, starts[:_AT_ONCE] - starts[0], axis=0)


def _strings(words: Sequence[bytes]) -> pa.Array:
    """An Arrow array of bytes (``pa.array`` would import pandas)."""
    offsets = np.cumsum([0, *map(len, words)]).astype(np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(words))]
    )
