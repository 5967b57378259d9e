"""Results of CLIP models: open_clip's tables and CLIP_benchmark's JSON and CSV, as their repositories publish them.

open_clip (mlfoundations/open_clip, docs/openclip_*results.csv): ``name``, ``pretrained``, then a set per column, in
fractions. CLIP_benchmark (LAION-AI/CLIP_benchmark, cli.py): a JSON file per run with ``dataset``, ``model``,
``pretrained``, ``task``, ``metrics`` and ``language``; ``clip_benchmark build`` makes one CSV of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.board import Board, board_rows, training_data
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.cells import read_cells
from newtest.reading.separated import it_has

__all__ = ["is_benchmark", "is_benchmark_table", "is_open_clip", "read_benchmark", "read_open_clip"]

_METRICS = {"top1": "acc1", "top5": "acc5", "mean_per_class": "mean_per_class_recall"}
_ABOUT = re.compile(r"(?i)name|pretrained|version|avg|average\b.*|.*\((m|b)\)|g?flops|gmacs|m?params")


def is_open_clip(frame: pd.DataFrame) -> bool:
    """Whether a table is one of open_clip's."""
    columns = set(frame.columns)
    return ({"name", "pretrained"} <= columns and "model" not in columns) or {
        "model",
        "version",
        "avg",
    } <= columns


def read_open_clip(frame: pd.DataFrame, path: Path) -> Board:
    """A row per model and set; means over sets, sizes and costs are not sets. Raises EvaluationError."""
    frame = frame.rename(columns={"model": "name", "version": "pretrained"})
    named = frame["name"].astype(str) + " " + frame["pretrained"].astype(str)
    sets = [str(name) for name in frame.columns if not _ABOUT.fullmatch(str(name))]
    left_out = [str(n) for n in frame.columns if str(n) not in sets and n not in ("name", "pretrained")]
    parts = []
    for name in sets:
        cells = read_cells(frame[name], f"{path.name}: column {name}", named.tolist())
        known = cells.values[~np.isnan(cells.values)]
        if len(known) and (known.min() < 0 or known.max() > 1):
            raise EvaluationError(f"{path}: column {name!r} holds {known.max():g}; open_clip's are fractions")
        data = [training_data(str(tag)) or str(tag) for tag in frame["pretrained"]]
        rows = pd.DataFrame({"model": named, "data": data, "set": name, "accuracy": 100 * cells.values})
        parts.append(rows[rows["accuracy"].notna()].assign(config="zero-shot"))
    if not parts:
        raise EvaluationError(f"{path}: no column that could be a set; {it_has(frame.columns)}")
    said = f"columns that are not sets: {', '.join(left_out)}"
    cautions = (Caution("left-out", path.name, said),) if left_out else ()
    return Board(board_rows(pd.concat(parts, ignore_index=True), path.name), cautions)


def is_benchmark(value: Any) -> bool:
    """Whether a JSON value is one run of CLIP_benchmark."""
    return (
        isinstance(value, Mapping)
        and {"dataset", "model", "metrics"} <= set(value)
        and isinstance(value["metrics"], Mapping)
    )


def is_benchmark_table(frame: pd.DataFrame) -> bool:
    """Whether a table is what ``clip_benchmark build`` makes, or the probe benchmark's."""
    columns = set(frame.columns)
    return {"dataset", "model", "pretrained", "acc1"} <= columns or (
        {"model_fullname", "downstream_dataset", "acc1"} <= columns
    )


def read_benchmark(runs: Iterable[Mapping[str, Any]], source: str, metric: str = "top1") -> Board:
    """Runs, each as its JSON holds it (of a table: a row with its metrics beside it). Those of another task or metric
    are left out and counted.
    """
    wanted = _METRICS.get(metric, metric)
    rows, without = [], 0
    for run in runs:
        metrics = run.get("metrics", run)
        value = metrics.get(wanted) if isinstance(metrics, Mapping) else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= float(value) <= 1:
            without += 1
            continue
        rows.append({**_about(run), "accuracy": 100 * float(value)})
    cautions = []
    if without:
        message = (
            f"{without} runs have no {wanted} between 0 and 1 (retrieval, several labels); they are left out"
        )
        cautions.append(Caution("left-out", source, message))
    if not rows:
        raise EvaluationError(f"{source}: no run has the metric {wanted!r}")
    return Board(board_rows(pd.DataFrame(rows), source), tuple(cautions))


def _about(run: Mapping[str, Any]) -> dict[str, str]:
    tag = _text(run.get("pretrained"))
    model = _text(run.get("model")) or _text(run.get("arch"))
    # A checkpoint's path says only where somebody's disk had it.
    short = tag.rpartition("/")[2] if "/" in tag and tag.endswith((".pt", ".pth", ".bin", ".ckpt")) else tag
    name = _text(run.get("model_fullname")) or f"{model} {short}".strip()
    data = _text(run.get("upstream_dataset")) or training_data(short) or short
    dataset = _text(run.get("dataset")) or _text(run.get("downstream_dataset"))
    language = _text(run.get("language"))
    task = _text(run.get("task")).replace("_", " ").replace("zeroshot classification", "zero-shot")
    shots = _text(run.get("fewshot_k"))
    config = task if shots in ("", "-1", "-1.0") else f"{task}, {shots} per class"
    spoken = f" ({language})" if language not in ("", "en") else ""
    return {"model": name, "config": config, "data": data, "set": dataset.removeprefix("wds/") + spoken}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else str(value).strip()
