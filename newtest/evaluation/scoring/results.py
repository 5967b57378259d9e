"""Tables of results: model, set, k of n or accuracy, group, base. Long tables, and the testbed's wide one as it is.

Everything downstream works on one DataFrame: ``model``, ``set``, ``k`` and ``n`` (Int64, missing where only an
accuracy is known), ``accuracy`` (percent), ``group`` and ``base`` (text, "" where there is none).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import EvaluationError
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.cells import MOST_EXACT, Cells, no_set, read_cells
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.units import Unit, percent, refuse_two_units, stray_fractions, unit_of
from newtest.reading.separated import it_has

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

_SIGNED = "newtest: percent signs"
_VALUE = "newtest: accuracy"
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
    paths: Iterable[Path],
    *,
    groups: Path | None = None,
    unit: Unit = "auto",
    metric: str = "top1",
    sets: Sequence[str] = (),
) -> Results:
    """Read result tables (CSV, TSV, Parquet; long or wide) into one.

    A long table has ``model``, ``set`` and either ``accuracy`` or ``k`` and ``n``, optionally ``group`` and ``base``.
    A table with ``model`` and no ``set`` is wide: every other column of accuracies is a set, but for those whose name
    tells that they are not; what is left out is reported, and ``sets`` chooses. ``groups`` is a table of model and
    type; without it a ``model_types.csv`` beside a wide table is taken, as in the testbed.
    A table may have a column ``metric`` (f1, em, ...) with its value in ``accuracy`` or ``value``: ``metric`` picks.
    Raises EvaluationError for files that are no such table.
    """
    parts, left_out = [], []
    cautions: list[Caution] = []
    for path in sorted(paths):
        frame = read_frame(path)
        types = groups or (path.with_name(_TYPES_FILE) if "set" not in frame.columns else None)
        if "model" not in frame.columns:
            raise _no_model(frame, path.name)
        if types is not None and (groups or types.exists()):
            frame = with_groups(frame, types)
            left_out += [
                model for model in _TESTBED_REPEATS if not groups and (frame["model"] == model).any()
            ]
        results = as_results(_of_metric(frame, metric, path), source=path.name, unit=unit, sets=sets)
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


def as_results(
    frame: pd.DataFrame, *, source: str = "table", unit: Unit = "auto", sets: Sequence[str] = ()
) -> Results:
    """Bring a long or wide DataFrame into the form of this module; raises EvaluationError where it cannot be one."""
    if "model" not in frame.columns:
        raise _no_model(frame, source)
    cautions: list[Caution] = []
    if "set" not in frame.columns:
        frame, cautions = _longer(frame, source, sets)
    elif sets:
        frame = _only(frame, sets, source)
    table = pd.DataFrame({"model": frame["model"].astype(str), "set": frame["set"].astype(str)})
    if {"k", "n"} <= set(frame.columns):
        table["k"], table["n"] = (_counts(frame[name], name, source, table) for name in ("k", "n"))
        wrong = (table["k"] > table["n"]) | (table["k"] < 0) | (table["n"] < 0)
        if wrong.fillna(False).any():
            row = table[wrong.fillna(False)].iloc[0]
            raise EvaluationError(
                f"{source}: {row['model']} on {row['set']}: k = {row['k']} of n = {row['n']} cannot be"
            )
        table, frame, unread = _counted(table, frame, source)
        cautions += unread
        n = table["n"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        k = table["k"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        table["accuracy"] = 100 * np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0)
        for name in table.loc[table["n"] == 0, "set"].unique():
            cautions.append(
                Caution("empty-set", source, f"set {name} has no images (n = 0); nothing is known of it")
            )
    elif "accuracy" in frame.columns:
        table["k"] = table["n"] = pd.array([pd.NA] * len(frame), dtype="Int64")
        cells = read_cells(frame["accuracy"], f"{source}: column accuracy", table["model"].tolist())
        if cells.odd.any():
            first = str(frame["accuracy"][cells.odd].iloc[0])
            message = f"{int(cells.odd.sum())} accuracies are not numbers, first {first!r}; they are left out"
            cautions.append(Caution("not-a-number", source, message))
        signed: list[str] = sorted(set(table["set"])) if cells.percent else frame.attrs.get(_SIGNED, [])
        if unit == "auto":
            refuse_two_units(cells.values, table, source, signed)
        if unit == "auto":
            cautions += stray_fractions(cells.values, table, source)
        table["accuracy"], found = percent(
            cells.values, table, source, unit_of(unit, source, signed=bool(signed))
        )
        cautions += found
    else:
        raise EvaluationError(f"{source}: neither 'accuracy' nor 'k' and 'n' among its columns")
    for name in ("group", "base"):
        table[name] = frame[name].astype(object).fillna("").astype(str) if name in frame.columns else ""
    table, repeated = first_of_each(table[list(RESULT_COLUMNS)], source)
    return Results(table, (*cautions, *repeated))


def _counted(
    table: pd.DataFrame, frame: pd.DataFrame, source: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[Caution]]:
    """Both without the rows that lack k or n, and how many these are."""
    known = (table["k"].notna() & table["n"].notna()).to_numpy(dtype=bool)
    if known.all():
        return table, frame, []
    if not known.any():
        raise EvaluationError(f"{source}: no row has both k and n")
    first = table[~known].iloc[0]
    message = (
        f"{int((~known).sum())} rows have no k or no n, first {first['model']!r} on {first['set']!r}; "
        "they are left out"
    )
    return table[known], frame[known], [Caution("not-a-number", source, message)]


def _no_model(frame: pd.DataFrame, source: str) -> EvaluationError:
    return EvaluationError(
        f"{source}: no column 'model'; columns are {', '.join(map(str, frame.columns[:8]))}"
    )


def _only(frame: pd.DataFrame, sets: Sequence[str], source: str) -> pd.DataFrame:
    known = set(frame["set"].astype(str))
    if (unknown := [name for name in sets if name not in known]) and not set(sets) & known:
        raise EvaluationError(f"{source}: no set {unknown[0]!r}; there are {', '.join(sorted(known)[:12])}")
    return frame[frame["set"].astype(str).isin(sets)]


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


def _longer(frame: pd.DataFrame, source: str, chosen: Sequence[str]) -> tuple[pd.DataFrame, list[Caution]]:
    """A row per (model, set) of a wide table, and the columns that are not sets."""
    if (twice := frame.columns[frame.columns.duplicated()]).size:
        raise EvaluationError(f"{source}: two columns are called {str(twice[0])!r}; rename one")
    kept = [name for name in ("model", "group", "base") if name in frame.columns]
    if frame["model"].duplicated().any():
        name = frame.loc[frame["model"].duplicated(), "model"].iloc[0]
        raise EvaluationError(f"{source}: model {name!r} has two rows; rename one, or add a column 'set'")
    others = [str(name) for name in frame.columns if name not in kept]
    if (unknown := [name for name in chosen if name not in others]) and not set(chosen) & set(others):
        raise EvaluationError(f"{source}: no column {unknown[0]!r}; there are {', '.join(others[:12])}")
    models = frame["model"].astype(str).tolist()
    columns: dict[str, npt.NDArray[np.float64]] = {}
    left_out: list[str] = []
    cautions: list[Caution] = []
    signed = []
    for name in chosen or others:
        if name not in others:
            continue
        if not chosen and no_set(name):
            left_out.append(f"{name} (no accuracy, by its name)")
            continue
        cells = read_cells(frame[name], f"{source}: column {name}", models)
        reason = None if chosen else _no_accuracies(cells, frame[name])
        if reason is not None:
            left_out.append(f"{name} ({reason})")
            continue
        signed += [name] if cells.percent else []
        columns[name] = cells.values
        if cells.odd.any():
            first = str(frame[name][cells.odd].iloc[0])
            message = f"set {name}: {int(cells.odd.sum())} cells are not numbers, first {first!r}; they are left out"
            cautions.append(Caution("not-a-number", source, message))
    if left_out:
        message = f"columns that are not sets: {', '.join(left_out)}; choose with `sets`"
        cautions.insert(0, Caution("left-out", source, message))
    if not columns:
        raise EvaluationError(
            f"{source}: no column 'set' and no numeric column that could be a set's accuracies"
            + (f" ({', '.join(left_out)})" if left_out else "")
        )
    wide = pd.concat([frame[kept], pd.DataFrame(columns, index=frame.index)], axis=1)
    # A set may be called "accuracy", too.
    long = wide.melt(id_vars=kept, value_vars=list(columns), var_name="set", value_name=_VALUE)
    long = long.rename(columns={_VALUE: "accuracy"})
    long = long.dropna(subset=["accuracy"]) if long["accuracy"].notna().any() else long
    long.attrs[_SIGNED] = signed
    return long, cautions


def _no_accuracies(cells: Cells, column: pd.Series) -> str | None:
    if not cells.odd.any() and np.isnan(cells.values).all():
        return "empty"
    if not cells.are_numbers:
        return f"text, first {str(column[cells.odd].iloc[0])!r}"
    known = cells.values[~np.isnan(cells.values)]
    return "no value between 0 and 100" if ((known < 0) | (known > 100)).all() else None


def with_groups(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with ``group`` taken from a table of ``model`` and ``type`` (or ``group``). Raises EvaluationError."""
    types = read_frame(path)
    if "model" not in types.columns or not {"type", "group"} & set(types.columns):
        raise EvaluationError(
            f"{path}: a table of groups has the columns 'model' and 'type' (or 'group'); {it_has(types.columns)}"
        )
    column = "type" if "type" in types.columns else "group"
    named = types.drop_duplicates("model").set_index("model")[column]
    return frame.copy().assign(group=frame["model"].map(named))


def _counts(column: pd.Series, name: str, source: str, table: pd.DataFrame) -> pd.Series:
    cells = read_cells(column, f"{source}: column {name}", table["model"].tolist())
    known = cells.values[~np.isnan(cells.values)]
    whole = (known == np.round(known)) & (np.abs(known) <= MOST_EXACT)
    if cells.odd.any() or cells.percent or not whole.all():
        raise EvaluationError(f"{source}: column {name!r} must hold whole numbers")
    return pd.Series(cells.values, index=column.index).round().astype("Int64")
