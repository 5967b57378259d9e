"""Read a compressed fastText classifier (.ftz) into NumPy arrays.

The layout is that of fastText's sources (``FastText::loadModel``, ``Args::load``, ``Dictionary::load``,
``QuantMatrix::load``, ``ProductQuantizer::load``): little-endian numbers, one after the other, without padding. Only
the shape of lid.176.ftz is read; with any other, fastText itself is to be asked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.files import bytes_of

__all__ = ["EOS", "LABEL", "Floats", "Model", "UnknownShape", "read_model"]

Floats = npt.NDArray[np.float32]

EOS = "</s>"
"""The word that ends every line."""

LABEL = "__label__"
"""How labels begin."""

_MAGIC, _VERSION = 793712314, 12
_HIERARCHICAL_SOFTMAX, _SUPERVISED = 1, 3
_ENTRY = struct.Struct("<qb")
_CENTROIDS = 256
_MOST_BUCKETS = 1 << 24
_LARGE = 1e6


class UnknownShape(Exception):
    """The file is not a compressed fastText classifier of the shape that is read here."""


@dataclass(frozen=True)
class Model:
    """A classifier's arrays."""

    words: tuple[bytes, ...]
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    buckets: int
    shortest: int
    longest: int
    """The characters of an n-gram, at least and at most."""
    ngrams: npt.NDArray[np.int32]
    """Shape (kept n-grams, 2): an n-gram's hash modulo ``buckets``, and its row of ``inputs``."""
    inputs: Floats
    """Shape (words and kept n-grams, dim)."""
    outputs: Floats
    """Shape (labels - 1, dim): the inner nodes of the labels' tree."""


def read_model(path: Path) -> Model:
    """The model of a file, its input matrix dequantised. Raises UnknownShape, OSError."""
    try:
        return _model(_Bytes(bytes_of(path)))
    except (struct.error, ValueError) as error:  # it ends too early, or a name is not UTF-8
        raise UnknownShape(f"{path}: {error}") from error


class _Bytes:
    """A file's bytes, read from front to end; nothing is read, or given memory, beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return found

    def array(self, kind: str, *shape: int) -> npt.NDArray[Any]:
        size = np.dtype(kind).itemsize
        for length in shape:
            size *= length
        _require(min(shape) > 0 and size <= len(self._data) - self._at, "an array is empty or ends too late")
        found = np.frombuffer(self._data[self._at : self._at + size], kind).reshape(shape)
        self._at += size
        return found

    def entries(self, number: int) -> list[tuple[bytes, int, int]]:
        """The dictionary's next entries: string, count, and kind, 0 for a word and 1 for a label."""
        data, at = self._data, self._at
        found = []
        for _ in range(number):
            end = data.index(b"\0", at)
            found.append((data[at:end], *_ENTRY.unpack_from(data, end + 1)))
            at = end + 1 + _ENTRY.size
        self._at = at
        return found

    @property
    def ended(self) -> bool:
        return self._at == len(self._data)


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise UnknownShape(reason)


def _model(file: _Bytes) -> Model:
    _require(file.numbers("ii") == (_MAGIC, _VERSION), "not version 12 of fastText's format")
    dim, _, _, _, _, word_ngrams, loss, kind, buckets, shortest, longest, _, _ = file.numbers("12id")
    _require(
        (loss, kind) == (_HIERARCHICAL_SOFTMAX, _SUPERVISED), "no classifier with a hierarchical softmax"
    )
    # A single character at a word's edge is not an n-gram; from two characters on there is no such rule to follow.
    _require(2 <= shortest <= longest <= 8 and word_ngrams == 1, "n-grams of other lengths, or of words")
    _require(0 < buckets <= _MOST_BUCKETS, "too many buckets")
    entries, words, labels, _, kept = file.numbers("iiiqq")
    _require(words > 0 and labels > 1 and entries == words + labels, "no words or no labels")
    names, counts = _entries(file, words, labels)
    ngrams = file.array("<i4", kept, 2).copy()
    hashes, rows = ngrams.T
    _require(hashes.min() >= 0 and hashes.max() < buckets, "n-grams without a bucket")
    _require(np.diff(np.sort(hashes)).all(), "n-grams that share a bucket")
    _require(rows.min() >= 0 and rows.max() < kept, "n-grams without a row")
    rows += words
    inputs = _quantised(file, words + kept, dim)
    _require(file.numbers("?qq") == (False, labels, dim), "outputs of another shape")
    outputs = file.array("<f4", labels, dim)[: labels - 1]  # the last row belongs to no node
    _require(file.ended, "something behind the outputs")
    _require(
        all(np.abs(matrix).max() < _LARGE for matrix in (inputs, outputs)), "numbers that were never trained"
    )
    return Model(
        words=names[:words],
        labels=tuple(name.decode().removeprefix(LABEL) for name in names[words:]),
        label_counts=counts[words:],
        buckets=buckets,
        shortest=shortest,
        longest=longest,
        ngrams=ngrams,
        inputs=inputs,
        outputs=outputs,
    )


def _entries(file: _Bytes, words: int, labels: int) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """The dictionary's strings and counts: the words, the line's end among them, and then the labels."""
    names, counts, kinds = zip(*file.entries(words + labels), strict=True)
    _require(kinds == (0,) * words + (1,) * labels, "labels among the words")
    _require(len(set(names)) == len(names) and EOS.encode() in names[:words], "no line ends, or equal words")
    label = LABEL.encode()
    like_labels = tuple(name for name in names if name.startswith(label))
    _require(like_labels == names[words:], "words that look like labels, or the reverse")
    _require(min(counts) >= 0 and sum(counts) < 10**15, "counts out of range")
    return names, counts


def _quantised(file: _Bytes, rows: int, dim: int) -> Floats:
    """A product-quantised matrix with quantised norms, shape (rows, dim)."""
    _require(file.numbers("??qq") == (True, True, rows, dim), "inputs of another shape")
    (size,) = file.numbers("i")
    _require(size > 0 and size % rows == 0, "codes of another shape")
    codes = file.array("u1", rows, size // rows)
    centroids = _centroids(file, dim, size // rows)
    norms = file.array("u1", rows)
    (norm,) = _centroids(file, 1, 1)
    parts = [part[codes[:, number]] for number, part in enumerate(centroids)]
    with np.errstate(all="ignore"):  # whoever asks refuses what is not finite
        matrix: Floats = np.concatenate(parts, axis=1) * norm[norms]
    return matrix


def _centroids(file: _Bytes, dim: int, parts: int) -> Floats:
    """Shape (parts, 256, dim / parts)."""
    _require(dim > 0 and dim % parts == 0, "parts of unequal size")
    _require(file.numbers("4i") == (dim, parts, dim // parts, dim // parts), "centroids of another shape")
    centroids: Floats = file.array("<f4", parts, _CENTROIDS, dim // parts)
    return centroids
