"""Accuracies as people write them: percent signs and missing cells are read, other notations refused by their cell.

"76,1" may be a decimal or a thousand, "1.234.567" is not a float, and a date is not an accuracy. Whatever could
be read in two ways stops here with its cell named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.names import plain

__all__ = ["MOST_EXACT", "Cells", "no_set", "read_cells"]

MOST_EXACT = 1 << 53
"""Whole numbers up to here are exact as float64, which columns are read as."""
_MISSING = {
    "", "-", "--", "---", "\u2013", "\u2014", "\u2212", "n/a", "n.a.", "n.a", "na", "#n/a", "nan", "none", "null",
    "nil", "<na>", "missing", "unknown", ".", "..", "...", "?", "tbd",
}  # fmt: skip
_PERCENT = re.compile(r"(.*?)\s*[%\uff05]")
_NUMBER = re.compile(r"[+\-\u2212]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_OTHER_NUMBER = re.compile(r"[+\-\u2212]?\d+([.,' _\u00a0\u2009\u202f]\d+)+")
_TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{1,2}:\d{2}.*")
_NO_SETS = re.compile(
    r"unnamed_\d+|index|level_\d+|rank|rank_.*|.*_rank|(num_|n_|number_of_|trainable_)?(params?|parameters)(_.*)?|"
    r"param_count|model_size.*|([gmt]?flops|flop|[gmt]?macs|mult_adds|madds)(_.*)?|"
    r"(img|image|input)_(size|res|resolution)|resolution|crop_.*|year|month|day|date|created|updated|timestamp|"
    r"(.+_)?(time|runtime|latency|throughput|speed)(_.*)?|.*_per_(sec|second|s)(_.*)?|fps|epochs?|lr|learning_rate|"
    r"batch_size|seed|n|k|count|size|depth|width|height|layers|dim|dims|id|memory|memory_.*|vram.*|energy.*|gpu_.*|"
    r".*_(err|error|std|stderr|se|sem|ci|diff|count|hours|hrs)"
)


@dataclass(frozen=True)
class Cells:
    """``values`` (N,), NaN where a cell is empty or no number; ``odd``: the rows of cells that are not numbers."""

    values: npt.NDArray[np.float64]
    odd: npt.NDArray[np.bool_]
    percent: bool = False
    """A percent sign stood in one of them."""

    @property
    def are_numbers(self) -> bool:
        """Whether the column holds numbers, with a stray word at most in half of its cells."""
        known = int((~np.isnan(self.values)).sum())
        return known > 0 and known >= int(self.odd.sum())


def no_set(name: str) -> bool:
    """Whether a column of a wide table is, by its name, no set: an index, a size, an error."""
    return _NO_SETS.fullmatch(plain(name)) is not None


def read_cells(column: pd.Series, where: str, rows: Sequence[object]) -> Cells:
    """Numbers of a column; ``rows`` names them for errors.

    Raises EvaluationError, with the cell, for dates, decimal commas, thousands separators, and fractions among
    percentages of one column.
    """
    if pd.api.types.is_bool_dtype(column):
        return Cells(np.full(len(column), np.nan), np.ones(len(column), dtype=bool))
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise _refused(where, rows[0], column.iloc[0], "a time is not an accuracy")
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return Cells(np.where(np.isinf(values), np.nan, values), np.isinf(values))
    texts = ["" if cell is None or pd.isna(cell) else str(cell).strip() for cell in column]
    values, odd = np.full(len(texts), np.nan), np.zeros(len(texts), dtype=bool)
    signed = np.zeros(len(texts), dtype=bool)
    other: list[int] = []
    for at, text in enumerate(texts):
        if text.casefold() in _MISSING:
            continue
        sign = _PERCENT.fullmatch(text)
        bare = sign[1] if sign else text
        signed[at] = sign is not None
        if _NUMBER.fullmatch(bare):
            values[at] = float(bare.replace("\u2212", "-"))
        else:
            odd[at] = True
            other += [at] if _OTHER_NUMBER.fullmatch(bare) or _TIME.fullmatch(bare) else []
    found = Cells(values, odd, bool(signed.any()))
    if other and len(other) + int((~np.isnan(values)).sum()) >= int(odd.sum()):
        at = other[0]
        why = (
            "a time is not an accuracy"
            if _TIME.fullmatch(texts[at])
            else "a comma or another separator may be a decimal or a thousand; write 1234.5"
        )
        raise _refused(where, rows[at], texts[at], why)
    mixed = np.flatnonzero(~signed & ~np.isnan(values) & (np.abs(values) <= 1) & (values != 0))
    if found.percent and len(mixed):
        at = int(mixed[0])
        raise _refused(where, rows[at], texts[at], "others have a percent sign, and this may be a fraction")
    return found


def _refused(where: str, row: object, cell: object, why: str) -> EvaluationError:
    return EvaluationError(f"{where}: the cell of {str(row)!r} is {str(cell)!r}: {why}")
