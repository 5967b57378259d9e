"""The seam: a source plans which searches it can answer, and answers one page by page.

Pages, not single images, so that a search can stop after any page and go on later without asking anything twice: a
page carries the cursor of what comes next, and whoever stores the page stores the cursor with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from newtest.records import Class, Image, Query
from newtest.sources.budget import Limits
from newtest.sources.dates import day_bounds
from newtest.sources.licenses import is_licensed

__all__ = [
    "LOCAL_PAGE",
    "Page",
    "SearchPlan",
    "Sifted",
    "Source",
    "images_of",
    "matches",
    "only",
    "pages_of",
    "sifted",
    "unfiltered",
    "why_left_out",
]

LOCAL_PAGE = 500
"""Images per page, of sources that are at hand."""


@dataclass(frozen=True)
class Page:
    """Some results in the source's order. ``cursor`` is where the next page starts, None after the last one.

    ``rejected`` counts entries that could not be read as an image at all (no id).
    """

    images: tuple[Image, ...]
    cursor: str | None
    rejected: int = 0


@dataclass(frozen=True)
class SearchPlan:
    """The searches that a source answers for a class, and sentences on what it cannot do."""

    queries: tuple[Query, ...]
    notes: tuple[str, ...] = field(default=())
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Text of a query -> reason -> entries of a source at hand that are not among its results."""
    unknown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Text of a query -> what is unknown (``day taken``, ...) -> results that are kept though it was asked for."""


class Source(Protocol):
    """Where candidates come from. To add one: these four members, a line in ``opening``, the contract tests."""

    @property
    def name(self) -> str:
        """What the catalog calls it. Two sources that may answer differently never share a name."""

    @property
    def limits(self) -> Limits | None:
        """How much may be asked of it in which time; None where it is at hand."""

    def plan(self, cls: Class, queries: Sequence[Query]) -> SearchPlan:
        """The queries that this source answers: the class's own, or those that were recorded for it."""

    def search(self, query: Query, after: str | None = None) -> Iterator[Page]:
        """The pages of a search, from its beginning or from a page's cursor on.

        Nothing is asked before the first ``next``. Raises SourceError, SourceUnavailable.
        """


def images_of(source: Source, query: Query) -> Iterator[Image]:
    """All images of a search, each once, for those who need no resume."""
    seen = set()
    for page in source.search(query):
        for image in page.images:
            if image.image_id not in seen:
                seen.add(image.image_id)
                yield image


def pages_of(images: Sequence[Image], after: str | None) -> Iterator[Page]:
    """A list that is at hand as pages; the cursor is the number of images before."""
    start = int(after or 0)
    while True:
        end = start + LOCAL_PAGE
        more = end < len(images)
        yield Page(tuple(images[start:end]), str(end) if more else None)
        if not more:
            return
        start = end


def matches(image: Image, query: Query) -> bool:
    """Whether an image may be given for a query, by its dates, licence and title; what is unknown is not filtered."""
    return why_left_out(image, query) is None


def why_left_out(image: Image, query: Query) -> str | None:
    """Why an image may not be given for a query, None where it may. A day that is known to the month or the year alone
    is outside a window where all of its days are."""
    for what, day, after, before in _windows(image, query):
        if day is not None:
            first, last = day_bounds(day)
            if (after and last < after) or (before and first > before):
                return f"{what} outside the window"
    if image.license and query.licenses and not is_licensed(image.license, query.licenses):
        return "of another licence"
    title = (image.title or "").casefold()
    return "with an excluded word" if any(word.casefold() in title for word in query.exclude) else None


def _unknown(image: Image, query: Query) -> Iterator[str]:
    """What a query asks for and nobody knows of an image."""
    for what, day, after, before in _windows(image, query):
        if not (after or before):
            continue
        first, last = day_bounds(day) if day is not None else ("", "")
        if day is None or (after and first < after) or (before and last > before):
            yield f"day {what}"
    if query.licenses and not image.license:
        yield "licence"


def _windows(image: Image, query: Query) -> tuple[tuple[str, str | None, str | None, str | None], ...]:
    return (
        ("taken", image.taken_on, query.taken_after, query.taken_before),
        ("uploaded", image.uploaded_on, query.uploaded_after, query.uploaded_before),
    )


@dataclass(frozen=True)
class Sifted:
    """The images that a query gets of those at hand, how many it does not get and why, and what is unknown of them."""

    images: tuple[Image, ...]
    left_out: Mapping[str, int]
    unknown: Mapping[str, int]


def sifted(images: Iterable[Image], query: Query) -> Sifted:
    """Filter images that are at hand, and count."""
    kept: list[Image] = []
    left_out: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for image in images:
        if (reason := why_left_out(image, query)) is not None:
            left_out[reason] += 1
        else:
            kept.append(image)
            unknown.update(_unknown(image, query))
    return Sifted(tuple(kept), dict(left_out), dict(unknown))


def unfiltered(source: str, query: Query, *, knows: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each filter that the source cannot apply; ``knows``: of taken, uploaded, license."""
    asked = {
        "taken": (query.taken_after or query.taken_before, "the day a photo was taken"),
        "uploaded": (query.uploaded_after or query.uploaded_before, "the day a photo was uploaded"),
        "license": (query.licenses, "licences"),
    }
    return tuple(
        f"{source} does not know {what}: it cannot filter by that, and results are kept unfiltered"
        for name, (value, what) in asked.items()
        if value and name not in knows
    )


def only(query: Query, text: str) -> Query:
    """The same class and window with another text."""
    return replace(query, text=text)
