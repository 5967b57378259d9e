"""What people said of an audit's items, and what it says of all rows: shares with upper bounds.

An item that several people looked at has what most of them said. A bound takes the doubtful ones for a yes: those that
nobody is sure of, those on which people are divided, and those that were skipped. Items behind the last one with a vote
were not reached; what was looked at is a random sample all the same, for items stand in a random order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from newtest.errors import UsageError
from newtest.intervals import finite_upper, stratified_upper
from newtest.pool.audit.manifest import read_audit
from newtest.spreadsheets import read_sheet

__all__ = ["Audited", "StratumShare", "audited"]

_VOTES = {"yes": "yes", "y": "yes", "no": "no", "n": "no", "unsure": "unsure", "u": "unsure", "?": "unsure"}


@dataclass(frozen=True)
class StratumShare:
    """A stratum's ``rows`` and the items of it that were looked at: ``yes``, ``no`` and ``doubtful``.

    ``share`` is of yes among yes and no, None where there is neither; ``at_most`` the one-sided exact upper bound of
    the share of the rows, with doubtful ones as yes.
    """

    stratum: str
    rows: int
    drawn: int
    yes: int
    no: int
    doubtful: int
    share: float | None
    at_most: float


@dataclass(frozen=True)
class Audited:
    """The strata, and the share of all rows, by their sizes; None where a stratum has none."""

    question: str
    level: float
    rows: int
    reviewers: tuple[str, ...]
    strata: tuple[StratumShare, ...]
    divided: int
    unsure: int
    skipped: int
    not_reached: int
    share: float | None
    at_most: float


def audited(folder: Path, answers: Sequence[Path], *, level: float = 0.95) -> Audited:
    """What the answers say of the audit in ``folder``. Raises UsageError, PoolError."""
    if not 0.5 < level < 1:
        raise UsageError(f"`level` is between 0.5 and 1, not {level}")
    told = read_audit(folder)
    items = told.items
    votes = _votes(answers, told.audit, items)
    if not votes:
        raise UsageError(
            f"{', '.join(map(str, answers))}: there is no vote in it; write yes, no or unsure into the column vote"
        )
    last = max(votes)
    judged = {item: _judged(votes.get(item, {})) for item in items if item <= last}
    strata = tuple(_share(name, rows, items, judged, level) for name, rows in told.rows.items())
    counts = Counter(judged.values())
    rows = sum(each.rows for each in strata)
    known = all(each.share is not None for each in strata)
    return Audited(
        question=told.question,
        level=level,
        rows=rows,
        reviewers=tuple(sorted({name for each in votes.values() for name in each})),
        strata=strata,
        divided=counts["divided"],
        unsure=counts["unsure"],
        skipped=counts["skipped"],
        not_reached=len(items) - len(judged),
        share=sum(each.rows * (each.share or 0.0) for each in strata) / rows if known else None,
        at_most=stratified_upper(
            [each.yes + each.doubtful for each in strata],
            [each.yes + each.no + each.doubtful for each in strata],
            [each.rows for each in strata],
            level=level,
        ),
    )


def _share(
    name: str, rows: int, items: Mapping[int, str], judged: Mapping[int, str], level: float
) -> StratumShare:
    found = Counter(said for item, said in judged.items() if items[item] == name)
    yes, no = found["yes"], found["no"]
    doubtful = found.total() - yes - no
    return StratumShare(
        name, rows, sum(each == name for each in items.values()), yes, no, doubtful,
        yes / (yes + no) if yes + no else None,
        finite_upper(yes + doubtful, yes + no + doubtful, rows, level=level),
    )  # fmt: skip


def _judged(votes: Mapping[str, str]) -> str:
    """What most people said of an item: yes, no, unsure; divided where as many said yes as no; skipped."""
    counts = Counter(votes.values())
    if not counts:
        return "skipped"
    if counts["yes"] != counts["no"]:
        return "yes" if counts["yes"] > counts["no"] else "no"
    return "divided" if counts["yes"] else "unsure"


def _votes(answers: Sequence[Path], audit: str, items: Mapping[int, str]) -> dict[int, dict[str, str]]:
    """Item -> reviewer -> vote."""
    found: dict[int, dict[str, str]] = {}
    for path in answers:
        try:
            table = read_sheet(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read as a table of votes ({error})") from error
        table.columns = [str(column).strip().lower() for column in table.columns]
        lacking = [name for name in ("audit", "item", "vote") if name not in table.columns]
        if lacking:
            raise UsageError(
                f"{path}: there is no column {', '.join(lacking)}; save the votes from the audit's page"
            )
        names = table["reviewer"] if "reviewer" in table.columns else [""] * len(table)
        for row, (whose, item, vote, name) in enumerate(
            zip(table["audit"], table["item"], table["vote"], names, strict=True), 1
        ):
            where = f"{path}: row {row}"
            if not (word := str(vote).strip().lower()):
                continue
            if str(whose).strip() != audit:
                raise UsageError(f"{where} is of the audit {str(whose)[:60]!r}, and the folder holds {audit}")
            said = _VOTES.get(word)
            if said is None:
                raise UsageError(f"{where} has the vote {word[:60]!r}; it must be yes, no or unsure")
            number = (
                int(text) if (text := str(item).strip()).isascii() and text.isdigit() and len(text) < 9 else 0
            )
            if number not in items:
                raise UsageError(f"{where} is of item {str(item)[:60]!r}, which the audit does not have")
            reviewer = " ".join(str(name).split())[:60] or path.stem
            if found.setdefault(number, {}).setdefault(reviewer, said) != said:
                raise UsageError(f"{where}: {reviewer} has another vote of item {number} before it")
    return found
