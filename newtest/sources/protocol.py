"""The seam: a source plans which searches it can answer, and answers one page by page.

Pages, not single images, so that a search can stop after any page and go on later without asking anything twice: a
page carries the cursor of what comes next, and whoever stores the page stores the cursor with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from newtest.records import Class, Image, Query
from newtest.sources.licenses import is_licensed

__all__ = [
    "LOCAL_PAGE",
    "Page",
    "SearchPlan",
    "Source",
    "images_of",
    "matches",
    "only",
    "pages_of",
    "unfiltered",
]

LOCAL_PAGE = 500
"""Images a page, of sources that are at hand."""


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
    """The searches that a source will answer for a class, and sentences on what of them it cannot do."""

    queries: tuple[Query, ...]
    notes: tuple[str, ...] = field(default=())


class Source(Protocol):
    """Where candidates come from. To add one: these three members, a line in ``opening``, the contract tests."""

    @property
    def name(self) -> str:
        """What the catalog calls it. Two sources that may answer differently never share a name."""

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
    for day, after, before in (
        (image.taken_on, query.taken_after, query.taken_before),
        (image.uploaded_on, query.uploaded_after, query.uploaded_before),
    ):
        if day and ((after and day[:10] < after) or (before and day[:10] > before)):
            return False
    if image.license and query.licenses and not is_licensed(image.license, query.licenses):
        return False
    title = (image.title or "").casefold()
    return not any(word.casefold() in title for word in query.exclude)


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
