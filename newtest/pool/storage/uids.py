"""Sample ids: 128 bits, written as 32 hex digits in tables and as two unsigned 64-bit words in subsets.

A pool without a ``uid`` column gets one from what a sample is: the first 128 bits of blake2b over its URL (or key)
and its caption, so the id survives another partitioning of the same pool.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.engines.base import cores
from newtest.errors import PoolError

__all__ = [
    "UID",
    "Uids",
    "canonical",
    "canonical_column",
    "concatenated",
    "derived",
    "from_arrow",
    "ordered",
    "ordered_in_passes",
    "to_hex",
]

UID = np.dtype([("f0", "<u8"), ("f1", "<u8")])
"""numpy's name for it is "u8,u8": the high and the low word, as DataComp stores them."""

_CHANGED = "the pool's uids changed while they were read; run again when nothing else writes there"
_PAIR = np.dtype("V16")
"""The two words as one thing to copy: numpy copies records field by field."""

Uids = npt.NDArray[np.void]
Rows = npt.NDArray[np.bool_] | npt.NDArray[np.intp]


def from_arrow(column: pa.Array, where: str = "uid", rows: Rows | None = None) -> Uids:
    """Shape (n,) of dtype ``UID`` from a string column of 32 hex digits each; raises PoolError for anything else.

    With ``rows``, a mask or indices, only theirs: every row must hold 32 characters, theirs must be hex digits.
    """
    if column.null_count:
        raise PoolError(f"{where}: {column.null_count} rows have no uid")
    if column.type not in (pa.string(), pa.binary()):
        column = pc.cast(column, pa.large_binary())
    if not len(column):
        return np.empty(0, UID)
    kind = np.dtype(np.int64 if column.type == pa.large_binary() else np.int32)
    offsets = np.frombuffer(column.buffers()[1], kind, len(column) + 1, column.offset * kind.itemsize)
    if not (offsets[1:] - offsets[:-1] == 32).all():
        raise PoolError(f"{where}: a uid is 32 hex digits, and this column holds something else")
    digits = np.frombuffer(column.buffers()[2], "V32", len(column), int(offsets[0]))
    if rows is not None:
        digits = digits.take(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
    try:
        words = np.frombuffer(binascii.unhexlify(digits.view(np.uint8).data), ">u8")
    except (binascii.Error, ValueError) as error:
        raise PoolError(f"{where}: a uid is 32 hex digits, and this column holds something else") from error
    return words.astype("<u8").view(UID)


def canonical(value: object) -> str | None:
    """A uid in any form as 32 lower-case hex digits: hex digits of either case, a UUID with dashes, a whole number
    below 2**128, 16 bytes; None for anything else.
    """
    if isinstance(value, bytes):
        if len(value) == 16:
            return value.hex()
        value = value.decode("latin-1")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:032x}" if 0 <= value < 1 << 128 else None
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, Decimal):
        return canonical(int(value)) if value == value.to_integral_value() else None
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
            return text.replace("-", "")
    return None


def canonical_column(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray | pa.Array:
    """A column of uids in any form as one of 32 hex digits each.

    Text whose first value is in that form already is passed on as it is: ``from_arrow`` looks at every row. Raises
    PoolError for a value that is not a uid.
    """
    first = next((value for value in column[:1].to_pylist()), None)
    if column.type in (pa.string(), pa.large_string()) and (first is None or canonical(first) == first):
        lengths = pc.min_max(pc.binary_length(column))
        if lengths["min"].as_py() in (32, None) and lengths["max"].as_py() in (32, None):
            return column  # else others are written in another form: a UUID with dashes
    values = column.to_pylist()
    made = [canonical(value) for value in values]
    for row, (value, uid) in enumerate(zip(values, made, strict=True)):
        if uid is None and value is not None:
            raise PoolError(
                f"{where}: row {row} has the uid {value!r:.60}: not 32 hex digits, a UUID, a whole number or 16 bytes"
            )
    return pa.array(made, pa.string())


def to_hex(uids: Uids) -> pa.Array:
    """The string column of 32 lower-case hex digits each."""
    words = np.ascontiguousarray(uids).view("<u8").astype(">u8").tobytes()
    digits = binascii.hexlify(words)
    offsets = np.arange(len(uids) + 1, dtype=np.int32) * 32
    if len(uids) * 32 > np.iinfo(np.int32).max:
        big = np.arange(len(uids) + 1, dtype=np.int64) * 32
        return pa.LargeStringArray.from_buffers(len(uids), pa.py_buffer(big), pa.py_buffer(digits))
    return pa.StringArray.from_buffers(len(uids), pa.py_buffer(offsets), pa.py_buffer(digits))


def derived(names: Iterable[str | None], captions: Iterable[str | None]) -> Uids:
    """Ids of samples that have none: blake2b-128 of the URL or key and the caption, with a separator between."""
    digests = [
        hashlib.blake2b(
            f"{name or ''}\x1f{text or ''}".encode("utf-8", "surrogatepass"), digest_size=16
        ).digest()
        for name, text in zip(names, captions, strict=True)
    ]
    return np.frombuffer(b"".join(digests), ">u8").astype("<u8").view(UID)


def ordered(parts: Sequence[Uids]) -> Uids:
    """All ids of the parts, copies included, sorted: shape (n,), a new array.

    They are dealt out by their first byte, and each of the 256 spans is sorted by the high word, its few ties by the
    low one. Spans fit the processor's cache and are sorted side by side, in a tenth of the time of a sort of pairs.
    """
    counts = [np.bincount(_first_bytes(part), minlength=256) for part in parts]
    sizes = np.array(counts, np.int64).reshape(-1, 256)  # of each part's share of each span
    spans = sizes.sum(axis=0)
    ends = np.cumsum(spans)
    starts = ends - spans + np.cumsum(sizes, axis=0) - sizes
    words = np.empty((int(ends[-1]), 2), "<u8")
    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(partial(_deal, words), parts, starts, sizes))
    return _sorted(words, ends)


def ordered_in_passes(parts: Callable[[], Iterable[Uids]]) -> Uids:
    """The same of parts that are asked for twice and not held: nothing but the result is as large as all of them.

    Raises PoolError where they are not the same both times.
    """
    spans = np.zeros(256, np.int64)
    for part in parts():
        spans += np.bincount(_first_bytes(part), minlength=256)
    ends = np.cumsum(spans)
    words, starts = np.empty((int(ends[-1]), 2), "<u8"), ends - spans
    for part in parts():
        sizes = np.bincount(_first_bytes(part), minlength=256)
        if (starts + sizes > ends).any():
            raise PoolError(_CHANGED)
        _deal(words, part, starts, sizes)
        starts += sizes
    if not np.array_equal(starts, ends):
        raise PoolError(_CHANGED)
    return _sorted(words, ends)


def _sorted(words: npt.NDArray[np.uint64], ends: npt.NDArray[np.int64]) -> Uids:
    """Sort what was dealt out, (n, 2), each span by itself; ``ends`` (256,)."""
    with ThreadPoolExecutor(cores()) as threads:
        list(threads.map(_sort, (span for span in np.split(words, ends[:-1]) if len(span) > 1)))
    return words.view(UID)[:, 0]


def _first_bytes(uids: Uids) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(uids).view(np.uint8)[7 :: UID.itemsize]  # words are little-endian


def _deal(
    words: npt.NDArray[np.uint64], uids: Uids, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> None:
    """Put a part's ids into their spans: ``sizes`` of each first byte, from ``starts`` on, shape (256,) both."""
    by_first = np.argsort(_first_bytes(uids), kind="stable")
    places = np.arange(len(uids)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    pairs = np.ascontiguousarray(uids).view(_PAIR)
    words.view(_PAIR)[places, 0] = pairs[by_first]


def _sort(words: npt.NDArray[np.uint64]) -> None:
    """Sort pairs of one first byte in place, shape (n, 2)."""
    high = np.ascontiguousarray(words[:, 0])
    permutation = _by_digits(high)
    sorted_ = high[permutation]
    if (sorted_[1:] <= sorted_[:-1]).any():  # ties, or too few digits
        permutation = np.lexsort((words[:, 1], high))
    words[:] = words.take(permutation, axis=0)


def _by_digits(high: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """The order of words, shape (n,), by the 16-bit digits after their first byte: so many that few hashes share all.

    numpy sorts such digits by counting, in a third of the time of a sort by comparisons. The caller sees whether the
    order is right: ids of one's own making may need more digits.
    """
    digits = 2 if len(high) < 1 << 14 else 3
    permutation = np.arange(len(high))
    for digit in range(digits):
        shift = np.uint64(56 - 16 * (digits - digit))
        permutation = permutation[np.argsort((high[permutation] >> shift).astype(np.uint16), kind="stable")]
    return permutation


def concatenated(parts: Iterable[Uids]) -> Uids:
    """One array from several; none at all gives an empty one."""
    # As plain words: numpy copies records field by field.
    return np.concatenate(
        [np.empty(0, "<u8"), *(np.ascontiguousarray(part).view("<u8") for part in parts)]
    ).view(UID)
