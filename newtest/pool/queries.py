"""Queries, and which of them a caption contains as whole words: MetaCLIP's substring matching."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from newtest.errors import MissingExtra, PoolError
from newtest.reading.texts import read_lines

__all__ = ["automaton_of", "matches", "normal", "queries_by_language", "read_queries"]


def read_queries(path: Path) -> list[str]:
    """One query per line, trimmed; empty lines and repetitions left out, order kept. Raises PoolError."""
    try:
        lines = read_lines(path)
    except (OSError, ValueError) as error:
        raise PoolError(f"{path}: cannot be read as a list of queries ({error})") from error
    queries = list(dict.fromkeys(query for line in lines if (query := normal(line).strip())))
    if not queries:
        raise PoolError(f"{path}: no queries in this file; write one per line")
    return queries


def queries_by_language(folder: Path) -> dict[str, list[str]]:
    """The queries of each language in a folder of ``en.txt``, ``de.txt``, ...: by the code that the name has.

    Raises PoolError: there is no such file, or one cannot be read.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix == ".txt")
    if not files:
        raise PoolError(f"{folder}: no file of queries here; call them en.txt, de.txt, ... by language")
    return {path.stem: read_queries(path) for path in files}


def matches(automaton: Any, text: str) -> set[int]:
    """The numbers of the queries that a caption contains as whole words."""
    padded = f" {normal(text)} "
    return {number for _, number in automaton.iter(padded)}


def normal(text: str) -> str:
    """Lower case, everything but letters and digits as a space, spaces single: what queries and captions
    are compared as.
    """
    return " ".join(
        "".join(char if char.isalnum() or char in "'-" else " " for char in text.casefold()).split()
    )


def automaton_of(queries: Sequence[str]) -> Any:
    """An Aho-Corasick automaton over queries with a space on either side. Raises MissingExtra."""
    try:
        import ahocorasick
    except ImportError as error:
        raise MissingExtra("pyahocorasick", "pool") from error
    automaton = ahocorasick.Automaton()
    for number, query in enumerate(queries):
        automaton.add_word(f" {query} ", number)
    automaton.make_automaton()
    return automaton
