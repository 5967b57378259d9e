"""Results of EleutherAI's lm-eval: ``MODEL/results_*.json``, a model and all its tasks in one file.

The form is that of lm_eval/loggers/evaluation_tracker.py and evaluator_utils.py: ``results`` holds per task
``METRIC,FILTER`` and ``METRIC_stderr,FILTER`` (before 0.4 the bare metric), ``n-shot`` and ``n-samples`` per task,
``model_name`` or ``config.model_args`` the model. A task is a set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.board import Board, board_rows
from newtest.evaluation.scoring.cautions import Caution

__all__ = ["is_lm_eval", "read_lm_eval"]

_FIRST = ("acc", "exact_match", "acc_norm", "em", "pass@1", "mc2", "mc1")
"""Metrics that are shares of right answers, in the order in which one is taken."""
_NAME = re.compile(r"(?:^|,)(?:peft|delta|pretrained|model|path|engine)=([^,]+)")


def is_lm_eval(value: Any) -> bool:
    """Whether a JSON value is what lm-eval writes as results."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("results"), Mapping)
        and all(isinstance(task, Mapping) for task in value["results"].values())
        and bool({"config", "configs", "versions", "n-shot", "model_name"} & set(value))
    )


def read_lm_eval(value: Mapping[str, Any], path: Path, metric: str = "top1") -> Board:
    """One file: a row per task. ``metric`` "top1" takes acc, exact_match, acc_norm or a similar metric, the first that
    a task has; another name takes that one. Tasks without it are left out and named. Raises EvaluationError for no row.
    """
    model = _model(value) or path.parent.name
    rows, without = [], []
    for task, metrics in value["results"].items():
        found = _value(metrics, _FIRST if metric == "top1" else (metric,))
        if found is None:
            without.append(str(task))
            continue
        name, share = found
        n = _images(value, task)
        k = round(share * n) if n and name.partition(",")[0] in ("acc", "exact_match", "acc_norm") else None
        counted = k is not None and n is not None and abs(k - share * n) < 1e-4
        rows.append(
            {
                "model": model,
                "config": _config(value, task, name),
                "set": str(task),
                "k": k if counted else None,
                "n": n if counted else None,
                "accuracy": 100 * share,
            }
        )
    cautions = []
    if without:
        wanted = "share of right answers" if metric == "top1" else metric
        shown = ", ".join(without[:8]) + (f" and {len(without) - 8} more" if len(without) > 8 else "")
        cautions.append(Caution("left-out", path.name, f"tasks without a {wanted}: {shown}", model))
    if not rows:
        raise EvaluationError(f"{path}: no task has a share of right answers")
    return Board(board_rows(pd.DataFrame(rows), path.name), tuple(cautions))


def _value(metrics: Mapping[str, Any], wanted: tuple[str, ...]) -> tuple[str, float] | None:
    """The first wanted metric that is a share; of several filters the one that lm-eval lists first."""
    for name in wanted:
        for key, value in metrics.items():
            bare = str(key).partition(",")[0]
            if bare != name or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if 0 <= value <= 1:
                return str(key), float(value)
    return None


def _model(value: Mapping[str, Any]) -> str:
    if isinstance(name := value.get("model_name"), str) and name:
        return name
    config = value.get("config")
    config = config if isinstance(config, Mapping) else {}
    arguments = config.get("model_args")
    if isinstance(arguments, Mapping):
        for key in ("peft", "delta", "pretrained", "model", "path", "engine"):
            if key in arguments:
                return str(arguments[key])
    elif isinstance(arguments, str) and (found := _NAME.search(arguments)):
        return found[1]
    return str(config.get("model") or "")


def _images(value: Mapping[str, Any], task: str) -> int | None:
    """How many questions there were; None for groups of tasks and old files."""
    counts = value.get("n-samples")
    of_task = counts.get(task) if isinstance(counts, Mapping) else None
    n = of_task.get("effective") if isinstance(of_task, Mapping) else None
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None


def _config(value: Mapping[str, Any], task: str, metric: str) -> str:
    shots = value.get("n-shot")
    count = shots.get(task) if isinstance(shots, Mapping) else None
    if count is None and isinstance(value.get("config"), Mapping):
        count = value["config"].get("num_fewshot")
    return f"{count}-shot, {metric}" if isinstance(count, int) else metric
