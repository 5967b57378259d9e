"""Somebody who watches a long piece of work, and remembers what was shown."""

from __future__ import annotations

__all__ = ["Watcher"]


class Watcher:
    """``shown`` holds every (what, done, total), ``said`` every sentence."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int, int | None]] = []
        self.said: list[str] = []

    def advance(self, what: str, done: int = 1, total: int | None = None) -> None:
        self.shown.append((what, done, total))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
