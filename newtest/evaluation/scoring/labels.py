"""Several valid labels for the images of a set, from a file beside it: ReaL's JSON as it is, tables, image -> classes.

ReaL (Beyer et al. 2020) is a list of 50,000 lists of class numbers without names: the entry k is that of the image
whose file is number k + 1, whatever order the set has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.answers import AnswerRule, Classes, place
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.keys import rows_by_id
from newtest.evaluation.scoring.set_forms import CLASS_COLUMNS, file_frame
from newtest.evaluation.scoring.sets import EvaluationSet, id_column, make_set
from newtest.reading.separated import it_has

__all__ = ["read_labels", "with_labels"]

Ints = npt.NDArray[np.int64]
_AGREES = 0.5
"""Labels in the right order hold the set's own class for most images; in a wrong order for few."""


def with_labels(
    evaluated: EvaluationSet, path: Path, *, outputs: tuple[str, ...] | None = None, rule: AnswerRule = "auto"
) -> tuple[EvaluationSet, str]:
    """The set with the labels of ``path``, any of which is right, and how its rows were found, in words.

    The set's own class stays as ``given``, and stands first where it is among the labels. Images with an empty list are
    left out, and counted in ``unlabelled``; predictions in the order of the whole set still fit. Numbers mean
    ``outputs`` (the classes in the order of a model's outputs; else the set's). Rows without names are taken by the
    number in the images' names, or in the order of the set, whichever agrees with the set's own classes.
    Raises EvaluationError where neither does, where an image has no row, and for labels that are not classes.
    """
    if evaluated.also is not None or evaluated.given is not None:
        raise EvaluationError(f"{evaluated.source}: the set has several labels per image already")
    lists, ids = read_labels(path)
    names = outputs or evaluated.classes
    placed = _placed(lists, names, path, rule)
    if ids is None:
        at, how = _by_number(evaluated, placed, names, path)
    else:
        try:
            found = rows_by_id(evaluated, ids)
        except Unscorable as error:
            raise EvaluationError(f"{path}: {error}") from error
        at, how = found.at, f"by image id{', ' + found.how if found.how else ''}"
    return _joined(evaluated, [placed[row] for row in at], names, path), how


def read_labels(path: Path) -> tuple[list[list[Any]], npt.NDArray[np.str_] | None]:
    """The labels of each row, and the names of the rows where there are any."""
    frame = file_frame(path)
    named = id_column(frame)
    column = next((name for name in CLASS_COLUMNS if name in frame.columns), None)
    if column is None:
        raise EvaluationError(
            f"{path}: no class column; one of {', '.join(CLASS_COLUMNS)} is needed; {it_has(frame.columns)}"
        )
    lists = [_as_list(cell) for cell in frame[column]]
    if named is None:
        return lists, None
    keys = frame[named].astype(str)
    grouped: dict[str, list[Any]] = {}
    for key, cell in zip(keys, lists, strict=True):  # a row per image, or a row per image and label
        grouped.setdefault(key, []).extend(cell)
    return list(grouped.values()), np.array(list(grouped), dtype=np.str_)


def _as_list(cell: Any) -> list[Any]:
    if isinstance(cell, list | tuple | np.ndarray):
        return list(cell)
    return [] if cell is None or cell == "" or pd.isna(cell) else [cell]


def _placed(lists: list[list[Any]], names: tuple[str, ...], path: Path, rule: AnswerRule) -> list[list[int]]:
    """Positions in ``names``; a label that a list repeats counts once."""
    flat = [label for one in lists for label in one]
    if not flat:
        raise EvaluationError(f"{path}: no image has a label")
    try:
        at = iter(place(np.array(flat, dtype=object), Classes(names), rule).at.tolist())
    except Unscorable as error:
        raise EvaluationError(f"{path}: {error}") from error
    return [list(dict.fromkeys(next(at) for _ in one)) for one in lists]


def _by_number(
    evaluated: EvaluationSet, placed: list[list[int]], names: tuple[str, ...], path: Path
) -> tuple[Ints, str]:
    """The row of each image: by the number in its name, or by position; the order that its own classes agree with."""
    orders = _orders(evaluated, len(placed))
    position = {name: at for at, name in enumerate(names)}
    own = np.array([position.get(evaluated.classes[label], -1) for label in evaluated.labels], dtype=np.int64)
    agree = {how: _agreement(own, placed, at) for how, at in orders.items()}
    best = max(agree, key=lambda how: agree[how], default=None)
    if best is None:
        raise EvaluationError(
            f"{path}: {len(placed)} rows without names for the {len(evaluated)} images of {evaluated.name}; "
            "give image -> classes"
        )
    if agree[best] < _AGREES:
        raise EvaluationError(
            f"{path}: its rows have no names, and in no order do they hold the classes of {evaluated.name} "
            f"(at best for {100 * agree[best]:.1f} % of the images, {best}); give image -> classes"
        )
    return orders[best], f"{best}; the set's own class is among them for {100 * agree[best]:.1f} %"


def _orders(evaluated: EvaluationSet, rows: int) -> dict[str, Ints]:
    orders: dict[str, Ints] = {}
    if evaluated.has_ids:
        found = [re.search(r"(\d+)(\.\w+)?$", str(name)) for name in evaluated.images["image_id"]]
        if all(found):
            numbers = np.array([int(one[1][-15:]) for one in found if one], dtype=np.int64)
            for first in (1, 0):
                at = numbers - first
                if len(np.unique(at)) == len(at) and at.min() >= 0 and at.max() < rows:
                    orders[f"by the number in the images' names, from {first}"] = at
    if rows == len(evaluated):
        orders["by position"] = np.arange(rows)
    return orders


def _agreement(own: Ints, placed: list[list[int]], at: Ints) -> float:
    """Of the images with a label, how many have their own class among them."""
    known = [(cls, placed[row]) for cls, row in zip(own.tolist(), at.tolist(), strict=True) if placed[row]]
    return sum(cls in labels for cls, labels in known) / max(len(known), 1)


def _joined(
    evaluated: EvaluationSet, labels: list[list[int]], names: tuple[str, ...], path: Path
) -> EvaluationSet:
    own = [evaluated.classes[at] for at in evaluated.labels]
    cells = [_first(given, [names[at] for at in one]) for given, one in zip(own, labels, strict=True)]
    some = np.array([bool(cell) for cell in cells])
    if not some.any():
        raise EvaluationError(f"{path}: no image of {evaluated.name} has a label")
    used = set(evaluated.classes).union(*cells)
    more = used > set(evaluated.classes)
    classes = tuple(sorted(used, key=_rank(names))) if more else evaluated.classes
    frame = evaluated.images[some].drop(columns="class").reset_index(drop=True)
    frame["class"] = pd.Series([cell for cell in cells if cell], dtype=object)
    made = make_set(frame, evaluated.name, source=evaluated.source, classes=classes, column="class")
    position = {name: at for at, name in enumerate(classes)}
    given = np.array([position[cls] for cls, keep in zip(own, some, strict=True) if keep], dtype=np.int64)
    images = made.images.assign(**{"class": [classes[at] for at in given]})
    if not evaluated.has_ids:
        images["image_id"] = [str(row) for row in np.flatnonzero(some)]
    taken = None if bool(some.all()) else some
    return replace(
        made,
        images=images,
        has_ids=evaluated.has_ids,
        given=given,
        taken=taken,
        unlabelled=evaluated.unlabelled + int((~some).sum()),
        census=evaluated.census,
    )


def _first(given: str, labels: list[str]) -> list[str]:
    return [given, *(label for label in labels if label != given)] if given in labels else labels


def _rank(names: tuple[str, ...]) -> Callable[[str], tuple[int, str]]:
    """Classes in the order of the outputs, others behind them by name."""
    position = {name: at for at, name in enumerate(names)}
    return lambda name: (position.get(name, len(names)), name)
