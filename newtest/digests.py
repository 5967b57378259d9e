"""The hash of a table's content: equal rows give equal hashes, whatever wrote or read them."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["frame_digest"]


def frame_digest(frame: pd.DataFrame) -> str:
    """64 hex digits of the columns' names and values in the given order; sort rows first where order means
    nothing.

    Whole numbers and booleans enter as little-endian 64-bit integers, floats as doubles, everything else as
    UTF-8 text with its lengths (-1 where it is missing), so that no two different tables of the same columns
    give the same bytes.
    """
    digest = hashlib.sha256()
    for column in frame.columns:
        values = frame[column]
        digest.update(f"{column}:{len(values)}:".encode())
        if pd.api.types.is_integer_dtype(values) or pd.api.types.is_bool_dtype(values):
            digest.update(b"i" + values.to_numpy().astype("<i8").tobytes())
        elif pd.api.types.is_float_dtype(values):
            digest.update(b"f" + values.to_numpy().astype("<f8").tobytes())
        else:
            digest.update(b"t")
            for piece in _text(values):
                digest.update(piece)
    return digest.hexdigest()


def _text(values: pd.Series[str]) -> tuple[bytes, memoryview]:
    """The lengths of the texts, and the texts without anything between."""
    texts = pa.array(values, type=pa.large_string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    lengths = pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    filled = pc.fill_null(texts, "")
    _, ends, data = filled.buffers()
    offsets = np.frombuffer(ends, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
    return lengths, memoryview(data or b"")[offsets[0] : offsets[-1]]
