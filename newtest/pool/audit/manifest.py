"""``audit.json``: what was drawn, as a later run reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.errors import PoolError, UsageError
from newtest.reading.jsons import read_json

__all__ = ["FORMAT", "MANIFEST", "Written", "read_audit"]

FORMAT = "newtest-audit"
MANIFEST = "audit.json"


@dataclass(frozen=True)
class Written:
    """An audit's name and question, the rows of each stratum, and the stratum of each item by its number."""

    audit: str
    question: str
    rows: Mapping[str, int]
    items: Mapping[int, str]


def read_audit(folder: Path) -> Written:
    """The audit in a folder. Raises UsageError where there is none, and PoolError for one that is damaged."""
    path = folder / MANIFEST
    try:
        return _parsed(read_json(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path}: there is no audit; name its folder as `out`") from error
    except (OSError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise PoolError(f"{path}: is not what audit-pool writes ({error}); run audit-pool again") from error


def _parsed(told: Any) -> Written:
    if told["format"] != FORMAT:
        raise ValueError("another format")
    rows = {_text(each["stratum"]): _count(each["rows"]) for each in told["strata"]}
    items = {_count(each["item"]): _text(each["stratum"]) for each in told["items"]}
    drawn = Counter(items.values())
    once = len(rows) == len(told["strata"]) and len(items) == len(told["items"])
    if not once or not rows or set(drawn) != set(rows) or any(drawn[name] > rows[name] for name in rows):
        raise ValueError("its strata and items do not fit each other")
    return Written(_text(told["audit"]), _text(told["config"]["question"]), rows, items)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} in the place of a text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 53:
        raise TypeError(f"{value!r:.40} in the place of a number")
    return value
