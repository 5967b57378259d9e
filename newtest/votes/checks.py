"""Checking a table of votes or counts: what cannot be true is named with its place, before anything is
stored.

Votes: image_id, wnid, worker_id, selected; optional hit_id, submitted_at, control. Counts: image_id, wnid,
num_selected, num_shown. Of other columns only those are looked at by which our own tables mark simulated votes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from newtest.errors import VotesError
from newtest.votes.ids import EMPTY, id_texts
from newtest.votes.tables import Chunk, VotesTable

__all__ = ["COUNTS", "OPTIONAL", "VOTES", "checked", "form_of"]

VOTES = ("image_id", "wnid", "worker_id", "selected")
OPTIONAL = ("hit_id", "submitted_at", "control")
COUNTS = ("image_id", "wnid", "num_selected", "num_shown")
MOST_SHOWN = 1_000_000
"""Votes per image, of counts: what follows from them stays exact in 64-bit integers."""

Bools = npt.NDArray[np.bool_]


def form_of(table: VotesTable) -> Literal["votes", "counts"]:
    """Which of the two forms a table has, by its columns. Raises VotesError when it has neither or both."""
    there = set(table.columns)
    votes, counts = there.issuperset(VOTES), there.issuperset(COUNTS)
    if votes and counts:
        raise VotesError(f"{table.name}: has the columns of single votes and of counts; leave one kind out")
    if votes or counts:
        return "votes" if votes else "counts"
    wanted = COUNTS if there & set(COUNTS[2:]) and not there & set(VOTES[2:]) else VOTES
    missing = [column for column in wanted if column not in there]
    raise VotesError(
        f"{table.name}: column {missing[0]!r} is missing; "
        f"votes need {', '.join(VOTES)}, counts need {', '.join(COUNTS)}; "
        f"the file has {', '.join(map(repr, table.columns))[:500] or 'none'}"
    )


def checked(chunk: Chunk, form: Literal["votes", "counts"]) -> pd.DataFrame:
    """The rows in their canonical form: text ids, integers 0 and 1 or counts, None where an optional is empty.

    Raises VotesError naming the first row that cannot be: empty ids, selected other than 0 and 1, counts that are not
    whole numbers or more selected than shown, a word that is not a control or date.
    """
    _refuse_simulated(chunk)
    return _votes(chunk) if form == "votes" else _counts(chunk)


def _refuse_simulated(table: Chunk) -> None:
    """Votes that were simulated in one study must not be people's in another."""
    for column, mark in (("origin", "simulated"), ("simulated", "true")):
        if column in table.frame.columns:
            wrong = (table.frame[column].astype(str).str.lower() == mark).to_numpy()
            _refuse(
                table,
                column,
                wrong,
                lambda _: "the votes are SIMULATED, no person gave them; leave such rows out",
            )


def _votes(table: Chunk) -> pd.DataFrame:
    ids = {column: _text(table, column) for column in VOTES[:3]}
    selected = _whole(table, "selected")
    wrong = ~selected.isin([0, 1]).to_numpy()
    _refuse(table, "selected", wrong, lambda value: f"selected is {value!r}, 0 or 1 is required")
    optional = {column: _optional(table, column) for column in OPTIONAL}
    control = optional["control"]
    wrong = (control.notna() & ~control.isin(["positive", "negative"])).to_numpy()
    _refuse(
        table,
        "control",
        wrong,
        lambda value: f"control is {value!r}; positive, negative or nothing is required",
    )
    optional["submitted_at"] = _dates(table, optional["submitted_at"])
    return pd.DataFrame({**ids, "selected": selected.astype(np.int64), **optional})


def _counts(table: Chunk) -> pd.DataFrame:
    ids = {column: _text(table, column) for column in COUNTS[:2]}
    selected, shown = (_counted(table, column) for column in COUNTS[2:])
    _refuse(
        table,
        "num_shown",
        (shown < 1).to_numpy(),
        lambda value: f"num_shown is {value}; at least 1 is required",
    )
    _refuse(
        table,
        "num_shown",
        (shown > MOST_SHOWN).to_numpy(),
        lambda value: f"num_shown is {value}; at most {MOST_SHOWN:,} can be",
    )
    _refuse(
        table, "num_selected", (selected < 0).to_numpy(), lambda value: f"num_selected is {value}, below 0"
    )
    over = (selected > shown).to_numpy()
    _refuse(table, "num_selected", over, lambda value: f"num_selected is {value}, more than num_shown")
    return pd.DataFrame({**ids, "num_selected": selected, "num_shown": shown})


def _text(table: Chunk, column: str) -> pd.Series[str]:
    texts, why = id_texts(table.frame[column])
    if why:
        first = min(why)
        raise VotesError(
            f"{table.where(first)}: {column} {why[first]}{_others(len(why))}; nothing was imported"
        )
    return pd.Series(texts, index=table.frame.index, dtype=object)


def _optional(table: Chunk, column: str) -> pd.Series[str]:
    if column not in table.frame.columns:
        return pd.Series(None, index=table.frame.index, dtype=object)
    values = table.frame[column]
    if column == "hit_id":
        texts, why = id_texts(values)
        wrong = {row: text for row, text in why.items() if text != EMPTY}
        if wrong:
            first = min(wrong)
            raise VotesError(
                f"{table.where(first)}: {column} {wrong[first]}{_others(len(wrong))}; nothing was imported"
            )
        return pd.Series([text or None for text in texts], index=values.index, dtype=object)
    filled = values.notna() & (values.astype(str) != "")
    return values.astype(str).astype(object).where(filled, None)


def _counted(table: Chunk, column: str) -> pd.Series[int]:
    numbers = _whole(table, column)
    wrong = numbers.isna().to_numpy()
    _refuse(table, column, wrong, lambda value: f"{column} is {value!r}, a whole number is required")
    return numbers.astype(np.int64)


def _whole(table: Chunk, column: str) -> pd.Series[float]:
    """The whole numbers of a column, NaN for anything else: fractions, and text such as "1.0", "yes" or ""."""
    values = table.frame[column]
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        numbers = values.astype("Float64").astype(np.float64)
    else:
        text = values.map(_plain_number).astype(str)
        digits = text.where(text.str.fullmatch(r"-?[0-9]{1,15}"), None)
        numbers = pd.to_numeric(digits, errors="coerce").astype(np.float64)
    return numbers.where(numbers % 1 == 0)


def _plain_number(value: object) -> object:
    """Whole floats and booleans as integers: JSON has both among whole numbers."""
    if isinstance(value, (bool, float)) and value == value and value in (0, 1):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dates(table: Chunk, dates: pd.Series[str]) -> pd.Series[str]:
    """Dates as ISO 8601 in UTC, to the second; a date without a zone is taken to be UTC."""
    known: dict[str, str | None] = {}
    for text in dates.dropna().unique():
        try:
            moment = datetime.datetime.fromisoformat(text)
            moment = moment.astimezone(datetime.UTC) if moment.tzinfo else moment
            known[text] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError):  # the year 1 in another zone
            known[text] = None
    wrong = dates.notna() & dates.map(known).isna()
    _refuse(
        table,
        "submitted_at",
        wrong.to_numpy(dtype=bool),
        lambda value: f"submitted_at is {value!r}, an ISO 8601 date is required",
    )
    return dates.map(known).astype(object).where(dates.notna(), None)


def _refuse(table: Chunk, column: str, wrong: Bools, why: Callable[[object], str]) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        first = int(rows[0])
        value = table.frame[column].iloc[first]
        value = value.item() if hasattr(value, "item") else value
        raise VotesError(f"{table.where(first)}: {why(value)}{_others(rows.size)}; nothing was imported")


def _others(count: int) -> str:
    return "" if count == 1 else f" (and {count - 1} more such rows)"
