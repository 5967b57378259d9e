"""Accuracy tables: a column per set, exact intervals, change and rank change; as Markdown, CSV or LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from newtest.errors import EvaluationError, UsageError
from newtest.evaluation.scoring.results import pick
from newtest.evaluation.scoring.store import StoredSet
from newtest.evaluation.scoring.vote_columns import votes_of
from newtest.intervals import clopper_pearson

__all__ = [
    "Form",
    "accuracy_table",
    "by_column",
    "column_names",
    "image_column",
    "plain_rows",
    "render",
    "table_by",
]

Form = Literal["markdown", "csv", "latex"]


def accuracy_table(
    table: pd.DataFrame, original: str | None = None, sets: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row per model: ``model``, ``group``, and for each set S ``S``, ``S lo``, ``S hi`` (percent;
    Clopper-Pearson 95 %, missing where only an accuracy is known); for each set but the original ``S change``
    (points) and ``S rank`` (ranks gained: the model's rank on the original less its rank on S, among models
    that have both; ties share the best).

    A set called as another column has "(set)" behind its name. Sorted by accuracy on the original (or the first set),
    best first. Raises EvaluationError for unknown sets.
    """
    names = list(sets or dict.fromkeys(table["set"]))
    if original is not None:
        names = [original, *(name for name in names if name != original)]
    columns = column_names(names)
    rows = {name: pick(table, name).set_index("model") for name in names}
    models = sorted(set().union(*(set(part.index) for part in rows.values())))
    found = pd.DataFrame(index=pd.Index(models, name="model"))
    found["group"] = table.groupby("model")["group"].max().reindex(models)
    first = columns[names[0]]
    for set_name in names:
        name, part = columns[set_name], rows[set_name].reindex(models)
        found[name] = part["accuracy"]
        counted = part["n"].fillna(0).gt(0).to_numpy(dtype=bool)
        for column in (f"{name} lo", f"{name} hi"):
            found[column] = np.nan
        low, high = clopper_pearson(part.loc[counted, "k"].astype(int), part.loc[counted, "n"].astype(int))
        found.loc[counted, f"{name} lo"], found.loc[counted, f"{name} hi"] = 100 * low, 100 * high
        if original is not None and set_name != original:
            found[f"{name} change"] = found[name] - found[first]
            both = found[[first, name]].dropna()
            ranks = both.rank(ascending=False, method="min")
            found[f"{name} rank"] = (ranks[first] - ranks[name]).astype("Int64").reindex(models)
    order = found.sort_values([first, "group"], ascending=[False, True], kind="stable", na_position="last")
    return order.reset_index()


def column_names(sets: Sequence[str]) -> dict[str, str]:
    """The column of each set in ``accuracy_table``: its name, with "(set)" behind it where another column has that."""
    taken = {"model", "group"}
    found: dict[str, str] = {}
    for name in sets:
        column = name
        while taken & set(parts := [f"{column}{part}" for part in ("", " lo", " hi", " change", " rank")]):
            column += " (set)"
        taken |= set(parts)
        found[name] = column
    return found


def by_column(correct: pd.DataFrame, column: pd.Series) -> pd.DataFrame:
    """Results a value of any column of the manifest: ``model``, the column, ``k``, ``n``, ``accuracy``,
    ``lo``, ``hi`` (percent).

    ``correct`` has models as its index and images as its columns; ``column`` is indexed by image.
    """
    values = column.reindex(correct.columns)
    name = str(column.name)
    parts = []
    for value, images in values.groupby(values, sort=True, observed=True):
        k = correct[images.index].sum(axis=1).astype(int)
        n = len(images)
        low, high = clopper_pearson(k, n)
        parts.append(
            pd.DataFrame(
                {
                    "model": correct.index,
                    name: value,
                    "k": k.to_numpy(),
                    "n": n,
                    "accuracy": 100 * k.to_numpy() / n,
                    "lo": 100 * low,
                    "hi": 100 * high,
                }
            )
        )
    columns = ["model", name, "k", "n", "accuracy", "lo", "hi"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def table_by(sets: Sequence[StoredSet], column: str) -> pd.DataFrame:
    """``by_column`` over several sets, with a column ``set``. ``frequency`` is cut into bins of a fifth, the
    last closed.

    Raises EvaluationError for a column that a set's images do not have.
    """
    parts = []
    for stored in sets:
        part = by_column(stored.correct, image_column(stored, column))
        part.insert(0, "set", stored.name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def image_column(stored: StoredSet, column: str) -> pd.Series:
    """A column of a set's images, or its bins of frequency. Raises EvaluationError that lists the columns there are."""
    if column == "frequency":
        return frequency_bins(stored.images, stored.name).rename(column)
    if column in stored.images.columns:
        return stored.images[column]
    known = ", ".join(map(str, stored.images.columns))
    raise EvaluationError(
        f"{stored.name}: its images have no column {column!r}; there are {known}, and frequency"
    )


def frequency_bins(images: pd.DataFrame, name: str) -> pd.Series:
    """The selection frequency's bin, "0.0-0.2" to "0.8-1.0", missing where nobody was asked; lower ends
    belong to a bin.

    Raises EvaluationError when the images have no counts.
    """
    if not {"num_selected", "num_shown"} <= set(images.columns):
        raise EvaluationError(
            f"{name}: its images have no num_selected and num_shown, so there is no frequency"
        )
    selected, shown = votes_of(images, name)
    asked = shown > 0
    # 5 k // n in whole numbers: 3 of 5 is in [0.6, 0.8), whatever 0.6 is in binary.
    fifth = np.minimum(5 * np.where(asked, selected, 0) // np.where(asked, shown, 1), 4).astype(int)
    names = np.array([f"{at / 5:.1f}-{(at + 1) / 5:.1f}" for at in range(5)], dtype=object)[fifth]
    return pd.Series(np.where(asked, names, None), index=images.index, name="frequency")


def plain_rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as plain values for JSON; missing is None."""
    columns = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in table.columns]
    names = [str(name) for name in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def render(table: pd.DataFrame, form: str) -> str:
    """The table as text. In Markdown and LaTeX an accuracy and its interval share a cell: ``63.33 [62.38, 64.28]``."""
    if form == "csv":
        return table.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    merged = _merged(table)
    if form == "markdown":
        head = [str(column) for column in merged.columns]
        ruler = ["---" if at == 0 else "---:" for at in range(len(head))]
        return "\n".join(_pipe(row) for row in [head, ruler, *merged.to_numpy().tolist()]) + "\n"
    if form == "latex":
        rows = [merged.columns.tolist(), *merged.to_numpy().tolist()]
        lines = [" & ".join(_latex(str(cell)) for cell in row) + r" \\" for row in rows]
        body = "\n".join(lines[1:])
        return (
            f"\\begin{{tabular}}{{l{'r' * (len(merged.columns) - 1)}}}\n\\toprule\n{lines[0]}\n\\midrule\n{body}\n"
            "\\bottomrule\n\\end{tabular}\n"
        )
    raise UsageError(f"`format` {form}: unknown form; known are markdown, csv, latex")


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    merged = {}
    for column in table.columns:
        name = str(column)
        ends = name.removesuffix(" lo").removesuffix(" hi")
        if (ends != name and ends in table.columns) or name in ("lo", "hi"):
            continue
        low, high = (f"{name} lo", f"{name} hi") if f"{name} lo" in table.columns else ("lo", "hi")
        if low in table.columns and (name == "accuracy" or low != "lo"):
            cells = [
                _cell(value) + ("" if pd.isna(lo) else f" [{lo:.2f}, {hi:.2f}]")
                for value, lo, hi in zip(table[column], table[low], table[high], strict=True)
            ]
        elif name.endswith(" rank"):
            cells = ["" if pd.isna(value) else f"{value:+d}" if value else "0" for value in table[column]]
        elif name.endswith(" change"):
            cells = ["" if pd.isna(value) else f"{value:+.2f}" for value in table[column]]
        else:
            cells = [_cell(value) for value in table[column]]
        merged[name] = cells
    if "group" in merged and not any(merged["group"]):
        del merged["group"]
    return pd.DataFrame(merged, dtype=str)


def _cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _pipe(cells: Sequence[object]) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    escaped = "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in " ".join(text.split()))
    # After the \\ of the row before, a bracket or a star would be its argument.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped
