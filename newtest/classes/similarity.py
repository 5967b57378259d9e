"""Which classes are near each other: WordNet's path similarity.

``1 / (1 + d)``, d the number of edges of the shortest path through a common ancestor (larger is more similar; 1 for
the class itself). ImageNetV2 took the negative controls of a HIT from the nearest other classes by this measure; its
published lists of similar wnids come out, ties in the order of the wnids.
"""

from __future__ import annotations

from collections.abc import Iterable

from newtest.classes.wordnet import WordNet, wordnet

__all__ = ["most_similar", "path_similarity"]


def path_similarity(a: str, b: str, nouns: WordNet | None = None) -> float:
    """Path similarity of two wnids, in (0, 1]; 0.0 when they share no ancestor. Raises as ``WordNet.synset``."""
    nouns = nouns or wordnet()
    return _similarity(nouns.ancestors(a), nouns.ancestors(b))


def most_similar(
    wnid: str, among: Iterable[str], count: int, nouns: WordNet | None = None
) -> list[tuple[str, float]]:
    """The ``count`` wnids of ``among`` nearest to ``wnid`` (itself left out), nearest first, ties by wnid."""
    nouns = nouns or wordnet()
    own = nouns.ancestors(wnid)
    scored = [(other, _similarity(own, nouns.ancestors(other))) for other in set(among) if other != wnid]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:count]


def _similarity(a: dict[int, int], b: dict[int, int]) -> float:
    shared = a.keys() & b.keys()
    return 1 / (1 + min(a[offset] + b[offset] for offset in shared)) if shared else 0.0
