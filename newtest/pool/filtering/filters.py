"""Filters: small pure rules over columns. Each answers which rows stay and, for those that do not, why.

A *rule* is a named conjunction of filters, as DataComp's baselines are; ``newtest.pool.filtering.select`` combines
rules by "and" or "or". The thresholds are those of the DataComp paper (Gadre et al. 2023, section 4 and appendix F).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.pool.filtering.language_layer import column_of
from newtest.pool.filtering.quantile import Cut, comparable
from newtest.pool.storage import uids as ids
from newtest.pool.storage.columns import PLACE, Places, Scores, coded, flags, numbers, places

__all__ = [
    "Filter",
    "LanguageIs",
    "Mask",
    "MaxAspect",
    "MinChars",
    "MinSize",
    "MinWords",
    "Rule",
    "ScoreAbove",
    "ScoreCut",
    "Verdict",
    "basic",
    "described",
    "laion2b",
    "verdict",
]

Mask = npt.NDArray[np.bool_]


class Verdict(NamedTuple):
    """The rows that stay, shape (n,), and how many were dropped for each of the filter's reasons, in their order."""

    kept: Mask
    dropped: tuple[int, ...]


class Filter(Protocol):
    """One rule over rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The canonical columns it reads."""
        ...

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it drops rows; ``keep`` counts them in this order."""
        ...

    @property
    def cost(self) -> int:
        """0 for arithmetic over columns, 1 for Python per row, 2 for a model per row: cheap filters are asked first."""
        ...

    def keep(self, table: pa.Table) -> Verdict:
        """Which rows of the table stay."""
        ...


@dataclass(frozen=True)
class Rule:
    """Filters that must all keep a row, under the name that reports use."""

    name: str
    filters: tuple[Filter, ...]
    always: bool = False
    """Whether no other rule can keep what this one drops: under "or" too, it must keep every row that stays."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", tuple(sorted(self.filters, key=lambda each: each.cost)))


@dataclass(frozen=True)
class MinWords:
    """At least ``words`` words, parted at white space as ``str.split`` does."""

    words: int
    columns: tuple[str, ...] = ("text",)
    reasons: tuple[str, ...] = ("no caption", "too few words")
    cost: int = 1

    def keep(self, table: pa.Table) -> Verdict:
        texts = table["text"].to_pylist()
        # What lies behind the words that are asked for need not be parted.
        counts = np.fromiter(
            (-1 if text is None else len(text.split(None, self.words)) for text in texts),
            np.int64,
            len(texts),
        )
        return verdict(counts < 0, counts < self.words)


@dataclass(frozen=True)
class MinChars:
    """At least ``chars`` characters (code points)."""

    chars: int
    columns: tuple[str, ...] = ("text",)
    reasons: tuple[str, ...] = ("no caption", "too few characters")
    cost: int = 0

    def keep(self, table: pa.Table) -> Verdict:
        counts = numbers(pc.utf8_length(pc.cast(table["text"], pa.large_string())))
        return verdict(np.isnan(counts), counts < self.chars)


@dataclass(frozen=True)
class MinSize:
    """The shorter side has at least ``pixels``."""

    pixels: int
    columns: tuple[str, ...] = ("width", "height")
    reasons: tuple[str, ...] = ("size unknown", "too small")
    cost: int = 0

    def keep(self, table: pa.Table) -> Verdict:
        shorter = np.minimum(*_sides(table))
        return verdict(np.isnan(shorter), shorter < self.pixels)


@dataclass(frozen=True)
class MaxAspect:
    """The longer side is at most ``ratio`` times the shorter."""

    ratio: float
    columns: tuple[str, ...] = ("width", "height")
    reasons: tuple[str, ...] = ("size unknown", "too long or too wide")
    cost: int = 0

    def keep(self, table: pa.Table) -> Verdict:
        width, height = _sides(table)
        unknown = ~((width > 0) & (height > 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.maximum(width, height) / np.minimum(width, height)
        return verdict(unknown, ratio > self.ratio)


@dataclass(frozen=True)
class LanguageIs:
    """The caption is in ``language`` (an ISO 639-1 code) by the detector ``fasttext`` or ``cld3``.

    The answers come as a column, from the layer of languages or from the model (``language_layer``).
    """

    detector: str
    language: str = "en"
    reasons: tuple[str, ...] = ("no caption", "other language")
    cost: int = 2

    @property
    def columns(self) -> tuple[str, ...]:
        return ("text", column_of(self.detector))

    def keep(self, table: pa.Table) -> Verdict:
        absent = flags(pc.is_null(table["text"]))
        codes, names = coded(table[column_of(self.detector)])
        wanted = names.index(self.language) if self.language in names else -1
        return verdict(absent, (codes != wanted) | (wanted < 0))


@dataclass(frozen=True)
class ScoreAbove:
    """The score is at least ``least``. A missing score or NaN drops the row under a reason of its own."""

    column: str
    least: float
    reasons: tuple[str, ...] = ("no score", "score below the threshold")
    cost: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def keep(self, table: pa.Table) -> Verdict:
        scores = numbers(table[self.column])
        # In the column's own precision, as pandas, NumPy, DuckDB and Polars compare.
        half = pa.types.is_float16(table[self.column].type)
        with np.errstate(over="ignore"):
            least = np.float16(self.least) if half else scores.dtype.type(self.least)
        return verdict(np.isnan(scores), scores < scores.dtype.type(least))


@dataclass(frozen=True)
class ScoreCut:
    """The row is among the best by score, as ``exact_cut`` found: exactly so many rows, ties by uid."""

    column: str
    fraction: float
    cut: Cut
    reasons: tuple[str, ...] = ("no score", "equal to the cut, higher uid", "score below the cut")
    cost: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,) if self.cut.last is None else (self.column, "uid", PLACE)

    def keep(self, table: pa.Table) -> Verdict:
        scores = numbers(table[self.column])
        kept = self.cut.keep(scores, lambda rows: _identified(table, rows))
        missing = int(np.count_nonzero(np.isnan(scores)))
        tied = 0
        if self.cut.last is not None:
            tied = int(np.count_nonzero((scores == comparable(self.cut.score, scores)) & ~kept))
        dropped = len(scores) - int(np.count_nonzero(kept))
        return Verdict(kept, (missing, tied, dropped - missing - tied))


def basic(detector: str = "fasttext") -> Rule:
    """DataComp's *basic*: English, more than 2 words, more than 5 characters, shorter side >= 200, aspect <= 3."""
    return Rule("basic", (MinSize(200), MaxAspect(3.0), MinChars(6), MinWords(3), LanguageIs(detector)))


def laion2b(score_column: str) -> Rule:
    """DataComp's *laion2b*: English by cld3, and a B/32 score of at least 0.28."""
    return Rule("laion2b", (ScoreAbove(score_column, 0.28), LanguageIs("cld3")))


def described(filters: Iterable[Filter]) -> list[Mapping[str, Any]]:
    """The filters as JSON values for a manifest: their type's name and parameters."""
    result: list[Mapping[str, Any]] = []
    for each in filters:
        if (describe := getattr(each, "describe", None)) is not None:
            result.append({"filter": type(each).__name__, **describe()})
            continue
        fields = {
            name: value
            for name, value in vars(each).items()
            if name not in ("columns", "reasons", "cost") and name[0] != "_"
        }
        result.append(
            {"filter": type(each).__name__, **{key: _plain(value) for key, value in fields.items()}}
        )
    return result


def _plain(value: Any) -> Any:
    if not isinstance(value, Cut):
        return value
    last = None if value.last is None else f"{value.last[0]:016x}{value.last[1]:016x}"
    score = None if np.isnan(value.score) else value.score
    return {
        "score": score,
        "last_uid_among_equal": last,
        "rows": value.wanted,
        "rows_without_score": value.without_score,
    }


def _sides(table: pa.Table) -> tuple[Scores, Scores]:
    return numbers(table["width"]), numbers(table["height"])


def _identified(table: pa.Table, rows: npt.NDArray[np.intp]) -> tuple[ids.Uids, Places]:
    return ids.from_arrow(table["uid"].combine_chunks(), rows=rows), places(table)[rows]


def verdict(*reasons: Mask) -> Verdict:
    """From the rows, shape (n,), that each of a filter's reasons drops; where several apply the first counts."""
    kept = np.ones(len(reasons[0]), np.bool_)
    left, dropped = len(kept), []
    for mask in reasons:
        kept &= ~mask
        before, left = left, int(np.count_nonzero(kept))
        dropped.append(before - left)
    return Verdict(kept, tuple(dropped))
