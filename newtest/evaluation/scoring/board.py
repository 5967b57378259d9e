"""Published results of many models: one form for the tables and files of other people's leaderboards.

A row is a model in a configuration on a set. ``BOARD_COLUMNS``: ``model``, ``config`` (how it was run: image size,
shots; "" where the source has none), ``data`` (what it was trained on, as far as the source says), ``group``, ``set``,
``k`` and ``n`` (Int64, missing where only an accuracy is known), ``accuracy`` (percent), ``source`` (the file).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from newtest.evaluation.scoring.cautions import Caution

__all__ = ["BOARD_COLUMNS", "Board", "board_rows", "first_rows", "training_data"]

BOARD_COLUMNS = ("model", "config", "data", "group", "set", "k", "n", "accuracy", "source")
MOST_APART = 0.011
"""Points between two files' accuracies of one cell that rounding explains."""

_DATA = re.compile(
    r"clip|in1k|in12k|in21k|in22k|in22ft1k|inat\d+|places\d*|laion\w*|openai|webli|wit\d*m?|dfn\d+b|datacomp\w*|"
    r"commonpool\w*|merged2b|metaclip\w*|fullcc\w*|m30m|m38m|lvd\d+m|sat\d+m|yfcc\w*|cc12m|ig1b|jft\w*|ig\d+\w*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Board:
    """``table`` has ``BOARD_COLUMNS``; ``repeats`` are models that are shown and not fitted, by their table's own
    convention.
    """

    table: pd.DataFrame
    cautions: tuple[Caution, ...] = ()
    repeats: tuple[str, ...] = ()


def board_rows(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows of a frame that has at least model, set and accuracy, in the form of ``BOARD_COLUMNS``."""
    table = pd.DataFrame(index=range(len(frame)))
    for name in ("model", "config", "data", "group", "set"):
        table[name] = frame[name].fillna("").astype(str).to_numpy() if name in frame.columns else ""
    for name in ("k", "n"):
        known = frame[name] if name in frame.columns else [pd.NA] * len(frame)
        table[name] = pd.array(list(known), dtype="Int64")
    table["accuracy"] = np.asarray(frame["accuracy"], dtype=np.float64)
    table["source"] = source
    return table[list(BOARD_COLUMNS)]


def training_data(tag: str) -> str:
    """The training data that a tag names, in its order: ``fb_in22k_ft_in1k`` says "in22k + in1k"; "" if it says none.

    Tags are those of timm (behind the dot of a name) and of open_clip (``laion2b_s34b_b79k``).
    """
    found = [part.lower() for part in re.split(r"[_\-.]", tag) if _DATA.fullmatch(part)]
    if any(part != "clip" and not part.startswith("in") for part in found):
        found = [part for part in found if part != "clip"]  # "clip" alone says that it was image-text data
    return " + ".join(dict.fromkeys(found))


def first_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Caution]]:
    """The first row of each (model, config, set). Where files differ about a cell, that is reported."""
    keys = ["model", "config", "set"]
    again = table.duplicated(keys)
    if not again.any():
        return table, []
    kept = table[~again]
    both = table[again].merge(kept, on=keys, suffixes=("", " first"))
    apart = both[(both["accuracy"] - both["accuracy first"]).abs() > MOST_APART]
    cautions = []
    if len(apart):
        row = apart.iloc[0]
        message = (
            f"{len(apart)} cells differ from those of another row, first {row['model']!r} on {row['set']!r}: "
            f"{row['accuracy first']:.2f} % in {row['source first']}, {row['accuracy']:.2f} % here; the first is used"
        )
        cautions.append(Caution("duplicate-model", str(row["source"]), message, str(row["model"])))
    return kept.reset_index(drop=True), cautions


def joined(parts: Iterable[Board]) -> Board:
    """Several boards as one, in their order."""
    parts = list(parts)
    table, cautions = first_rows(pd.concat([part.table for part in parts], ignore_index=True))
    said: Sequence[Caution] = [caution for part in parts for caution in part.cautions]
    repeats = dict.fromkeys(model for part in parts for model in part.repeats)
    return Board(table, (*said, *cautions), tuple(repeats))
