"""The forms of a set other than folders and releases: tables, JSON, JSON lines, arrays of labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cells import MOST_EXACT
from newtest.evaluation.scoring.frames import is_count, read_frame
from newtest.evaluation.scoring.names import is_id
from newtest.evaluation.scoring.opening import check, read_text
from newtest.evaluation.scoring.sheet_json import json_sheets
from newtest.evaluation.scoring.sheet_table import unpacked
from newtest.reading.arrays import load_array
from newtest.reading.jsons import parse_json
from newtest.reading.parquet import read_schema

__all__ = [
    "CLASS_COLUMNS",
    "OPEN_LABELS",
    "SECOND_LABELS",
    "array_frame",
    "file_frame",
    "json_frame",
    "table_frame",
    "with_second_labels",
]

CLASS_COLUMNS = ("wnid", "class", "label", "target", "labels", "classes")
SECOND_LABELS = "second_labels"
"""Lists of the further classes that an image shows, beside the column of its class; releases have it."""


OPEN_LABELS = "second_labels_open"
"""How many proposed classes of an image lack votes."""


def with_second_labels(frame: pd.DataFrame, known: Mapping[str, tuple[list[str], int]]) -> pd.DataFrame:
    """The members of a study's set with the two columns; as they are where none of them was proposed anything for.

    ``known``: image -> accepted second labels, and proposed classes that lack votes.
    """
    if not set(frame["image_id"]) & known.keys():
        return frame
    cells = [known.get(image, ([], 0)) for image in frame["image_id"]]
    more = [
        [label for label in labels if label != own]
        for (labels, _), own in zip(cells, frame["wnid"], strict=True)
    ]
    made = frame.copy()
    made[SECOND_LABELS] = pd.Series(more, index=frame.index, dtype=object)
    made[OPEN_LABELS] = [left for _, left in cells]
    return made


def file_frame(path: Path) -> pd.DataFrame:
    """Any form of a set that is one file. Raises EvaluationError."""
    if path.name.lower().endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")):
        return json_frame(path)
    return array_frame(path) if path.suffix.lower() == ".npy" else table_frame(path)


def table_frame(path: Path) -> pd.DataFrame:
    """A table of a set. Its key is an id column, else the index of a DataFrame (of Parquet, or as a CSV's first column
    without a name). Classes that are whole numbers as programs write them are numbers.
    """
    frame = read_frame(path)
    unnamed = next((name for name in frame.columns if str(name) in ("Unnamed: 0", "")), None)
    if unnamed is not None:
        cells = frame.pop(unnamed)
        if not is_count(cells) and not any(map(is_id, frame.columns)):
            frame.insert(0, "image_id", cells)
    elif not any(map(is_id, frame.columns)):
        if not is_count(frame.index):
            frame.insert(0, "image_id", frame.index.astype(str))
        elif path.suffix.lower() == ".parquet" and (named := _index_column(path, frame)) is not None:
            frame.insert(0, "image_id", frame[named].astype(str))
    for name in (*CLASS_COLUMNS, SECOND_LABELS):
        if name not in frame.columns:
            continue
        if name == SECOND_LABELS:
            frame[name] = _second(frame[name], f"{path}: column {name}")
            continue
        # A CSV holds several true classes as the text of a list.
        listed = unpacked(frame[name].astype(object).to_numpy(), f"{path}: column {name}")
        if len(listed) and all(isinstance(cell, list) for cell in listed):
            frame[name] = pd.Series(list(listed), index=frame.index, dtype=object)
        elif (whole := _whole(frame[name])) is not None:
            frame[name] = whole
    return frame.reset_index(drop=True)


def _second(cells: pd.Series, where: str) -> pd.Series:
    """Lists of further classes; an empty cell is an empty list, and text that is not a list is one class."""

    def listed(cell: Any) -> list[Any]:
        if isinstance(cell, list | tuple | np.ndarray):
            return list(cell)
        if cell is None or pd.isna(cell) or str(cell).strip() in ("", "[]"):
            return []
        found = unpacked(np.array([str(cell).strip()], dtype=object), where)[0]
        return found if isinstance(found, list) else [found]

    return pd.Series([listed(cell) for cell in cells], index=cells.index, dtype=object)


def _index_column(path: Path, frame: pd.DataFrame) -> str | None:
    """The column that was the named index of a DataFrame, whatever its name."""
    about = (read_schema(path).pandas_metadata or {}).get("index_columns", [])
    return next((name for name in about if isinstance(name, str) and name in frame.columns), None)


def _whole(cells: pd.Series) -> npt.NDArray[np.int64] | None:
    """Cells as numbers if all are whole and written as a program writes them: "001" is a name, and so is what
    64 bits do not hold.
    """
    if pd.api.types.is_float_dtype(cells):
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = (values == np.round(values)) & (np.abs(values) <= MOST_EXACT)
        return values.astype(np.int64) if len(values) and whole.all() else None
    if pd.api.types.is_numeric_dtype(cells) or cells.isna().any() or not len(cells):
        return None
    texts = [cell for cell in cells if isinstance(cell, str)]
    if len(texts) < len(cells) or not all(
        t.isascii() and t.isdigit() and len(t) < 19 and str(int(t)) == t for t in texts if t
    ):
        return None
    return None if "" in texts else np.array([int(text) for text in texts], dtype=np.int64)


def json_frame(path: Path) -> pd.DataFrame:
    """ImageNetV2's dataset (``image_filenames``: pairs of id and wnid), image -> class or classes, a list of lists of
    classes in the order of the images (ReaL; an empty list is an image without a label), records, or JSON lines.
    """
    try:
        lines = path.name.lower().removesuffix(".gz").endswith(".jsonl")
        content = None if lines else parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{path}: not a set in JSON ({str(error)[:80]})") from error
    if content is None or (isinstance(content, list) and content and isinstance(content[0], dict)):
        return _of_records(path)
    if isinstance(content, dict) and _is_a_frame(content):
        return _of_records(path)
    try:
        members = (
            content["image_filenames"]
            if isinstance(content, dict) and "image_filenames" in content
            else content
        )
        if isinstance(members, dict):
            return _of_pairs(list(members.items()), "class")
        if members and all(_is_labels(one) for one in members):
            return pd.DataFrame({"label": pd.Series(members, dtype=object)})
        return _of_pairs([(image, wnid) for image, wnid in members], "wnid")
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{path}: not a dataset in ImageNetV2's JSON (image_filenames: pairs of id and wnid): {error}"
        ) from error


def _is_a_frame(content: dict[str, Any]) -> bool:
    """Whether pandas wrote an object: columns of rows, rows of columns, or columns, index and data."""
    if isinstance(content.get("data"), list):
        return True
    return bool(content) and all(isinstance(value, dict) for value in content.values())


def _is_labels(one: Any) -> bool:
    return isinstance(one, int) or (isinstance(one, list) and all(isinstance(label, int) for label in one))


def _of_pairs(pairs: list[tuple[Any, Any]], column: str) -> pd.DataFrame:
    classes = np.empty(len(pairs), dtype=object)
    for at, (_, cls) in enumerate(pairs):
        classes[at] = (
            cls
            if isinstance(cls, list)
            else None
            if cls is None
            else cls
            if isinstance(cls, int)
            else str(cls)
        )
    return pd.DataFrame(
        {"image_id": [str(image) for image, _ in pairs], column: pd.Series(classes, dtype=object)}
    )


def _of_records(path: Path) -> pd.DataFrame:
    sheets = json_sheets(path, path.stem)
    if not sheets:
        raise EvaluationError(f"{path}: the set has no images")
    sheet = sheets[0]
    column = next((name for name in CLASS_COLUMNS if name in sheet.columns), None)
    if column is None:
        raise EvaluationError(
            f"{path}: its records have no class; one of {', '.join(CLASS_COLUMNS)} is required"
        )
    cells = sheet.columns[column]
    values = pd.Series(list(cells), dtype=object if cells.ndim > 1 else None)
    frame = pd.DataFrame({column: values})
    if (whole := None if cells.ndim > 1 else _whole(frame[column])) is not None:
        frame[column] = whole
    key = next(iter(sheet.ids.values()), None)
    for name, cells in sheet.columns.items():
        if name != column and cells.ndim == 1:
            frame[name] = cells
    if key is not None:
        frame.insert(0, "image_id", key.astype(object))
    return frame


def array_frame(path: Path) -> pd.DataFrame:
    """Labels as an ``.npy`` of whole numbers, (N,)."""
    check(path)
    try:
        labels = load_array(path)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: not a readable .npy ({error})") from error
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise EvaluationError(
            f"{path}: labels are one row of whole numbers, this is {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and labels.min() < 0:
        raise EvaluationError(f"{path}: a label is negative")
    return pd.DataFrame({"label": labels.astype(np.int64)})
