"""A file of predictions as columns, before it is known which of them are answers: that needs the set (``columns.py``).

Every reader here makes the same thing of its format, so that one place decides what a column means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError

__all__ = ["Sheet", "as_column", "as_ids", "by_length"]


@dataclass(frozen=True)
class Sheet:
    """Columns of one file (or of one model of it), all of N rows: (N,) numbers, booleans or text (None where a cell is
    empty), or (N, K) numbers or text.
    """

    source: str
    """The file's name."""
    stem: str
    """The model's name where nothing in the file names one."""
    columns: Mapping[str, npt.NDArray[Any]] = field(repr=False)
    ids: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict, repr=False)
    """Columns that are keys by their form (a Parquet index, the keys of a JSON object): name -> (N,)."""
    model: str = ""
    """The model that these rows are of, where the file says it."""
    open_answers: bool = False
    """Answers are free text: one that is not a class is wrong, not a sign of a wrong file."""

    def __len__(self) -> int:
        return next((len(values) for values in (*self.columns.values(), *self.ids.values())), 0)


def by_length(source: str, stem: str, columns: Mapping[str, npt.NDArray[Any]]) -> list[Sheet]:
    """A sheet for each number of rows: a model of a wrong length does not take the others with it."""
    lengths = sorted({len(values) for values in columns.values()})
    return [
        Sheet(source, stem, {name: values for name, values in columns.items() if len(values) == length})
        for length in lengths
    ]


def as_column(values: Any, what: str) -> npt.NDArray[Any]:
    """Cells of any kind as a column. Raises EvaluationError for rows of different length, and for what is not an
    answer."""
    array = values if isinstance(values, np.ndarray) else _array(values, what)
    if array.dtype.kind == "S":
        array = _decoded(array, what)
    if array.dtype.kind == "O" and array.ndim == 1:
        array = _of_objects(array, what)
    if array.dtype.kind == "O" and array.ndim == 2:
        array = _grid(array, what)
    if array.dtype.kind == "U":
        array = array.astype(object)
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufO":
        raise EvaluationError(
            f"{what}: shape {array.shape} and type {array.dtype} are neither classes, "
            "a ranking (N, K) nor scores (N, classes)"
        )
    return array


def as_ids(values: Iterable[object], what: str) -> npt.NDArray[np.str_]:
    """Names of images as text; an empty one is "". Byte strings are UTF-8, whole floats are whole numbers."""
    return np.array([_name(value, what) for value in values], dtype=np.str_)


def _name(value: object, what: str) -> str:
    if isinstance(value, bytes):
        return _text(value, what)
    if _missing(value):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _missing(value: object) -> bool:
    return value is None or bool(value != value)


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError(f"{what}: {value[:20]!r} is not text in UTF-8") from None


def _decoded(array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    flat = np.array([_text(bytes(value), what) for value in array.ravel()], dtype=object)
    return flat.reshape(array.shape)


def _array(values: Sequence[Any], what: str) -> npt.NDArray[Any]:
    """A list as an object array of one dimension; NumPy alone would make text of [1, "a"]."""
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def _of_objects(array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    array = _without_scores(array)
    if len(array) and all(isinstance(value, list | tuple | np.ndarray) for value in array):
        widths = {len(value) for value in array}
        if len(widths) > 1:
            raise EvaluationError(f"{what}: its rows hold {min(widths)} to {max(widths)} values")
        return _grid(np.array([list(value) for value in array], dtype=object), what)
    return _plain(array, what)


def _without_scores(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cells that are lists of label and score, as transformers' pipelines give them: the labels, best first."""
    if not len(array) or not all(
        isinstance(cell, list) and cell and all(map(_is_pair, cell)) for cell in array
    ):
        return array
    return _array([[pair["label"] for pair in sorted(cell, key=_score)] for cell in array], "")


def _is_pair(value: Any) -> bool:
    if not isinstance(value, dict) or not {"label", "score"} <= value.keys():
        return False
    return isinstance(value["score"], int | float) and value["score"] == value["score"]


def _score(pair: Any) -> float:
    return -float(pair["score"])


def _grid(array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    if array.ndim != 2:
        raise EvaluationError(f"{what}: its cells are nested")
    return _plain(array.ravel(), what).reshape(array.shape)


def _plain(flat: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Cells of one column: numbers if all are (a missing one is NaN), else text with None."""
    kinds = {type(value) for value in flat}
    if any(issubclass(kind, list | tuple | dict | set | np.ndarray) for kind in kinds):
        raise EvaluationError(
            f"{what}: some of its cells are objects, or lists in lists; an answer, or one list per image, is read"
        )
    empty = np.array([_missing(value) for value in flat], dtype=bool)
    some = {type(value) for value in flat[~empty]}
    if some and all(issubclass(kind, bool | np.bool_) for kind in some):
        return flat if empty.any() else flat.astype(bool)
    if some and not empty.any() and all(issubclass(kind, int | np.integer) for kind in some):
        try:
            return flat.astype(np.int64)
        except OverflowError:
            raise EvaluationError(f"{what}: a number is too large to be a class") from None
    if all(issubclass(kind, int | float | np.integer | np.floating) for kind in some):
        return np.array([np.nan if gone else float(value) for value, gone in zip(flat, empty, strict=True)])
    texts = [None if gone else _cell(value, what) for value, gone in zip(flat, empty, strict=True)]
    return _array(texts, what)


def _cell(value: object, what: str) -> str:
    return _text(value, what) if isinstance(value, bytes) else str(value)
