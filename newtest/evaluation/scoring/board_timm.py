"""timm's ``results/*.csv``: a file per set, a row per model and configuration (image size, crop, interpolation).

The form is that of huggingface/pytorch-image-models, results/README.md and results/generate_csv_results.py. Files of
speed (``benchmark-*.csv``) and the list of training data (``model_metadata-in1k.csv``) lie in the same folder.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.board import Board, board_rows, training_data
from newtest.evaluation.scoring.cells import read_cells
from newtest.reading.separated import it_has

__all__ = ["is_timm", "is_timm_metadata", "is_timm_speed", "read_timm", "with_metadata"]


def is_timm(frame: pd.DataFrame) -> bool:
    """Whether a table is one of timm's results."""
    return {"model", "img_size", "top1"} <= set(frame.columns)


def is_timm_metadata(frame: pd.DataFrame) -> bool:
    """Whether a table is timm's list of models and what they were trained on."""
    return list(frame.columns) == ["model", "pretrain"]


def is_timm_speed(frame: pd.DataFrame) -> bool:
    """Whether a table is one of timm's tables of speed, which have no accuracies."""
    return "model" in frame.columns and any(str(name).endswith("samples_per_sec") for name in frame.columns)


def read_timm(frame: pd.DataFrame, path: Path, metric: str = "top1") -> Board:
    """The rows of one file; the set is the file's name without ``results-``. Raises EvaluationError for no ``metric``.

    ``config`` says the image size, the crop and the interpolation; ``data`` what the tag behind the dot of the
    model's name says.
    """
    if metric not in frame.columns:
        raise EvaluationError(
            f"{path}: no column {metric!r}; timm's tables have top1 and top5; {it_has(frame.columns)}"
        )
    models = frame["model"].astype(str)
    cells = read_cells(frame[metric], f"{path.name}: column {metric}", models.tolist())
    table = pd.DataFrame(
        {
            "model": models,
            "config": [_config(*map(str, row)) for row in zip(*_told(frame), strict=True)],
            "data": [_data(model) for model in models],
            "set": path.stem.removeprefix("results-"),
            "accuracy": cells.values,
        }
    )
    return Board(board_rows(table[table["accuracy"].notna()], path.name))


def _told(frame: pd.DataFrame) -> list[pd.Series]:
    """Image size, crop and interpolation of each row; "" where the table has no such column."""
    nothing = pd.Series("", index=frame.index)
    return [frame.get(name, nothing) for name in ("img_size", "crop_pct", "interpolation")]


@lru_cache(maxsize=10_000)
def _config(size: str, crop: str, how: str) -> str:
    parts = [f"{size} px"]
    if crop not in ("", "nan"):
        parts.append(f"crop {float(crop):g}")
    if how not in ("", "nan"):
        parts.append(how)
    return ", ".join(parts)


@lru_cache(maxsize=10_000)
def _data(model: str) -> str:
    return training_data(model.partition(".")[2])


def with_metadata(table: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """The table with ``data`` from timm's list, for models of exactly that name whose own name says nothing."""
    known = metadata.drop_duplicates("model").set_index("model")["pretrain"].astype(str)
    told = table["model"].map(known).fillna("")
    return table.assign(data=table["data"].where(table["data"] != "", told))
