"""Whether accuracies are percentages or fractions; where they could be both, they are refused or named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution

__all__ = ["Unit", "percent", "refuse_two_units", "stray_fractions", "unit_of"]

Unit = Literal["auto", "percent", "fraction"]


def unit_of(unit: Unit, source: str, *, signed: bool) -> Unit:
    if signed and unit == "fraction":
        raise EvaluationError(f"{source}: cells have percent signs; use `unit` percent")
    return "percent" if signed else unit


def refuse_two_units(
    values: npt.NDArray[np.float64], table: pd.DataFrame, source: str, signed: Sequence[str]
) -> None:
    """Raises EvaluationError for a set without an accuracy above 1 among sets in percent: it may hold fractions."""
    highest = pd.Series(values, index=table["set"].to_numpy()).groupby(level=0).max()
    small = highest[(highest <= 1) & (highest > 0)].drop(list(signed), errors="ignore")
    if len(small) and (signed or (highest > 1).any()):
        raise EvaluationError(
            f"{source}: set {small.index[0]}: no accuracy is above 1 while others are in percent, so they may be "
            "fractions; write percentages, or say `unit` percent if they are"
        )


def stray_fractions(values: npt.NDArray[np.float64], table: pd.DataFrame, source: str) -> list[Caution]:
    """A caution for a set where one accuracy is 1 at most, and no other below 10."""
    cautions = []
    series = pd.Series(values, index=table["model"].to_numpy())
    for name in table["set"].unique():
        known = series[(table["set"] == name).to_numpy()].dropna()
        small = known[(known <= 1) & (known > 0)]
        if len(small) and len(known) > 2 * len(small) and known.drop(small.index).min() >= 10:
            message = (
                f"set {name}: {small.iloc[0]:g} of {small.index[0]!r} is far below the others: a fraction among "
                "percentages? read as percent"
            )
            cautions.append(Caution("fractions", source, message, str(small.index[0])))
    return cautions


def percent(
    values: npt.NDArray[np.float64], table: pd.DataFrame, source: str, unit: Unit
) -> tuple[npt.NDArray[np.float64], Sequence[Caution]]:
    sets = table["set"]
    known = values[~np.isnan(values)]
    if known.size and (known.min() < 0 or known.max() > 100):
        at = int(np.nanargmin(values) if known.min() < 0 else np.nanargmax(values))
        raise EvaluationError(
            f"{source}: {table['model'].iloc[at]} on {sets.iloc[at]}: an accuracy of {values[at]:g} cannot be; "
            "percentages lie in [0, 100] (`sets` chooses the columns that are sets)"
        )
    if unit == "fraction" or (unit == "auto" and known.size and known.max() <= 1):
        if known.size and known.max() > 1:
            raise EvaluationError(f"{source}: {known.max():g} is not a fraction; use `unit` percent")
        message = (
            "no accuracy is above 1: read as fractions and multiplied by 100 "
            "(`unit` percent if they are percentages)"
        )
        return values * 100, [] if unit == "fraction" else [Caution("fractions", source, message)]
    return values, []
