"""What a table of numbers (N, K) is: a ranking, one-hot rows, or scores. Decided from the values, or refused."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.cautions import Unscorable

__all__ = ["Kind", "KindRule", "decide", "one_hot"]

Kind = Literal["labels", "ranking", "scores"]
KindRule = Literal["auto", "ranking", "scores"]


def decide(values: npt.NDArray[Any], count: int, rule: KindRule = "auto") -> Kind:
    """``values`` (N, K), ``count`` the model's classes.

    A ranking has no class twice in a row, and classes only. Scores (one-hot rows and votes among them) have a column
    per class. One-hot rows are 0 and 1 and sum to 1. Rows that order all classes fit both: they are a ranking, but for
    K = 2, where both readings are common and it is refused. Raises Unscorable there; ``rule`` decides.
    """
    if rule != "auto":
        return rule
    if values.dtype.kind == "O":
        return "ranking"  # names
    width = values.shape[1]
    ranking = _is_ranking(values, count)
    if ranking and width == count == 2:
        raise Unscorable(
            "ambiguous",
            "rows of 0 and 1 for two classes may be one-hot scores or a ranking; say which with `kind`: "
            "ranking or scores",
        )
    if not ranking and width != count and values.dtype.kind in "iu":
        raise Unscorable(
            "wrong-classes",
            f"rows of {width} numbers are not ranking (a class stands twice, or is out of range 0 to {count - 1}), "
            f"and no scores of {count} classes",
        )
    return "ranking" if ranking else "scores"


def one_hot(values: npt.NDArray[Any]) -> bool:
    """Whether each row is a single 1 among zeros."""
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _is_ranking(values: npt.NDArray[Any], count: int) -> bool:
    if values.size == 0 or values.shape[1] > count:
        return False
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        return False
    if numbers.min() < 0 or numbers.max() >= count:
        return False
    ordered = np.sort(numbers, axis=1)
    return bool((ordered[:, 1:] != ordered[:, :-1]).all())
