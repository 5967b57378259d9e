"""The votes in a table of images, as whole numbers that can be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cells import MOST_EXACT

__all__ = ["VOTE_COLUMNS", "votes_of"]

VOTE_COLUMNS = ("num_selected", "num_shown")
_LONGEST = 40
"""Characters of a number; with more, pandas raises what it should coerce."""


def votes_of(images: pd.DataFrame, source: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """``num_selected`` and ``num_shown``, (N,) each; an empty cell is 0.

    Raises EvaluationError with the first cell that is not a whole number of votes.
    """
    selected, shown = (_whole(images[name], f"{source}: column {name}") for name in VOTE_COLUMNS)
    return selected, shown


def _whole(column: pd.Series, where: str) -> npt.NDArray[np.int64]:
    texts = column.astype(str).str.strip()
    empty = column.isna() | texts.eq("")
    readable = texts.where(~empty & (texts.str.len() <= _LONGEST))
    values = pd.to_numeric(readable, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    whole = (values >= 0) & (values <= MOST_EXACT) & (values == np.floor(values))
    if len(wrong := np.flatnonzero(~whole & ~empty.to_numpy(dtype=bool))):
        at = int(wrong[0])
        raise EvaluationError(
            f"{where}, row {at + 1}: {str(column.iloc[at])[:80]!r} is not a number of votes"
        )
    return np.where(whole, values, 0).astype(np.int64)
