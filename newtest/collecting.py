"""The stage that finds candidates: searches a source page by page until each class has its quota.

Every page is one transaction: its results, where the next one starts, and the candidates that the quota takes from it.
So kill -9 loses at most the page that was being asked, and the next run asks for that one again and for no other. Which
results become candidates follows from the rows alone (``newtest.quota``): the same catalog, however often interrupted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from newtest.catalog import searches, transaction
from newtest.catalog.classes import put_classes
from newtest.catalog.images import clashing
from newtest.classes import QueryConfig, queries_of
from newtest.config import fingerprint
from newtest.errors import SourceError, SourceUnavailable
from newtest.progress import UNWATCHED, Progress
from newtest.quota import Share, share
from newtest.records import Class, Query
from newtest.sources import Budget, Page, SearchPlan, Source, budget_of
from newtest.study import Study

__all__ = ["CollectConfig", "Found", "budget", "collect", "count", "left_out_line"]


@dataclass(frozen=True)
class CollectConfig:
    """``max_images`` a class, shared by its queries; ``options`` make the queries, the same for every class."""

    max_images: int = 200
    options: QueryConfig = field(default_factory=QueryConfig)


@dataclass(frozen=True)
class Found:
    """One query's end. ``known`` results were candidates of the class already, or became so by another query."""

    wnid: str
    query: str
    search_id: str
    found: int
    new: int
    known: int
    failed: int
    error: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason -> entries that the source has and that are not candidates: outside the window, no URL, ..."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """What is unknown of results that are kept though it was asked for (``day taken``, ...) -> results."""


def budget(
    study: Study, source: Source, classes: Sequence[Class], config: CollectConfig | None = None
) -> Budget | None:
    """What a collection will have to ask of its source at least; None for a source that is at hand.

    Classes that have their quota already are not counted.
    """
    config = config or CollectConfig()
    if source.limits is None:
        return None
    counts = []
    for cls in classes:
        queries = source.plan(cls, queries_of(cls, config.options)).queries
        ids = [fingerprint(source.name, query) for query in queries]
        if not searches.satisfied(study.catalog, ids, config.max_images):
            counts.append(len(queries))
    return budget_of(source.limits, config.max_images, counts)


def left_out_line(report: Sequence[Found]) -> str | None:
    """What was left out and why, and what is unknown of what was kept, in one line; None where there is neither."""
    left: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for entry in report:
        left.update(entry.left_out)
        unknown.update(entry.unknown)
    parts = [
        f"{what}: {', '.join(f'{number} {reason}' for reason, number in counts.most_common())}"
        for what, counts in (("left out", left), ("kept though unknown", unknown))
        if counts
    ]
    return "; ".join(parts) or None


def collect(
    study: Study,
    source: Source,
    classes: Sequence[Class],
    config: CollectConfig | None = None,
    progress: Progress = UNWATCHED,
) -> list[Found]:
    """Collect candidates for the classes; one entry per query, in their order. Nothing is downloaded.

    A search that fails is an entry with its error, and the next class goes on; once the source says that nothing more
    can be asked of it, the rest is not asked. Raises StudyError when another process collects for this study.
    """
    config = config or CollectConfig()
    report: list[Found] = []
    said: set[str] = set()
    with study.exclusive("collect"):
        for cls in classes:
            stage = _ClassStage(study, source, cls, config, progress)
            for sentence in stage.notes:
                if sentence not in said:  # once, however many classes it holds for
                    progress.say(sentence)
            said.update(stage.notes)
            report += stage.run()
            if stage.unavailable:
                break
    return report


def count(study: Study, report: Sequence[Found]) -> list[Found]:
    """The same entries with ``failed`` counted anew, after the fetcher has been at work."""
    return [
        replace(
            entry,
            failed=(counted := searches.tally(study.catalog, entry.search_id)).failed,
            left_out=_reasons(entry.left_out, counted),
        )
        for entry in report
    ]


def _reasons(planned: Mapping[str, int], counted: searches.SearchCounts) -> dict[str, int]:
    """Why entries are not candidates, with those that only the results, and later the downloads, show."""
    found = {
        "unreadable": counted.rejected,
        "without a URL": counted.without_url,
        "whose bytes did not come": counted.not_fetched,
    }
    return {**planned, **{reason: number for reason, number in found.items() if number}}


class _ClassStage:
    """The collection of one class."""

    def __init__(
        self, study: Study, source: Source, cls: Class, config: CollectConfig, progress: Progress
    ) -> None:
        self._catalog, self._source, self._cls = study.catalog, source, cls
        self._quota, self._progress = config.max_images, progress
        plan: SearchPlan = source.plan(cls, queries_of(cls, config.options))
        self._plan = plan
        self._queries = {fingerprint(source.name, query): query for query in plan.queries}
        self._new = dict.fromkeys(self._queries, 0)
        self._taken = dict.fromkeys(self._queries, 0)  # of each search, by this run: more only ever follows
        self._errors: dict[str, str] = {}
        self._pages: dict[str, Iterator[Page]] = {}
        self.notes = plan.notes
        self.unavailable = False

    def run(self) -> list[Found]:
        with transaction(self._catalog):
            put_classes(self._catalog, [self._cls])
            for search_id, query in self._queries.items():
                searches.open_search(self._catalog, search_id, self._source.name, query)
            wanted = self._take()
        while wanted is not None:
            try:
                page = next(self._pages_of(wanted))
                self._check(page)
            except SourceError as error:
                self._fail(wanted, error)
                break
            with transaction(self._catalog):
                searches.add_page(self._catalog, wanted, page.images, page.cursor, page.rejected)
                wanted = self._take()
        else:
            with transaction(self._catalog):
                for search_id in self._queries:
                    searches.rest(self._catalog, search_id)
        return [self._found(search_id, query) for search_id, query in self._queries.items()]

    def _check(self, page: Page) -> None:
        """Raises SourceError when a table's own id would make two images one."""
        if clash := clashing(self._catalog, page.images):
            raise SourceError(
                f"{self._source.name}: the image_id {clash[0]!r} names another image of this study already "
                f"({len(clash)} such ids); give the table ids of its own"
            )

    def _pages_of(self, search_id: str) -> Iterator[Page]:
        if search_id not in self._pages:
            cursor = searches.search_of(self._catalog, search_id).cursor
            self._pages[search_id] = self._source.search(self._queries[search_id], cursor)
        return self._pages[search_id]

    def _take(self) -> str | None:
        """Make candidates of what the quota takes by now; the search to be asked next, None at the end."""
        ids = list(self._queries)
        found = [[key for key, usable in searches.results(self._catalog, search) if usable] for search in ids]
        more = [searches.search_of(self._catalog, search).state == "open" for search in ids]
        shared: Share = share(self._quota, found, more)
        for search_id, image_ids in zip(ids, shared.taken, strict=True):
            fresh = image_ids[self._taken[search_id] :]
            new = searches.take(self._catalog, search_id, self._cls.wnid, fresh)
            self._taken[search_id] += len(fresh)
            self._new[search_id] += new
            self._progress.advance("candidates", new)
        return None if shared.wanted is None else ids[shared.wanted]

    def _fail(self, search_id: str, error: SourceError) -> None:
        self._errors[search_id] = str(error)
        self.unavailable = isinstance(error, SourceUnavailable)
        with transaction(self._catalog):
            searches.fail(self._catalog, search_id, str(error))

    def _found(self, search_id: str, query: Query) -> Found:
        counted = searches.tally(self._catalog, search_id)
        new = self._new[search_id]
        return Found(
            self._cls.wnid,
            query.text,
            search_id,
            counted.found,
            new,
            counted.candidates - new,
            counted.failed,
            self._errors.get(search_id),
            _reasons(self._plan.left_out.get(query.text, {}), counted),
            self._unknown(query, counted),
        )

    def _unknown(self, query: Query, counted: searches.SearchCounts) -> dict[str, int]:
        """What nobody knows of the results that are kept: said by a source at hand, else seen in what it brought."""
        unknown = dict(self._plan.unknown.get(query.text, {}))
        if (query.taken_after or query.taken_before) and counted.undated:
            unknown.setdefault("day taken", counted.undated)
        return unknown
