"""What the readers of other tools' votes share: a vote with its place, and the count of answers that gave none."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from newtest.errors import VotesError
from newtest.reading import jsons
from newtest.votes.tables import VotesTable, table_of

__all__ = ["COLUMNS", "Tally", "Vote", "iso_date", "read_json", "table_of_votes"]

COLUMNS = ("image_id", "wnid", "worker_id", "selected", "hit_id", "submitted_at", "control")
AGAIN = "a second answer of the same person on the same image"

_CONSOLE = re.compile(r"\w{3} (\w{3} \d{1,2} \d\d:\d\d:\d\d) (\w{3,4}) (\d{4})")
_HOURS: Mapping[str, int] = {
    "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""The zones of Amazon's console (Pacific time, as a rule), hours from UTC."""


class Vote(NamedTuple):
    """A vote as another tool recorded it, and where it stands in the file."""

    image_id: str
    wnid: str
    worker_id: str
    selected: int
    hit_id: str | None
    submitted_at: str | None
    control: str | None
    place: str


@dataclass
class Tally:
    """Answers that gave no vote, by reason, and what else a person must know. Filled while a file is read."""

    left_out: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: str, count: int = 1) -> None:
        self.left_out[reason] += count

    def date(self, value: object) -> str | None:
        """A date in ISO 8601; one that cannot be read is counted and left away, the vote stays."""
        found = iso_date(value)
        if found is None and value not in (None, ""):
            self.warnings[f"a date such as {str(value)[:60]!r} cannot be read; these votes have none"] += 1
        return found


def iso_date(value: object) -> str | None:
    """ISO 8601 in UTC of a date as MTurk and Label Studio write it; None for anything else.

    Read are ISO 8601 (a date without a zone is UTC), seconds since 1970 (the AWS command line's), and the form of
    MTurk's console: ``Wed Oct 24 13:11:37 PDT 2018``.
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            moment = datetime.datetime.fromtimestamp(value, datetime.UTC)
        elif found := _CONSOLE.fullmatch(str(value).strip()):
            zone = datetime.timezone(datetime.timedelta(hours=_HOURS[found[2].upper()]))
            text = f"{found[1]} {found[3]}"
            moment = datetime.datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=zone)
        else:
            moment = datetime.datetime.fromisoformat(str(value).strip())
        moment = moment.astimezone(datetime.UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError, KeyError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def table_of_votes(path: Path, votes: Iterable[Vote], tally: Tally) -> VotesTable:
    """The votes as a table to be imported. A person's second vote on a pair is left out and counted.

    Raises VotesError when there is no vote in the file, with the reasons.
    """
    kept: dict[tuple[str, str, str], Vote] = {}
    for vote in votes:
        if kept.setdefault(vote[:3], vote) is not vote:
            tally.leave_out(AGAIN)
    if not kept:
        raise VotesError(f"{path}: there is no vote in it{_reasons(tally.left_out)}; nothing was imported")
    rows: Sequence[Vote] = list(kept.values())
    frame = pd.DataFrame([vote[:-1] for vote in rows], columns=list(COLUMNS), dtype=object)
    warnings = tuple(f"{count} x {text}" for text, count in sorted(tally.warnings.items()))
    table = table_of(frame)
    return replace(
        table, name=str(path), place=lambda row: rows[row].place, left_out=dict(sorted(tally.left_out.items())),
        warnings=warnings, first_counts=True,
    )  # fmt: skip


def read_json(path: Path) -> Any:
    """A file of JSON. Raises VotesError."""
    try:
        return jsons.read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise VotesError(f"{path}: not JSON that can be read ({str(error)[:200]})") from error


def _reasons(left_out: Mapping[str, int]) -> str:
    named = "; ".join(f"{count} x {reason}" for reason, count in sorted(left_out.items()))
    return f" ({named})" if named else ""
