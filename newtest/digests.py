"""The hash of a table's content: equal rows give equal hashes, whatever wrote or read them."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

__all__ = ["frame_digest"]


def frame_digest(frame: pd.DataFrame) -> str:
    """64 hex digits of the columns' names and values in the given order; sort rows first where order means
    nothing.

    Whole numbers and booleans enter as little-endian 64-bit integers, everything else as JSON-free text with
    its length, so that no two different columns give the same bytes. Missing text is told apart from empty
    text.
    """
    digest = hashlib.sha256()
    for column in frame.columns:
        values = frame[column]
        digest.update(f"{column}:{len(values)}:".encode())
        if pd.api.types.is_integer_dtype(values) or pd.api.types.is_bool_dtype(values):
            digest.update(b"i" + values.to_numpy().astype("<i8").tobytes())
            continue
        cells = [
            "\x00" if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)
        ]
        digest.update(b"t" + np.fromiter(map(len, cells), dtype="<i8", count=len(cells)).tobytes())
        digest.update("".join(cells).encode())
    return digest.hexdigest()
