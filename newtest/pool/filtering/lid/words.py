"""The distinct words of many captions, and their characters, as fastText parts them.

Words end at ASCII white space or a zero byte (``Dictionary::readWord``); a line's end is a word of its own, ``</s>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.pool.filtering.lid.model_file import EOS

__all__ = ["Characters", "Words", "characters_of", "parted", "strings_of"]

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Words:
    """What captions consist of. The line's end is distinct word 0 and stands first in each caption."""

    distinct: pa.Array
    """The distinct words' bytes, in the order in which they appear."""
    numbers: npt.NDArray[np.int32]
    """For each word of each caption, in order, which of the distinct ones it is."""
    starts: Places
    """For each caption the place of its first word."""


def parted(texts: Sequence[str]) -> Words:
    """The words of one or more captions, of 2 GiB at most, in which no word is the line's end."""
    # White space at either end would be an empty word to Arrow.
    whole = f"{EOS} {f' {EOS} '.join(texts)}".replace("\0", " ").encode().rstrip()
    line = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, len(whole)], np.int32)), pa.py_buffer(whole)
    )
    words = pc.ascii_split_whitespace(line).flatten().cast(pa.binary()).dictionary_encode()
    numbers = np.frombuffer(words.indices.buffers()[1], np.int32, len(words))
    return Words(words.dictionary, numbers, np.flatnonzero(numbers == 0))


def strings_of(words: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """An Arrow array's bytes, one word after the other, and for each word its length."""
    _, offsets, data = words.buffers()
    ends = np.frombuffer(offsets, np.int32, len(words) + 1, words.offset * 4)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], np.diff(ends)


@dataclass(frozen=True)
class Characters:
    """The UTF-8 characters of "<word>" for each of many words, one word after the other."""

    data: npt.NDArray[np.uint8]
    starts: Places
    """Where in ``data`` each character begins."""
    words: npt.NDArray[np.int32]
    """The number of its word."""
    left: npt.NDArray[np.int32]
    """How many characters its word has from it on, itself included."""
    longer: tuple[Places, ...]
    """The characters of more than one byte, of more than two and so on, as far as there are any."""


def characters_of(words: pa.Array) -> Characters:
    """The characters of words of valid UTF-8."""
    spelled, lengths = strings_of(words)
    ends = np.cumsum(lengths + 2)
    starts = ends - lengths - 2
    data = np.empty(ends[-1], np.uint8)
    inside = np.ones(len(data), np.bool_)
    inside[starts] = inside[ends - 1] = False
    data[inside], data[starts], data[ends - 1] = spelled, ord("<"), ord(">")
    begins = (data & 0xC0) != 0x80
    characters = np.flatnonzero(begins)
    sizes = np.add.reduceat(begins, starts, dtype=np.int32)
    after = np.cumsum(sizes, dtype=np.int32)
    numbers = np.arange(len(characters), dtype=np.int32)
    widths = np.diff(characters, append=len(data))
    return Characters(
        data,
        characters,
        np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        np.repeat(after, sizes) - numbers,
        tuple(np.flatnonzero(widths > width) for width in range(1, int(widths.max()))),
    )
