"""Predictions from files: npy, npz, JSON (or .json.gz), CSV, Parquet; labels, a ranking (top-5) or scores.

Keyed by image id where the file has ids, else by row, in the order of the set's list.
"""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.frames import read_frame

__all__ = ["Predictions", "read_predictions"]

_ID_COLUMNS = ("image_id", "id", "file", "filename", "image")
_LABEL_COLUMNS = ("prediction", "pred", "label", "top1", "class")
_LAYOUTS = ("top1", "top5", "predictions", "labels", "probabilities", "probs", "scores", "logits")
_MOST_RANKED = 10
"""Rows of whole numbers of at most this width are a ranking, best first; wider ones are scores."""


@dataclass(frozen=True)
class Predictions:
    """One model's answers. ``values`` is (N,) classes (numbers or names), (N, K) a ranking, or (N, C) scores."""

    model: str
    source: str
    kind: Literal["labels", "ranking", "scores"]
    values: npt.NDArray[Any] = field(repr=False)
    ids: npt.NDArray[np.str_] | None = field(default=None, repr=False)
    preprocessing: str = ""
    gaps: bool = False
    """-1 stands for an image without an answer, which counts as wrong; elsewhere a negative class is a mistake."""


def read_predictions(path: Path) -> list[Predictions]:
    """Every model's predictions in a file; the model is named by the file where the file does not name it.

    Raises EvaluationError for a file that is none of the forms above. Nothing is unpickled.
    """
    suffixes = "".join(path.suffixes[-2:]).lower()
    if not path.exists():
        raise EvaluationError(f"{path}: no such file")
    reader = next((read for endings, read in _READERS if suffixes.endswith(endings)), None)
    if reader is None:
        raise EvaluationError(
            f"{path}: predictions come as .npy, .npz, .json, .json.gz, .csv, .tsv or .parquet"
        )
    try:
        found = reader(path)
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EvaluationError(f"{path}: cannot be read as predictions ({reason})") from error
    if not found:
        raise EvaluationError(f"{path}: holds no predictions")
    return found


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _make(model: str, path: Path, values: Any, ids: Iterable[object] | None = None) -> Predictions:
    array = np.asarray(values)
    if array.dtype == object:
        array = np.array([str(value) for value in array]) if array.ndim == 1 else array
    if array.ndim == 1 and array.dtype.kind in "biufUS":
        kind: Literal["labels", "ranking", "scores"] = "labels"
    elif array.ndim == 2 and array.dtype.kind in "iuU" and array.shape[1] <= _MOST_RANKED:
        kind = "ranking"
    elif array.ndim == 2 and array.dtype.kind in "fiu":
        kind = "scores"
    else:
        raise EvaluationError(
            f"{path}: {model}: predictions of shape {array.shape} and type {array.dtype} are neither classes, "
            "a ranking (N, K) nor scores (N, classes)"
        )
    names = None if ids is None else np.array([str(one) for one in ids], dtype=np.str_)
    return Predictions(str(model), path.name, kind, array, names)


def _from_numpy(path: Path) -> list[Predictions]:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return [_make(_stem(path), path, loaded)]
    with loaded:
        arrays: Mapping[str, npt.NDArray[Any]] = {name: loaded[name] for name in loaded.files}
    ids = next((arrays[name] for name in ("image_ids", "ids", "image_id") if name in arrays), None)
    layout = next((name for name in _LAYOUTS if name in arrays), None)
    if "models" in arrays and layout:
        models, values = arrays["models"], arrays[layout]
        if len(models) != len(values):
            raise EvaluationError(f"{path}: {len(models)} models but {len(values)} rows of {layout}")
        return [_make(str(model), path, rows, ids) for model, rows in zip(models, values, strict=True)]
    if layout:
        return [_make(_stem(path), path, arrays[layout], ids)]
    named = {name: array for name, array in arrays.items() if name not in ("image_ids", "ids", "image_id")}
    return [_make(name, path, array, ids) for name, array in named.items()]


def _from_json(path: Path) -> list[Predictions]:
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else open(path, encoding="utf-8") as handle
    ):
        content = json.load(handle)
    if isinstance(content, list):
        return [_make(_stem(path), path, content)]
    if not isinstance(content, dict) or not content:
        raise EvaluationError(
            f"{path}: a JSON of predictions is a list, or an object: model -> list, or image id -> answer"
        )
    first = next(iter(content.values()))
    if isinstance(first, dict):  # model -> (image id -> answer)
        return [_make(model, path, list(answers.values()), answers) for model, answers in content.items()]
    if isinstance(first, list) and len(first) > _MOST_RANKED:
        return [_make(model, path, answers) for model, answers in content.items()]
    # Short lists: rankings by image id, unless one model's few answers.
    if isinstance(first, list) and len(content) < len(first):
        return [_make(model, path, answers) for model, answers in content.items()]
    return [_make(_stem(path), path, list(content.values()), content)]


def _from_table(path: Path) -> list[Predictions]:
    frame = read_frame(path)
    ids = next((name for name in _ID_COLUMNS if name in frame.columns), None)
    if "model" in frame.columns:
        parts = [
            (str(model), part.drop(columns="model")) for model, part in frame.groupby("model", sort=True)
        ]
    else:
        parts = [(_stem(path), frame)]
    found: list[Predictions] = []
    for model, part in parts:
        names = None if ids is None else part[ids]
        answers = part.drop(columns=ids) if ids else part
        found += _answers(model, path, answers, names, alone="model" not in frame.columns)
    return found


def _answers(
    model: str, path: Path, answers: pd.DataFrame, ids: pd.Series | None, *, alone: bool
) -> list[Predictions]:
    columns = [str(name) for name in answers.columns]
    ranked = [name for name in columns if name.removeprefix("top").removeprefix("pred_").isdigit()]
    scored = [name for name in columns if name.startswith(("p_", "prob_", "score_"))]
    if len(ranked) > 1:
        ordered = sorted(ranked, key=lambda name: int("".join(c for c in name if c.isdigit())))
        return [_make(model, path, answers[ordered].to_numpy(), ids)]
    if scored:
        return [_make(model, path, answers[scored].to_numpy(dtype=np.float64), ids)]
    label = next((name for name in _LABEL_COLUMNS if name in columns), None)
    if label:
        return [_make(model, path, answers[label].to_numpy(), ids)]
    if alone and columns:  # a column a model
        return [_make(name, path, answers[name].to_numpy(), ids) for name in columns]
    raise EvaluationError(
        f"{path}: no column of answers; wanted is one of {', '.join(_LABEL_COLUMNS)}, or top1..top5, or p_0.. (scores)"
    )


_READERS = (
    ((".npy", ".npz"), _from_numpy),
    ((".json", ".json.gz"), _from_json),
    ((".csv", ".tsv", ".parquet"), _from_table),
)
# What a stranger's file makes NumPy, zipfile, gzip and json raise: damage, other forms, depth, sizes that are a lie.
_UNREADABLE = (
    OSError, ValueError, TypeError, AttributeError, EOFError, RecursionError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
