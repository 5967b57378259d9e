"""Tables of predictions: CSV and TSV as text, Parquet with its pandas index, cells that hold lists."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import is_count, read_frame
from newtest.evaluation.scoring.sheets import Sheet, as_column, as_ids

__all__ = ["sheets_of", "table_sheets", "unpacked"]

_UNNAMED = re.compile(r"(Unnamed: \d+|)")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_NUMBERS = re.compile(r"[-+\d.eEinfna,\s]*")


def table_sheets(path: Path, stem: str) -> list[Sheet]:
    """The sheets of a table file: one, or one a value of its column ``model``. Raises EvaluationError."""
    frame = read_frame(path, text=True)
    return sheets_of(frame, path.name, stem)


def sheets_of(frame: pd.DataFrame, source: str, stem: str) -> list[Sheet]:
    """Sheets of a DataFrame with its index: an index other than 0, 1, 2, ... is a key."""
    _check_names(frame, source)
    keys: dict[str, Any] = {}
    if isinstance(frame.index, pd.MultiIndex):
        keys, frame = _levels(frame)
    elif not (frame.index.name is None and is_count(frame.index)):
        keys["the index" if frame.index.name is None else str(frame.index.name)] = frame.index
    frame = frame.reset_index(drop=True)
    for name in [name for name in frame.columns if _UNNAMED.fullmatch(str(name))]:
        # pandas' own index, as to_csv writes it: a count, or a key.
        cells = frame.pop(name)
        if not is_count(cells):
            keys["the index"] = cells
    columns = {str(name): _column(frame[name], f"{source}: column {name}") for name in frame.columns}
    ids = {name: as_ids(values, f"{source}: {name}") for name, values in keys.items()}
    if "model" not in columns or columns["model"].ndim > 1:
        return [Sheet(source, stem, columns, ids)]
    models = as_ids(columns.pop("model"), f"{source}: column model")
    found = []
    for model in sorted(set(models.tolist())):
        rows = models == model
        part = {
            name: _column(pd.Series(values[rows].tolist(), dtype=object), name)
            for name, values in columns.items()
        }
        found.append(
            Sheet(source, stem, part, {name: values[rows] for name, values in ids.items()}, str(model))
        )
    return found


def _levels(frame: pd.DataFrame) -> tuple[dict[str, Any], pd.DataFrame]:
    """The levels of an index as keys, and all of them as one path (class folder, file); a level "model" is a column."""
    levels = {
        f"index level {at}" if name is None else str(name): frame.index.get_level_values(at)
        for at, name in enumerate(frame.index.names)
    }
    if "model" in levels and "model" not in frame.columns:
        frame = frame.assign(model=levels.pop("model").to_numpy())
    if len(levels) > 1:
        joined = ["/".join(map(str, cells)) for cells in zip(*levels.values(), strict=True)]
        return {**levels, "the index": joined}, frame
    return levels, frame


def _check_names(frame: pd.DataFrame, source: str) -> None:
    names = pd.Index([str(name) for name in frame.columns])
    if names.has_duplicates:
        raise EvaluationError(
            f"{source}: two columns are called {names[names.duplicated()][0]!r}; rename one"
        )


def _column(cells: pd.Series, what: str) -> npt.NDArray[Any]:
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_extension_array_dtype(cells):
        return cells.to_numpy()
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(cells.cat.categories.dtype)
    values = cells.astype(object).where(cells.notna(), None).to_numpy()
    return as_column(unpacked(values, what), what)


def unpacked(values: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Cells in which a list was printed: "[1 2 3]" of NumPy, "[1, 2, 3]" of Python, "['tabby, tabby cat' 'tiger']"."""
    texts = [value for value in values if isinstance(value, str)]
    if not texts or len(texts) < len(values) or not all(_looks_listed(text) for text in texts):
        return values
    found = np.empty(len(values), dtype=object)
    for at, text in enumerate(values):
        found[at] = _listed(text, what)
    return found


def _looks_listed(text: str) -> bool:
    return text[:1] == "[" and text[-1:] == "]"


def _listed(text: str, what: str) -> list[Any]:
    inner = text[1:-1]
    if "..." in inner and not _QUOTED.search(inner):
        raise EvaluationError(f"{what}: NumPy left out part of the list ({text[:40]!r})")
    if (quoted := _QUOTED.findall(inner)) and not _QUOTED.sub("", inner).strip(", \t\r\n"):
        return [ast.literal_eval(word) for word in quoted]
    if not _NUMBERS.fullmatch(inner):
        raise EvaluationError(f"{what}: {text[:40]!r} is not a list of numbers or of quoted names")
    words = inner.replace(",", " ").split()
    try:
        return [int(word) if word.lstrip("+-").isdigit() else float(word) for word in words]
    except ValueError:
        raise EvaluationError(f"{what}: {text[:40]!r} is not a list of numbers") from None
