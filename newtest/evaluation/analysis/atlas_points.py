"""A board as a matrix: models and configurations by sets, with what the counts say of the luck of the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.analysis.line_noise import Noise, points_per_unit
from newtest.evaluation.analysis.scales import Scale
from newtest.evaluation.scoring.board import Board

__all__ = ["Mask", "Points", "points_of"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Points:
    """``models`` (M rows), ``accuracy`` and ``images`` (M by sets; NaN where nothing is known)."""

    models: pd.DataFrame = field(repr=False)
    accuracy: pd.DataFrame = field(repr=False)
    images: pd.DataFrame = field(repr=False)

    def noise(self, name: str, rows: Mask, scale: Scale) -> Noise:
        """Of some models on a set: Binomial(n, k/n) each by itself, 0 where n is not known."""
        accuracy = self.accuracy[name].to_numpy(dtype=np.float64)[rows]
        n = self.images[name].to_numpy(dtype=np.float64)[rows]
        known = n > 0
        n = np.where(known, n, 1.0)
        share = (accuracy / 100 * n + 0.5) / (n + 1)
        variance = np.where(known, 1e4 * share * (1 - share) / n / points_per_unit(accuracy, scale) ** 2, 0.0)
        return Noise(variance, known)


def points_of(board: Board, means: Mapping[str, str], images: Mapping[str, int]) -> Points:
    """The matrix of a board. Raises EvaluationError for a mean of nothing or of a set that is there."""
    table = board.table
    keys = ["model", "config"]
    codes = pd.MultiIndex.from_frame(table[keys])
    about = table[[*keys, "data", "group", "source"]].groupby(keys, sort=False).first()
    # The first source that says something about a model says it for all.
    for name in ("data", "group"):
        said = table[table[name] != ""].drop_duplicates(keys).set_index(keys)[name]
        about[name] = said.reindex(about.index).fillna("")
    wide = {
        name: pd.Series(table[name].to_numpy(dtype=np.float64, na_value=np.nan), index=codes)
        for name in ("accuracy", "n")
    }
    order = list(dict.fromkeys(table["set"]))
    rows, columns = about.index.get_indexer(codes), pd.Index(order).get_indexer(table["set"])
    found = {}
    for name, values in wide.items():
        matrix = np.full((len(about), len(order)), np.nan)
        matrix[rows, columns] = values.to_numpy()
        found[name] = pd.DataFrame(matrix, columns=order)
    for name, count in images.items():
        if name not in order:
            raise EvaluationError(
                f"no set {name!r} whose images are given; there are {', '.join(order[:12])}"
            )
        found["n"][name] = found["n"][name].fillna(float(count))
    for name, pattern in means.items():
        found["accuracy"][name], found["n"][name] = _mean(name, pattern, found["accuracy"], order)
    return Points(about.reset_index(), found["accuracy"], found["n"])


def _mean(name: str, pattern: str, accuracy: pd.DataFrame, sets: list[str]) -> tuple[pd.Series, float]:
    parts = [one for one in sets if fnmatchcase(one, pattern)]
    if name in accuracy.columns:
        raise EvaluationError(f"a mean is called {name!r}, and so is a set; give it another name")
    if not parts:
        raise EvaluationError(f"no set fits {pattern!r}, whose mean {name!r} is to be")
    return accuracy[parts].mean(axis=1, skipna=False), np.nan
