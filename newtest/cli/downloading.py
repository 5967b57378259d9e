"""Downloads on a terminal: how fast they come, what waits for hosts that throttle, and when it will all be there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from newtest.cli.options import note, print_table

if TYPE_CHECKING:
    from newtest.download import HostTraffic, Traffic
    from newtest.fetching import FetchConfig, FetchSummary
    from newtest.study import Study

__all__ = ["Pacer", "fetched", "report"]

_LATELY = 30.0
"""Seconds over which the rate is taken."""


def fetched(study: Study, config: FetchConfig) -> FetchSummary:
    """Download what a study lacks, with a bar."""
    from newtest.catalog.files import wanted
    from newtest.fetching import fetch_missing

    with _bar(len(wanted(study.catalog, config.max_attempts))) as pacer:
        return fetch_missing(study, config, progress=pacer, watch=pacer.watch)


def report(summary: FetchSummary, max_attempts: int) -> None:
    """The end of a run, for a person: what came, and what did not by kind."""
    rate = summary.fetched / summary.seconds if summary.seconds else 0.0
    note(
        f"{summary.fetched} images fetched ({summary.num_bytes / 2**20:.1f} MiB, {rate:.0f} per second), "
        f"{summary.failed} failed, {summary.gone} gone for good"
    )
    if summary.kinds:
        print_table(["not fetched", "images"], summary.kinds.items())
    if summary.animated:
        note(f"{summary.animated} hold several pictures: the first is shown")
    if summary.left_out:
        note(left_out_line(summary.left_out, max_attempts))


def left_out_line(left: dict[str, dict[str, int]], max_attempts: int) -> str:
    """One line about the images without bytes, whichever run they failed in."""
    endings = {
        "next_run": "the next newtest fetch asks for again",
        "given_up": f"given up after {max_attempts} runs: a larger `max_attempts` asks for them again",
        "gone": "gone for good",
    }
    parts = []
    for what, ending in endings.items():
        if kinds := left.get(what):
            why = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
            parts.append(f"{sum(kinds.values())} {ending} ({why})")
    return f"without bytes: {'; '.join(parts)}. newtest fetch --failures lists them"


class Pacer:
    """Turns what comes, and what waits, into a bar's numbers and a sentence. ``show`` gets (images done, sentence)."""

    def __init__(
        self, total: int, show: Callable[[int, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._show, self._clock = total, show, clock
        self._done = 0
        self._marks: list[tuple[float, int]] = [(clock(), 0)]
        self._paced: tuple[HostTraffic, ...] = ()

    def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
        """So many more images have ended; thumbnails, which come after, are not counted."""
        if what == "downloading":
            self._done += done
            self._tell()

    def say(self, sentence: str) -> None:
        """Sentences go to stderr as everywhere."""
        note(sentence)

    def watch(self, traffic: Traffic) -> None:
        """How the downloads stand; called once a second."""
        self._paced = traffic.paced
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        self._marks = [mark for mark in self._marks if now - mark[0] <= _LATELY] or self._marks[-1:]
        since, before = self._marks[0]
        rate = (self._done - before) / max(now - since, 1.0)
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self._done))
        self._show(self._done, self._sentence(rate))

    def _sentence(self, rate: float) -> str:
        parts = [f"{rate:.1f} per second"]
        waiting = sum(host.waiting for host in self._paced)
        ends = [host.seconds for host in self._paced]
        free = self._total - self._done - waiting
        if free > 0:
            ends.append(free / rate if rate else None)
        for host in sorted(self._paced, key=lambda host: -host.waiting)[:1]:
            pace = f"{60 * host.rate:.0f} per minute" if host.rate else "its pace is being learned"
            rest = f", rests {host.rest:.0f} s" if host.rest >= 1 else ""
            parts.append(f"{waiting} wait for {_short(host.host)} ({pace}{rest})")
        known = [end for end in ends if end is not None]
        if known and len(known) == len(ends):
            parts.append(f"ends in {_duration(max(known))}")
        return " · ".join(parts)


@contextmanager
def _bar(total: int) -> Iterator[Pacer]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[sentence]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("fetch", total=total, sentence="")
        yield Pacer(total, lambda done, sentence: bar.update(task, completed=done, sentence=sentence))


def _short(host: str) -> str:
    """A host's name, as much of its end as a line has room for."""
    return host if len(host) <= 40 else "..." + host[-37:]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
