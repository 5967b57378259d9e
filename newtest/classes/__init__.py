"""wnid -> class (lemmas, gloss, hypernyms) -> search queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from newtest.classes.custom import read_classes
from newtest.classes.queries import QueryConfig, queries_of
from newtest.classes.similarity import most_similar, path_similarity
from newtest.classes.wordnet import WordNet, is_wnid, wordnet
from newtest.records import Class

__all__ = [
    "QueryConfig",
    "WordNet",
    "classes_of",
    "is_wnid",
    "most_similar",
    "path_similarity",
    "queries_of",
    "read_classes",
    "wordnet",
]


def classes_of(wnids: Sequence[str], custom: Mapping[str, Class] | None = None) -> list[Class]:
    """The classes of these ids, each once, in their order: a custom class where there is one, else WordNet's.

    WordNet is opened only when it is needed. Raises UsageError (malformed wnid) and ClassError (unknown, no WordNet).
    """
    custom = custom or {}
    return [custom[wnid] if wnid in custom else wordnet().cls(wnid) for wnid in dict.fromkeys(wnids)]
