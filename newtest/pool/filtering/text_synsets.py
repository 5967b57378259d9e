"""DataComp's *text-based* rule: an English caption with a word whose first WordNet synset is in a list.

DataComp asks NLTK for ``wn.synsets(word)[0]`` of each word and looks its offset up among ImageNet-21k's. The
same answer is found here from WordNet's own ``index.noun`` and ``noun.exc`` (version 3.0), without NLTK and a
hundred times faster: a word's first synset is its first noun synset, and a word that is not a noun in any form
is not in a list of nouns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from newtest.config import fingerprint
from newtest.errors import ClassError, PoolError
from newtest.files import text_at
from newtest.pool.filtering.filters import LanguageIs, Rule, Verdict, verdict
from newtest.reading.texts import read_lines
from newtest.wordnet_files import wordnet_folder as find_folder

__all__ = ["HasSynset", "first_noun_synset", "text_based", "wordnet_folder"]

_ENDINGS = (
    ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"),
    ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"),
)  # fmt: skip
"""WordNet's rules of detachment for nouns (morphy(7WN)), in the order in which NLTK tries them."""


@dataclass(frozen=True)
class HasSynset:
    """Some word of the caption has one of ``wnids`` (``n`` and eight digits) as its first synset."""

    wnids: frozenset[str]
    folder: str
    columns: tuple[str, ...] = ("text",)
    reasons: tuple[str, ...] = ("no caption", "no word of the list")
    cost: int = 1

    def keep(self, table: pa.Table) -> Verdict:
        texts = table["text"].to_pylist()
        listed = _lookup(self.folder, self.wnids)
        absent = np.fromiter((text is None for text in texts), np.bool_, len(texts))
        found = np.fromiter((any(map(listed, (text or "").split())) for text in texts), np.bool_, len(texts))
        return verdict(absent, ~found)

    def describe(self) -> dict[str, object]:
        """What a manifest says of it: the list by its length and fingerprint."""
        return {"wnids": len(self.wnids), "wnids_fingerprint": fingerprint(sorted(self.wnids))}


def text_based(listing: Path, folder: Path | None = None) -> Rule:
    """The rule with the wnids of a file, one at the start of each line. Raises PoolError."""
    try:
        lines = read_lines(listing)
    except (OSError, ValueError) as error:
        raise PoolError(f"{listing}: cannot be read as a list of wnids ({error})") from error
    wnids = []
    for number, line in enumerate(lines, 1):
        word = line.split("\t")[0].split(",")[0].split()[:1]
        if not word or word[0].startswith("#"):
            continue
        if not re.fullmatch(r"n\d{8}", word[0]):
            raise PoolError(f"{listing}, line {number}: {word[0]!r} is not a wnid (n and eight digits)")
        wnids.append(word[0])
    if not wnids:
        raise PoolError(f"{listing}: no wnid in this file; list one per line, such as n01443537")
    place = folder or wordnet_folder()
    return Rule("text-synsets", (HasSynset(frozenset(wnids), str(place)), LanguageIs("fasttext")))


def wordnet_folder() -> Path:
    """The folder of WordNet 3.0's nouns (see ``newtest.wordnet_files``). Raises PoolError."""
    try:
        return find_folder("index.noun", "noun.exc")
    except ClassError as error:
        raise PoolError(str(error)) from error


def first_noun_synset(word: str, folder: str) -> str | None:
    """The wnid of the word's first noun synset, base forms included as NLTK's ``synsets`` does; None for no noun."""
    index, exceptions = _wordnet(folder)
    word = word.lower()
    bases = exceptions[word] if word in exceptions else _detached(word)
    return next((index[form] for form in (word, *bases) if form in index), None)


def _detached(word: str) -> list[str]:
    """The forms that one rule makes of a word; NLTK too applies the rules once."""
    return [word[: -len(old)] + new for old, new in _ENDINGS if word.endswith(old)]


@cache
def _lookup(folder: str, wnids: frozenset[str]) -> Callable[[str], bool]:
    """Whether a word's first synset is listed; remembered for the commonest words."""

    @lru_cache(maxsize=1 << 18)
    def listed(word: str) -> bool:
        return first_noun_synset(word, folder) in wnids

    return listed


@cache
def _wordnet(folder: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Lemma -> wnid of its first noun sense, and irregular form -> base forms."""
    index: dict[str, str] = {}
    root = Path(folder)
    try:
        text = text_at(root / "index.noun", "latin-1")
        irregular = text_at(root / "noun.exc", "latin-1")
    except OSError as error:
        raise PoolError(
            f"{folder}: WordNet's index.noun and noun.exc cannot be read ({error.strerror})"
        ) from error
    if "WordNet 3.0" not in text[:2000] and "Version 3.0" not in text[:2000]:
        raise PoolError(
            f"{folder}: this is not WordNet 3.0, and other versions number their synsets differently"
        )
    for line in text.splitlines():
        if not line.startswith("  "):
            fields = line.split()
            # lemma pos synset_cnt p_cnt [pointers...] sense_cnt tagsense_cnt offset [offset...]
            index[fields[0]] = "n" + fields[4 + int(fields[3]) + 2]
    return index, {fields[0]: fields[1:] for line in irregular.splitlines() if (fields := line.split())}
