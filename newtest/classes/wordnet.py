"""WordNet 3.0 nouns read at their byte offsets: the digits of a wnid are the offset of its line in ``data.noun``.

Format of a line (wndb(5WN)): ``offset lex_filenum ss_type w_cnt word lex_id [...] p_cnt [pointer ...] | gloss`` with
``w_cnt`` in hexadecimal, ``p_cnt`` in decimal and a pointer ``symbol offset pos source/target``; ``@`` is a
hypernym, ``@i`` the class of an instance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from newtest.errors import ClassError, UsageError
from newtest.records import Class
from newtest.wordnet_files import find_wordnet

__all__ = ["Synset", "WordNet", "is_wnid", "wordnet"]

_WNID = re.compile(r"n[0-9]{8}")


@dataclass(frozen=True)
class Synset:
    """One noun: its lemmas with spaces, its gloss, and the offsets of its direct hypernyms in WordNet's order."""

    offset: int
    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[int, ...]


def is_wnid(text: str) -> bool:
    """Whether the text has the form of a WordNet noun's id: ``n`` and eight digits."""
    return _WNID.fullmatch(text) is not None


class WordNet:
    """The nouns of one ``data.noun``; synsets are parsed when asked for and kept."""

    def __init__(self, data: bytes, place: str) -> None:
        self._data, self._place = data, place
        self._known: dict[int, Synset] = {}

    def synset(self, wnid: str) -> Synset:
        """The synset of a wnid. Raises UsageError when it is malformed, ClassError when WordNet 3.0 has none."""
        if not is_wnid(wnid):
            raise UsageError(f"{wnid!r} is not a wnid: n and eight digits, such as n01443537")
        found = self._at(int(wnid[1:]))
        if found is None:
            raise ClassError(
                f"{wnid} is not a noun of WordNet 3.0 ({self._place}); check its digits, "
                "or give the class in a file of `classes_file`"
            )
        return found

    def cls(self, wnid: str) -> Class:
        """The class of a wnid. Raises as ``synset`` does."""
        synset = self.synset(wnid)
        distances = self.ancestors(wnid)
        above = [self._must(offset).lemmas[0] for offset in distances if offset != synset.offset]
        return Class(wnid, synset.lemmas, synset.gloss, tuple(above))

    def ancestors(self, wnid: str) -> dict[int, int]:
        """Offset -> steps up, for the synset itself (0) and all its ancestors, nearest first."""
        start = self.synset(wnid).offset
        steps, level = {start: 0}, [start]
        while level:
            above = []
            for offset in level:
                for parent in self._must(offset).hypernyms:
                    if parent not in steps:
                        steps[parent] = steps[offset] + 1
                        above.append(parent)
            level = above
        return steps

    def _must(self, offset: int) -> Synset:
        found = self._at(offset)
        if found is None:
            raise ClassError(f"{self._place}: damaged, there is no synset at byte {offset}; install it again")
        return found

    def _at(self, offset: int) -> Synset | None:
        if offset not in self._known:
            head = b"%08d " % offset
            if self._data[offset : offset + len(head)] != head or self._data[offset - 1 : offset] != b"\n":
                return None
            end = self._data.find(b"\n", offset)
            self._known[offset] = _parse(self._data[offset : end if end >= 0 else None].decode(), offset)
        return self._known[offset]


def _parse(line: str, offset: int) -> Synset:
    head, _, gloss = line.partition("|")
    fields = head.split(" ")
    num_words = int(fields[3], 16)
    words = fields[4 : 4 + 2 * num_words : 2]
    first = 4 + 2 * num_words + 1
    num_pointers = int(fields[first - 1])
    pointers = [fields[first + 4 * i : first + 4 * i + 3] for i in range(num_pointers)]
    hypernyms = tuple(int(target) for symbol, target, pos in pointers if symbol in ("@", "@i") and pos == "n")
    return Synset(offset, tuple(word.replace("_", " ") for word in words), gloss.strip(), hypernyms)


@cache
def wordnet() -> WordNet:
    """This machine's WordNet 3.0, read once per process. Raises ClassError (see ``newtest.wordnet_files``)."""
    (data,), place = find_wordnet("data.noun")
    return WordNet(data, place)
