"""Paging past a cap: Flickr gives about the first 4,000 results of one query, so long windows of time are halved.

A cursor is the windows that are still to be asked, the first one at ``page``. The first page of a window tells its
total: above the cap (and longer than a second) the window is split in the middle and both halves are asked; else its
pages follow. A total can be lower than what is there: where a window has brought more than its total, or a last page
was full, pages are asked for until one brings nothing new. No (window, page) comes twice, and nothing is left out
where no single second holds more than the cap.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from newtest.errors import SourceError
from newtest.reading.jsons import parse_json
from newtest.records import Query

__all__ = ["Slices", "seconds_of"]

_FIRST_PHOTO = "1826-01-01"
_FLICKR_BEGAN = "2004-02-10"


@dataclass(frozen=True)
class Slices:
    """``windows`` in seconds since 1970, both ends included; ``axis`` is ``taken`` or ``uploaded``; pages from 1."""

    axis: str
    windows: tuple[tuple[int, int], ...]
    size: int
    page: int = 1

    @classmethod
    def of(cls, query: Query, size: int, today: str) -> Slices:
        """The whole window of a query: by the day taken where only that is limited, else by the day uploaded."""
        taken = bool(query.taken_after or query.taken_before)
        uploaded = bool(query.uploaded_after or query.uploaded_before)
        if taken and not uploaded:
            first, last = query.taken_after or _FIRST_PHOTO, query.taken_before or today
            return cls("taken", (_window(first, last),), size)
        return cls(
            "uploaded",
            (_window(query.uploaded_after or _FLICKR_BEGAN, query.uploaded_before or today),),
            size,
        )

    @classmethod
    def parse(cls, cursor: str) -> Slices:
        """A cursor's text. Raises SourceError when it is not one of ours."""
        try:
            axis, windows, size, page = parse_json(cursor)
            return cls(str(axis), tuple((int(lo), int(hi)) for lo, hi in windows), int(size), int(page))
        except (ValueError, TypeError) as error:
            raise SourceError(
                f"the catalog's cursor {cursor[:80]!r} is not one of Flickr's ({error})"
            ) from error

    def text(self) -> str:
        return json.dumps([self.axis, self.windows, self.size, self.page], separators=(",", ":"))

    def after(self, total: int, cap: int, brought: int, *, repeats: bool = False) -> Slices | None:
        """What is asked next when this page ``brought`` entries and its window has ``total`` results by its own
        account.

        ``repeats``: the page only says again what the one before it said. None when all is done.
        """
        (lo, hi), *rest = self.windows
        if self.page == 1 and total > cap and hi > lo:
            middle = (lo + hi) // 2
            return Slices(self.axis, ((lo, middle), (middle + 1, hi), *rest), self.size)
        below_total = self.page * self.size < total
        beyond_total = brought >= self.size or (self.page - 1) * self.size + brought > total
        goes_on = below_total or (beyond_total and brought > 0 and not repeats)
        if goes_on and self.page * self.size < cap:
            return Slices(self.axis, self.windows, self.size, self.page + 1)
        return Slices(self.axis, tuple(rest), self.size) if rest else None


def seconds_of(day: str, *, end: bool) -> int:
    """The first or the last second of an ISO day, in seconds since 1970, UTC."""
    moment = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) + (86399 if end else 0)


def _window(first: str, last: str) -> tuple[int, int]:
    return seconds_of(first, end=False), seconds_of(last, end=True)
