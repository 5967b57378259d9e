"""Columns that belong together: label_0, label_1, ... are a ranking; p_owl, p_cat, ... or p_0, p_1, ... are scores.

Names decide what belongs together, values what it is: 0, 1, 2, ... may be a ranking, one-hot rows, votes or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from newtest.evaluation.scoring.answers import Classes, place
from newtest.evaluation.scoring.cautions import Unscorable
from newtest.evaluation.scoring.names import group_of

__all__ = ["Group", "groups_in", "ranked", "scored"]


@dataclass(frozen=True)
class Group:
    """``suffixes`` are what follows the prefix in each of ``names``: numbers of ranks, or classes."""

    kind: Literal["ranks", "scores"]
    names: tuple[str, ...]
    suffixes: tuple[str, ...]
    columns: tuple[npt.NDArray[Any], ...]


def groups_in(columns: Mapping[str, npt.NDArray[Any]], classes: Sequence[str]) -> list[Group]:
    """The groups of two and more columns; also columns of numbers that are called as the classes are."""
    flat = {name: values for name, values in columns.items() if values.ndim == 1}
    if (by_class := _of_classes(flat, classes)) is not None:
        return [by_class]
    parts: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in flat:
        if (found := group_of(name)) is not None:
            parts.setdefault(found[:2], []).append((name, found[2]))
    groups = []
    for (kind, _), members in parts.items():
        if kind == "ranks":
            members = sorted(members, key=lambda member: int(member[1]))
            numbers = [int(suffix) for _, suffix in members]
            if len(members) < 2 or numbers not in (
                list(range(len(numbers))),
                list(range(1, len(numbers) + 1)),
            ):
                continue
            values = tuple(flat[name] for name, _ in members)
            kind = "scores" if any(map(_fractions, values)) else "ranks"
        elif len(members) < 2:
            continue
        names, suffixes = zip(*members, strict=True)
        groups.append(Group(kind, names, suffixes, tuple(flat[name] for name in names)))  # type: ignore[arg-type]
    return groups


def _of_classes(flat: Mapping[str, npt.NDArray[Any]], classes: Sequence[str]) -> Group | None:
    """Numbers in columns that are called as all of the classes are, bare or with the same text before or behind:
    cat, dog, ...; pred_cat, pred_dog, ...; P(cat), P(dog), ...; cat_score, dog_score, ....
    """
    if not classes:
        return None
    for before, behind in _surroundings(list(flat), classes[0]):
        names = tuple(f"{before}{cls}{behind}" for cls in classes)
        if len(names) < 2 or not flat.keys() >= set(names):
            continue
        if all((known := group_of(name)) is not None and known[0] == "scores" for name in names):
            continue  # p_cat, p_dog, ...: with the columns of further classes, below
        more = [
            name
            for name in flat
            if (before or behind) and name.startswith(before) and name.endswith(behind) and name not in names
            if len(name) > len(before) + len(behind) and _fractions(flat[name])
        ]
        members = [*(name for name in flat if name in set(names)), *more]
        columns = tuple(_numeric(flat[name]) for name in members)
        if any(one.dtype.kind not in "biuf" for one in columns):
            continue
        if all(name.isdigit() for name in classes) and not any(map(_fractions, columns)):
            continue  # 0, 1, 2, ...: a ranking, too, may be called so
        suffixes = tuple(name[len(before) : len(name) - len(behind)] for name in members)
        return Group("scores", tuple(members), suffixes, columns)
    return None


def _surroundings(names: Sequence[str], cls: str) -> list[tuple[str, str]]:
    """What stands before and behind a class in the names of columns, the shortest first."""
    found = set()
    for name in names:
        at = name.find(cls)
        while at >= 0:
            found.add((name[:at], name[at + len(cls) :]))
            at = name.find(cls, at + 1)
    return sorted(found, key=lambda pair: (len(pair[0]) + len(pair[1]), pair))


def _fractions(values: npt.NDArray[Any]) -> bool:
    numbers = _numeric(values)
    if numbers.dtype.kind != "f":
        return False
    return bool((numbers[np.isfinite(numbers)] % 1 != 0).any())


def _numeric(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Text of numbers, or of true and false, as numbers; any other column as it is."""
    if values.dtype.kind != "O":
        return values
    known = set(map(str, values.tolist()))
    if known <= {"True", "False"} or known <= {"true", "false"}:
        return np.array([str(value).casefold() == "true" for value in values])
    try:
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    except ValueError:
        return values


def ranked(group: Group, pair: Group | None) -> npt.NDArray[Any]:
    """The ranking (N, K), best first; ``pair`` holds how sure the model is of each, and orders them in each row."""
    values = np.stack([one.astype(object) for one in group.columns], axis=1)
    if all(one.dtype.kind in "iu" for one in group.columns):
        values = np.stack(group.columns, axis=1)
    if pair is None:
        return _counted(values)
    by_suffix = dict(zip(pair.suffixes, pair.columns, strict=True))
    if set(by_suffix) != set(group.suffixes):
        return values
    sure = np.stack([_numeric(by_suffix[suffix]) for suffix in group.suffixes], axis=1).astype(np.float64)
    if np.isnan(sure).any():
        raise Unscorable(
            "not-a-number", f"{int(np.isnan(sure).any(axis=1).sum())} rows of {pair.names[0]}.. hold NaN"
        )
    order = np.argsort(-sure, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1)


def _counted(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows of numbers as text, where a number stands twice in a row: no ranking, so one-hot rows or votes."""
    if values.dtype.kind != "O" or any(value is None for value in values.ravel()):
        return values
    rows = [[str(value) for value in row] for row in values]
    if not any(len(set(row)) < len(row) for row in rows):
        return values
    if not all(text.isascii() and text.isdigit() and str(int(text)) == text for row in rows for text in row):
        return values
    return np.array([[int(text) for text in row] for row in rows], dtype=np.int64)


def scored(
    group: Group, outputs: tuple[str, ...]
) -> tuple[npt.NDArray[np.float64], tuple[str, ...] | None, bool]:
    """Scores (N, C) in the order of ``outputs``, matched by name or number, and whether by name; with classes beyond
    ``outputs``, their own list.

    Raises Unscorable where a class has no column, or columns are numbered otherwise than the classes.
    """
    columns = [_numeric(one) for one in group.columns]
    said = f"{group.names[0]}..{group.names[-1]}"
    bad = next(
        (name for name, one in zip(group.names, columns, strict=True) if one.dtype.kind not in "biuf"), None
    )
    if bad is not None:
        raise Unscorable("not-a-number", f"column {bad!r} holds text, not scores")
    _check_numbers(group, outputs)
    table = np.stack(columns, axis=1).astype(np.float64)
    placed = place(np.array(group.suffixes, dtype=object), Classes(outputs), strict=False)
    some = placed.at[placed.at >= 0].tolist()
    if len(set(some)) < len(some):
        raise Unscorable("wrong-classes", f"two of the columns {said} mean one class")
    missing = [name for position, name in enumerate(outputs) if position not in set(some)]
    if missing:
        raise Unscorable(
            "wrong-classes", f"{len(missing)} classes have no column among {said}, first {missing[0]!r}"
        )
    by_name = placed.how == "by name"
    if len(some) == len(group.suffixes):
        return table[:, np.argsort(placed.at)], None, by_name
    own = tuple(outputs[at] if at >= 0 else name for at, name in zip(placed.at, group.suffixes, strict=True))
    return table, own, by_name


def _check_numbers(group: Group, outputs: tuple[str, ...]) -> None:
    if not all(suffix.isdigit() for suffix in group.suffixes) or set(group.suffixes) >= set(outputs):
        return
    found = sorted(int(number) for number in group.suffixes)
    if found != list(range(len(outputs))):
        raise Unscorable(
            "wrong-classes",
            f"{len(found)} scores per image, numbered {found[0]} to {found[-1]}, for the {len(outputs)} classes "
            f"0 to {len(outputs) - 1}",
        )
