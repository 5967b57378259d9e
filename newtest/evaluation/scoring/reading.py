"""Predictions from files: npy, npz, pt, JSON, JSON lines, CSV, TSV, Parquet; what is in them, and what is left out."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.classmap import ClassMap
from newtest.evaluation.scoring.columns import interpret
from newtest.evaluation.scoring.opening import check
from newtest.evaluation.scoring.predictions import Predictions
from newtest.evaluation.scoring.sets import EvaluationSet
from newtest.evaluation.scoring.sheet_json import json_sheets
from newtest.evaluation.scoring.sheet_numpy import numpy_sheets, torch_sheets
from newtest.evaluation.scoring.sheet_table import table_sheets
from newtest.evaluation.scoring.sheets import Sheet

__all__ = ["read_predictions", "read_sheets"]


def read_predictions(
    path: Path, evaluated: EvaluationSet, *, columns: Sequence[str] = (), mapping: ClassMap | None = None
) -> tuple[list[Predictions], list[Caution]]:
    """Every model's predictions in a file, and what was left out of it. ``columns`` names the columns of answers.

    Raises EvaluationError for a file of no form of docs/evaluation.md.
    """
    found: list[Predictions] = []
    cautions: list[Caution] = []
    for sheet in read_sheets(path):
        answers, said = interpret(sheet, evaluated, columns=columns, mapping=mapping)
        found += answers
        cautions += said
    # A file of many models in the same form says what is left out once.
    return found, list(dict.fromkeys(cautions))


def read_sheets(path: Path) -> list[Sheet]:
    """The columns of a file; the model is named by the file where the file does not name it. Nothing is unpickled but
    tensors. Raises EvaluationError.
    """
    suffixes = "".join(path.suffixes[-2:]).lower()
    check(path)
    reader = next((read for endings, read in _READERS if suffixes.endswith(endings)), None)
    if reader is None:
        raise EvaluationError(
            f"{path}: predictions come as .npy, .npz, .pt, .json, .jsonl, .json.gz, .csv, .tsv or .parquet"
        )
    stem = (path.stem if path.suffix.lower() == ".gz" else path.name).rsplit(".", 1)[0]
    try:
        found = reader(path, stem)
    except _UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EvaluationError(f"{path}: cannot be read as predictions ({reason})") from error
    found = [sheet for sheet in found if len(sheet)]
    if not found:
        raise EvaluationError(f"{path}: holds no predictions")
    return found


_READERS = (
    ((".npy", ".npz"), numpy_sheets),
    ((".pt", ".pth"), torch_sheets),
    ((".json", ".json.gz", ".jsonl", ".jsonl.gz"), json_sheets),
    ((".csv", ".tsv", ".parquet"), table_sheets),
)
# What a stranger's file makes NumPy, zipfile, gzip and pandas raise: damage, other forms, depth, sizes that are a lie.
_UNREADABLE = (
    OSError, ValueError, TypeError, AttributeError, EOFError, RecursionError, MemoryError, RuntimeError, KeyError,
    IndexError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
