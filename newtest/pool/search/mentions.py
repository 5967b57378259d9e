"""Which classes a caption names: its lemmas as whole words, all of them in one pass over the caption.

As for LAIONet (Shirali & Hardt 2023, arXiv 2306.15769), whose substring matching ImageNot (Salaudeen & Hardt 2024,
arXiv 2404.02112) took over, but at word borders: "car" is not in "scarred". A lemma inside a longer one is not a
mention of its own: "tiger shark" names no tiger. Case, punctuation and runs of spaces do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from newtest.errors import UsageError
from newtest.pool.queries import automaton_of
from newtest.records import Class

__all__ = ["Mentions", "definition_of", "normal"]


class _Letters(dict[int, str]):
    """For ``str.translate``: a letter, a digit, ' and - as they are, everything else as a space."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = char if char.isalnum() or char in "'-" else " "
        return self[code]


_LETTERS = _Letters()


def normal(text: str) -> str:
    """What captions and lemmas are compared as; the same as ``newtest.pool.queries.normal``, five times as fast."""
    return " ".join(text.casefold().translate(_LETTERS).split())


def definition_of(cls: Class) -> str:
    """A class as the text that captions are compared with: its name and its short definition, without examples.

    LAIONet's choice among several (github.com/alishiraliGit/eval-on-laion, readme, ``QueryType.NAME_DEF``).
    """
    definition = cls.gloss.split('; "')[0].strip().rstrip(";")
    return f"{cls.name}, {definition}" if definition else cls.name


class Mentions:
    """The lemmas of some classes as one automaton. ``terms`` are the lemmas as they are compared, each once, sorted.

    Raises UsageError for a class without a lemma that has a letter or digit, MissingExtra without pyahocorasick.
    """

    def __init__(self, classes: Sequence[Class]) -> None:
        numbers: dict[str, set[int]] = {}
        for number, cls in enumerate(classes):
            lemmas = {term for lemma in cls.lemmas if (term := normal(lemma))}
            if not lemmas:
                raise UsageError(f"class {cls.wnid} has no lemma that a caption could hold: {cls.lemmas!r}")
            for term in lemmas:
                numbers.setdefault(term, set()).add(number)
        self.terms = tuple(sorted(numbers))
        self.classes = tuple(tuple(sorted(numbers[term])) for term in self.terms)
        """The numbers of the classes that each term is a lemma of."""
        self._lengths = [len(term) + 2 for term in self.terms]
        self._automaton: Any = automaton_of(self.terms)

    def of(self, text: str) -> tuple[int, ...]:
        """The numbers of the terms that a caption mentions, each once, ascending."""
        padded = f" {normal(text)} "
        if "'" in padded:  # a quoted word is that word
            padded = padded.replace(" '", " ").replace("' ", " ")
        hits = list(self._automaton.iter(padded))
        if len(hits) < 2:
            return tuple(number for _, number in hits)
        spans = [(end - self._lengths[number], end, number) for end, number in hits]
        return tuple(
            sorted({number for start, end, number in spans if not _inside(start, end, number, spans)})
        )


def _inside(start: int, end: int, number: int, spans: Sequence[tuple[int, int, int]]) -> bool:
    """Whether a mention is a part of a longer one."""
    return any(
        first <= start and end <= last and (first, last) != (start, end) and other != number
        for first, last, other in spans
    )
