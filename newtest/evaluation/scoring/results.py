"""Tables of results: model, set, k of n or accuracy, group, base. Long tables, and the testbed's wide one as it is.

Everything downstream works on one DataFrame: ``model``, ``set``, ``k`` and ``n`` (Int64, missing where only an
accuracy is known), ``accuracy`` (percent), ``group`` and ``base`` (text, "" where there is none).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.frames import read_frame

__all__ = [
    "RESULT_COLUMNS",
    "Results",
    "Unit",
    "as_results",
    "first_of_each",
    "pick",
    "read_results",
    "with_groups",
]

RESULT_COLUMNS = ("model", "set", "k", "n", "accuracy", "group", "base")
Unit = Literal["auto", "percent", "fraction"]

_TYPES_FILE = "model_types.csv"
# The testbed's own plots leave these two out of the line: both repeat the ordinary ResNet-50.
_TESTBED_REPEATS = ("resnet50_aws_baseline", "resnet50_imagenet_100percent_batch64_original_images")


@dataclass(frozen=True)
class Results:
    """A results table (columns ``RESULT_COLUMNS``) and what looked wrong while reading it."""

    table: pd.DataFrame
    cautions: tuple[Caution, ...] = ()
    left_out: tuple[str, ...] = ()
    """Models that stay in the table but are not to be fitted, by the table's own convention."""


def read_results(
    paths: Iterable[Path], *, groups: Path | None = None, unit: Unit = "auto", metric: str = "top1"
) -> Results:
    """Read result tables (CSV, TSV, Parquet; long or wide) into one.

    A long table has ``model``, ``set`` and either ``accuracy`` or ``k`` and ``n``, optionally ``group`` and ``base``.
    A table with ``model`` and no ``set`` is wide: every other numeric column is a set, its cells accuracies. ``groups``
    is a table of model and type; without it a ``model_types.csv`` beside a wide table is taken, as in the testbed.
    A table may have a column ``metric`` (f1, em, ...) with its value in ``accuracy`` or ``value``: ``metric`` picks.
    Raises EvaluationError for files that are no such table.
    """
    parts, left_out = [], []
    cautions: list[Caution] = []
    for path in sorted(paths):
        frame = read_frame(path)
        types = groups or (path.with_name(_TYPES_FILE) if "set" not in frame.columns else None)
        if types is not None and (groups or types.exists()):
            frame = with_groups(frame, types)
            left_out += [
                model for model in _TESTBED_REPEATS if not groups and (frame["model"] == model).any()
            ]
        results = as_results(_of_metric(frame, metric, path), source=path.name, unit=unit)
        parts.append(results.table)
        cautions += results.cautions
    if not parts:
        raise EvaluationError(
            "no results table was named; give a CSV or Parquet file with model, set, and k and n"
        )
    table, repeated = first_of_each(
        pd.concat(parts, ignore_index=True), ", ".join(sorted(path.name for path in paths))
    )
    return Results(table, (*cautions, *repeated), tuple(dict.fromkeys(left_out)))


def first_of_each(table: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Caution]]:
    """The first row of each (model, set), and a caution where there were more."""
    again = table.duplicated(["model", "set"])
    if not again.any():
        return table, []
    first = table[again].iloc[0]
    message = (
        f"{int(again.sum())} rows repeat a (model, set), "
        f"first {first['model']!r} on {first['set']!r}; the first row of each is used"
    )
    kept = table[~again].reset_index(drop=True)
    return kept, [Caution("duplicate-model", source, message, str(first["model"]))]


def as_results(frame: pd.DataFrame, *, source: str = "table", unit: Unit = "auto") -> Results:
    """Bring a long or wide DataFrame into the form of this module; raises EvaluationError where it cannot be one."""
    if "model" not in frame.columns:
        raise EvaluationError(
            f"{source}: no column 'model'; columns are {', '.join(map(str, frame.columns[:8]))}"
        )
    if "set" not in frame.columns:
        frame = _longer(frame, source)
    table = pd.DataFrame({"model": frame["model"].astype(str), "set": frame["set"].astype(str)})
    cautions: list[Caution] = []
    if {"k", "n"} <= set(frame.columns):
        table["k"], table["n"] = (_counts(frame[name], name, source) for name in ("k", "n"))
        wrong = (table["k"] > table["n"]) | (table["k"] < 0) | (table["n"] < 0)
        if wrong.fillna(False).any():
            row = table[wrong.fillna(False)].iloc[0]
            raise EvaluationError(
                f"{source}: {row['model']} on {row['set']}: k = {row['k']} of n = {row['n']} cannot be"
            )
        n = table["n"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        k = table["k"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        table["accuracy"] = 100 * np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
        for name in table.loc[table["n"] == 0, "set"].unique():
            cautions.append(
                Caution("empty-set", source, f"set {name} has no images (n = 0); nothing can be said of it")
            )
    elif "accuracy" in frame.columns:
        table["k"] = table["n"] = pd.array([pd.NA] * len(frame), dtype="Int64")
        values = pd.to_numeric(frame["accuracy"], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if (lost := frame["accuracy"].notna().to_numpy() & np.isnan(values)).any():
            message = (
                f"{int(lost.sum())} accuracies are no numbers, first {str(frame['accuracy'][lost].iloc[0])!r}; "
                "they are left out"
            )
            cautions.append(Caution("not-a-number", source, message))
        table["accuracy"], found = _percent(values, table["set"], source, unit)
        cautions += found
    else:
        raise EvaluationError(f"{source}: neither 'accuracy' nor 'k' and 'n' among its columns")
    for name in ("group", "base"):
        table[name] = frame[name].astype(object).fillna("").astype(str) if name in frame.columns else ""
    table, repeated = first_of_each(table[list(RESULT_COLUMNS)], source)
    return Results(table, (*cautions, *repeated))


def pick(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one set; raises EvaluationError that lists the sets there are."""
    rows = table[table["set"] == name]
    if rows.empty:
        known = sorted(table["set"].unique())
        more = f" and {len(known) - 12} more" if len(known) > 12 else ""
        raise EvaluationError(f"no results on a set {name!r}; sets are {', '.join(known[:12])}{more}")
    return rows


def _of_metric(frame: pd.DataFrame, metric: str, path: Path) -> pd.DataFrame:
    if "metric" not in frame.columns:
        if metric == "top1":
            return frame
        if metric not in frame.columns:
            raise EvaluationError(f"{path}: neither a column {metric!r} nor a column 'metric'")
        return frame.drop(columns=["k", "n", "accuracy"], errors="ignore").rename(
            columns={metric: "accuracy"}
        )
    known = sorted(frame["metric"].astype(str).unique())
    wanted = known[0] if metric == "top1" and len(known) == 1 else metric
    rows = frame[frame["metric"].astype(str) == wanted]
    if rows.empty:
        raise EvaluationError(
            f"{path}: no metric {metric!r}; there are {', '.join(known)} (choose with `metric`)"
        )
    return rows.drop(columns="metric").rename(columns={"value": "accuracy"})


def _longer(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    kept = [name for name in ("model", "group", "base") if name in frame.columns]
    if frame["model"].duplicated().any():
        name = frame.loc[frame["model"].duplicated(), "model"].iloc[0]
        raise EvaluationError(f"{source}: model {name!r} has two rows; rename one, or add a column 'set'")
    sets = [name for name in frame.columns if name not in kept and pd.api.types.is_numeric_dtype(frame[name])]
    if not sets:
        raise EvaluationError(
            f"{source}: no column 'set' and no numeric column that could be a set's accuracies"
        )
    long = frame.melt(id_vars=kept, value_vars=sets, var_name="set", value_name="accuracy")
    return long.dropna(subset=["accuracy"]) if long["accuracy"].notna().any() else long


def with_groups(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with ``group`` taken from a table of ``model`` and ``type`` (or ``group``). Raises EvaluationError."""
    types = read_frame(path)
    if "model" not in types.columns or not {"type", "group"} & set(types.columns):
        raise EvaluationError(f"{path}: a table of groups has the columns 'model' and 'type' (or 'group')")
    column = "type" if "type" in types.columns else "group"
    named = types.drop_duplicates("model").set_index("model")[column]
    return frame.copy().assign(group=frame["model"].map(named))


def _counts(values: pd.Series, name: str, source: str) -> pd.Series:
    try:
        return pd.to_numeric(values).astype("Int64")
    except (TypeError, ValueError):
        raise EvaluationError(f"{source}: column {name!r} must hold whole numbers") from None


def _percent(
    values: np.ndarray, sets: pd.Series, source: str, unit: Unit
) -> tuple[np.ndarray, Sequence[Caution]]:
    known = values[~np.isnan(values)]
    if known.size and (known.min() < 0 or known.max() > 100):
        worst = known.min() if known.min() < 0 else known.max()
        raise EvaluationError(f"{source}: an accuracy of {worst:g} cannot be; percentages lie in [0, 100]")
    if unit == "fraction" or (unit == "auto" and known.size and known.max() <= 1):
        if known.size and known.max() > 1:
            raise EvaluationError(f"{source}: {known.max():g} is no fraction; use `unit` percent")
        message = (
            "no accuracy is above 1: read as fractions and multiplied by 100 "
            "(`unit` percent if they are percentages)"
        )
        return values * 100, [] if unit == "fraction" else [Caution("fractions", source, message)]
    cautions = []
    highest = pd.Series(values, index=sets.to_numpy()).groupby(level=0).max()
    for name in highest[(highest <= 1) & (highest > 0)].index if unit == "auto" else ():
        message = (
            f"set {name}: no accuracy is above 1 while other sets are in percent: "
            "fractions among percentages? read as percent"
        )
        cautions.append(Caution("fractions", source, message))
    return values, cautions
