"""SQL of what a study looks for close pairs by: chosen once, gone on with by every later run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from newtest.catalog.kept import kept

__all__ = ["PairSearch", "choose", "chosen", "drop", "left_out"]


@dataclass(frozen=True)
class PairSearch:
    """``name`` is what a user calls it: ``hash``, ``l2``, ``dssim``, or a model's name. ``metric`` is what its pairs
    are measured in, ``settings`` are its limits, fit for JSON."""

    name: str
    metric: str
    settings: Mapping[str, float | bool]


def choose(catalog: sqlite3.Connection, search: PairSearch, *, at: str) -> None:
    """Look by this from now on; the latest row of a name counts. Saying again what holds adds no row."""
    if chosen(catalog).get(search.name) != search:
        _append(catalog, search, at, dropped=0)


def drop(catalog: sqlite3.Connection, name: str, *, at: str) -> None:
    """No longer compare by this. A name that is not in use adds no row."""
    if found := chosen(catalog).get(name):
        _append(catalog, found, at, dropped=1)


def chosen(catalog: sqlite3.Connection) -> dict[str, PairSearch]:
    """What the study compares by, by name, in the order of the names."""
    rows = catalog.execute(
        "SELECT name, metric, settings FROM pair_searches WHERE search_id IN"
        " (SELECT max(search_id) FROM pair_searches GROUP BY name) AND dropped = 0 ORDER BY name"
    )
    return {
        row[0]: PairSearch(row[0], row[1], kept(row[2], f"how pairs are compared by {row[0]!r}", dict))
        for row in rows
    }


def left_out(catalog: sqlite3.Connection) -> list[str]:
    """Metrics that the study once compared by and does not any more, sorted."""
    used = {search.metric for search in chosen(catalog).values()}
    once = catalog.execute("SELECT DISTINCT metric FROM pair_searches ORDER BY metric")
    return [row[0] for row in once if row[0] not in used]


def _append(catalog: sqlite3.Connection, search: PairSearch, at: str, *, dropped: int) -> None:
    catalog.execute(
        "INSERT INTO pair_searches (name, metric, settings, dropped, chosen_at) VALUES (?, ?, ?, ?, ?)",
        (search.name, search.metric, json.dumps(dict(search.settings), sort_keys=True), dropped, at),
    )
