"""Where the rows of a sheet belong in a set, and whether a column says what the set says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.answers import AnswerRule, Classes, place
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.keys import BY_POSITION, looks_like_a_file, rows_by_id, rows_by_position
from newtest.evaluation.scoring.names import is_id
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.evaluation.scoring.sheets import Sheet, as_ids

__all__ = ["Place", "find_place"]


@dataclass(frozen=True)
class Place:
    """How the rows of a sheet find their images: ``ids`` None is by position."""

    evaluated: EvaluationSet
    mapping: ClassMap | None
    key: str
    ids: npt.NDArray[np.str_] | None = field(repr=False)
    at: npt.NDArray[np.int64] | None = field(repr=False)
    """The row of each image; None where they do not fit the set, which the scoring says."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The model's classes in their order."""
        return self.evaluated.classes if self.mapping is None else self.mapping.outputs

    @property
    def classes(self) -> Classes:
        """What an answer may mean."""
        return Classes(self.outputs, {} if self.mapping is None else self.mapping.extra)

    def equals(self, values: npt.NDArray[Any]) -> bool:
        """Whether a column is the set's class for every image."""
        return any(bool(agree.all()) for agree in self._readings(values))

    def differing(self, values: npt.NDArray[Any]) -> int:
        """For how many images a column differs from the set's classes; 0 where it cannot be compared."""
        return min((int((~agree).sum()) for agree in self._readings(values)), default=0)

    def _readings(self, values: npt.NDArray[Any]) -> list[npt.NDArray[np.bool_]]:
        """Where a column agrees with the set's classes, (n,), under each meaning that its cells allow."""
        if self.at is None or values.ndim > 1 or values.dtype.kind == "b":
            return []
        found = []
        rules: tuple[AnswerRule, ...] = ("name", "number")
        for rule in rules:
            for mapping in (None,) if self.mapping is None else (None, self.mapping):
                classes = Classes(self.evaluated.classes) if mapping is None else self.classes
                agree = self._agree(values[self.at], classes, mapping, rule)
                found += [] if agree is None else [agree]
        return found

    def _agree(
        self, cells: npt.NDArray[Any], classes: Classes, mapping: ClassMap | None, rule: AnswerRule
    ) -> npt.NDArray[np.bool_] | None:
        try:
            at = place(cells, classes, rule).at
        except Unscorable:
            return None
        return self.evaluated.agree(at if mapping is None else mapping.classes(at))


def find_place(
    sheet: Sheet, evaluated: EvaluationSet, mapping: ClassMap | None
) -> tuple[Place, dict[str, npt.NDArray[Any]]]:
    """The key of a sheet, and its columns without the names of images.

    An index is a key, and so is a column with a name for ids, and any column of text whose cells are the set's ids; the
    first that fits the set is taken. Rows are taken by position only where there is none of these, and no column that
    names pictures of another set.
    """
    rest = dict(sheet.columns)
    known = {
        name: as_ids(values, f"{sheet.source}: {name}")
        for name, values in rest.items()
        if is_id(name) and values.ndim == 1
    }
    named = {**sheet.ids, **known}
    texts = {
        name: as_ids(values, name)
        for name, values in rest.items()
        if name not in named and values.ndim == 1 and values.dtype.kind == "O" and evaluated.has_ids
        if len(set(values.tolist())) == len(values)  # names of images do not repeat; classes do
    }
    without = {name: values for name, values in rest.items() if name not in known}
    for name, ids in [*named.items(), *texts.items()]:
        try:
            rows = rows_by_id(evaluated, ids)
        except Unscorable:
            continue
        said = f"{name}, {rows.how}" if rows.how else name
        others = {column: values for column, values in without.items() if column != name}
        return Place(evaluated, mapping, said, ids, rows.at), others
    named |= {name: ids for name, ids in texts.items() if all(map(looks_like_a_file, ids.tolist()))}
    if named:
        name, ids = next(iter(named.items()))
        return Place(evaluated, mapping, name, ids, None), without
    try:
        at = rows_by_position(evaluated, len(sheet)).at
    except Unscorable:
        at = None
    return Place(evaluated, mapping, BY_POSITION, None, at), rest
