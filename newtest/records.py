"""The records that cross rooms: frozen, typed, made once.

An image is known before its bytes are. A *candidate* is the pair (image, wnid): one photo may serve two classes.
A selection frequency is two counts, never only their ratio.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Class", "Image", "Query", "SelectionFrequency", "image_id_of"]


def image_id_of(source: str, source_id: str) -> str:
    """The id of an image: 40 hex digits, sha1 of ``source_id + source``.

    This is ImageNetV2's own rule for a photo's first class (``sha1(flickr_id + "flickr")``), so a photo that was
    recorded in 2018 and one that Flickr serves today carry the same id.
    """
    return hashlib.sha1((source_id + source).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Class:
    """A class of the test set. ``wnid`` is ``n`` and eight digits for WordNet 3.0 nouns, else a user's own id."""

    wnid: str
    lemmas: tuple[str, ...]
    gloss: str = ""
    hypernyms: tuple[str, ...] = ()
    """First lemma of each ancestor, nearest first."""
    origin: str = "wordnet-3.0"

    @property
    def name(self) -> str:
        return self.lemmas[0]


@dataclass(frozen=True)
class Query:
    """One search: a text for one class, in a window of dates. Dates are ISO ``YYYY-MM-DD``, both ends included."""

    wnid: str
    text: str
    exclude: tuple[str, ...] = ()
    taken_after: str | None = None
    taken_before: str | None = None
    uploaded_after: str | None = None
    uploaded_before: str | None = None
    licenses: tuple[str, ...] = ()
    """Licence names as in ``newtest.sources.licenses``; empty means any."""


@dataclass(frozen=True)
class Image:
    """A photo as its source describes it. ``sizes`` maps a size's name to (url, width, height)."""

    image_id: str
    source: str
    source_id: str
    url: str | None
    page_url: str | None = None
    title: str | None = None
    license: str | None = None
    owner: str | None = None
    taken_on: str | None = None
    uploaded_on: str | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    sizes: Mapping[str, tuple[str, int | None, int | None]] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    """Whatever else the source said, kept as it was (JSON values)."""


@dataclass(frozen=True)
class SelectionFrequency:
    """``num_selected`` of ``num_shown`` people said that ``image_id`` shows ``wnid``."""

    image_id: str
    wnid: str
    num_selected: int
    num_shown: int

    @property
    def frequency(self) -> float:
        """The share who said yes, in [0, 1]; raises ZeroDivisionError when nobody was asked."""
        return self.num_selected / self.num_shown
