"""Predictions as arrays: .npy, .npz, and tensors of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.sheets import Sheet, as_column, as_ids, by_length
from newtest.reading.arrays import is_archive, load_array, open_arrays
from newtest.reading.failures import Unreadable

__all__ = ["arrays_sheets", "numpy_sheets", "torch_sheets"]

_LAYOUTS = ("top1", "top5", "predictions", "labels", "probabilities", "probs", "scores", "logits")


def numpy_sheets(path: Path, stem: str) -> list[Sheet]:
    """An array is one model's answers; for archives see ``arrays_sheets``. Nothing is unpickled."""
    try:
        if not is_archive(path):
            return [Sheet(path.name, stem, {stem: as_column(load_array(path), f"{path}: {stem}")})]
        with open_arrays(path) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except Unreadable as error:
        if not any(word in str(error) for word in ("pickle", "magic")):
            raise
        raise EvaluationError(
            f"{path}: is not an array file of NumPy, or holds Python objects, which are never loaded; save numbers and "
            "text (text: np.array(names, dtype=str))"
        ) from error
    return arrays_sheets(path, stem, arrays)


def torch_sheets(path: Path, stem: str) -> list[Sheet]:
    """A tensor, or a dictionary of tensors and lists of names, as ``torch.save`` writes them.

    Only weights are unpickled (torch's restricted reader): a file with anything else is an EvaluationError.
    """
    from newtest.clip import tensor_files, torch_runtime

    torch = torch_runtime.torch()
    try:
        loaded = tensor_files.load_tensors(path)
    except (Unreadable, OSError) as error:
        raise EvaluationError(
            f"{path}: cannot be read as tensors alone: it is damaged, or holds other objects, which are never loaded; "
            f"save tensors, and lists of names, with torch.save ({error})"
        ) from error
    if torch.is_tensor(loaded):
        return [Sheet(path.name, stem, {stem: as_column(_tensor(loaded), f"{path}: {stem}")})]
    if isinstance(loaded, list | tuple):
        return [Sheet(path.name, stem, {stem: as_column(_plain(loaded), f"{path}: {stem}")})]
    if not isinstance(loaded, Mapping) or not loaded:
        raise EvaluationError(
            f"{path}: holds {type(loaded).__name__}, not a tensor or a dictionary of tensors"
        )
    return arrays_sheets(path, stem, {str(name): _plain(value) for name, value in loaded.items()})


def _tensor(value: Any) -> npt.NDArray[Any]:
    value = value.detach().cpu()
    return np.asarray(value.float().numpy() if value.dtype.is_floating_point else value.numpy())


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return _tensor(value)
    if isinstance(value, list | tuple):
        if value and all(hasattr(one, "detach") for one in value):
            return [one.item() if one.ndim == 0 else _tensor(one).tolist() for one in value]
        return list(value)
    return value


def arrays_sheets(path: Path, stem: str, arrays: Mapping[str, Any]) -> list[Sheet]:
    """Named arrays: ``models`` with ``top1``, ``top5``, ... a row per model; else an array per column.

    Raises EvaluationError where the arrays do not fit each other.
    """
    shaped = {name: value for name, value in arrays.items() if np.ndim(value) > 0}
    layouts = [name for name in _LAYOUTS if name in shaped]
    if "models" in shaped and layouts:
        layout = layouts[0]
        models = as_ids(shaped["models"], f"{path}: models")
        rows = shaped[layout]
        if len(models) != len(rows):
            raise EvaluationError(f"{path}: {len(models)} models but {len(rows)} rows of {layout}")
        rest = {name: value for name, value in shaped.items() if name not in ("models", *layouts)}
        count = len(rows[0]) if len(rows) else 0
        beside = {
            name: as_column(value, f"{path}: {name}") for name, value in rest.items() if len(value) == count
        }
        return [
            Sheet(path.name, stem, {layout: as_column(row, f"{path}: {model}"), **beside}, model=str(model))
            for model, row in zip(models, rows, strict=True)
        ]
    columns = {name: as_column(value, f"{path}: {name}") for name, value in shaped.items()}
    if not columns:
        return []
    return by_length(path.name, stem, columns)
