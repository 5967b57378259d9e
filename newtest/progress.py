"""How far a long piece of work is: one protocol for all stages, which do not know what a terminal is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["PRINTED", "UNWATCHED", "Progress", "watched"]

T = TypeVar("T")


class Progress(Protocol):
    """Who watches: a terminal's bars, a notebook, a log, or nobody."""

    def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
        """``done`` more things are done of the work called ``what``, of ``total`` (None: nobody knows how many)."""

    def say(self, sentence: str) -> None:
        """One sentence that a person should read while the work goes on."""


class _Unwatched:
    def advance(self, what: str, done: int = 1, total: int | None = None) -> None: ...

    def say(self, sentence: str) -> None: ...


class _Printed(_Unwatched):
    def say(self, sentence: str) -> None:
        print(sentence)


PRINTED: Progress = _Printed()
"""Sentences are printed, and no bars are drawn: for scripts."""
UNWATCHED: Progress = _Unwatched()
"""Nobody watches."""


def watched(progress: Progress, what: str, things: Iterable[T], total: int | None = None) -> Iterator[T]:
    """Pass things on; each counts as done when the next is asked for."""
    progress.advance(what, 0, total)
    for thing in things:
        yield thing
        progress.advance(what, 1, total)
