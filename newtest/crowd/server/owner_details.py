"""The owner's pages of one HIT, one image, one worker: what was shown, to whom, for how long, and what they said."""

from __future__ import annotations

import datetime
import sqlite3
import statistics
from collections import Counter
from dataclasses import dataclass, field

from newtest.catalog import owner
from newtest.catalog.asked import Asked, asked_of
from newtest.catalog.crowd import HitImage, hit_images
from newtest.catalog.leases import Lease
from newtest.catalog.owner import HitRow
from newtest.catalog.workers import training_of
from newtest.crowd.answers import ImageAnswer, from_xml, read_answer
from newtest.errors import SourceError
from newtest.reading.jsons import parse_json

__all__ = [
    "Done",
    "HitPage",
    "ImagePage",
    "ShownImage",
    "ShownPair",
    "WorkerPage",
    "hit_page",
    "image_page",
    "name_of",
    "worker_page",
]


@dataclass(frozen=True)
class Done:
    """An assignment with its answers per image; empty where they cannot be read, or the page was a requester's own."""

    lease: Lease
    hit_id: str | None
    label: str
    images: tuple[ImageAnswer, ...] = ()

    @property
    def seconds(self) -> int | None:
        """How long it took."""
        return (
            None
            if self.lease.submitted_at is None
            else round(self.lease.submitted_at - self.lease.accepted_at)
        )

    @property
    def selected(self) -> int:
        """How many images were ticked."""
        return sum(image.value == "yes" for image in self.images)

    @property
    def when(self) -> str:
        """When it was submitted, else when it was begun."""
        at = self.lease.submitted_at or self.lease.accepted_at
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")


@dataclass
class ShownImage:
    """An image of a HIT, and people's answers about it."""

    image: HitImage
    said: Counter[str] = field(default_factory=Counter)
    milliseconds: list[int] = field(default_factory=list)

    @property
    def median(self) -> str:
        """Seconds in view, the median."""
        return f"{statistics.median(self.milliseconds) / 1000:.1f} s" if self.milliseconds else ""


@dataclass
class ShownPair:
    """A pair of a HIT, what is known of it, and people's answers about it."""

    images: tuple[HitImage, HitImage]
    control: str | None
    said: Counter[str] = field(default_factory=Counter)
    milliseconds: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class HitPage:
    """A HIT: its images (or pairs) in the order of the page, and who did it. ``chosen`` counts the classes that were
    chosen for each image's number."""

    hit: HitRow
    images: list[ShownImage]
    done: list[Done]
    pairs: list[ShownPair]
    chosen: dict[int, Counter[str]]


@dataclass(frozen=True)
class ImagePage:
    """An image: where it was shown, and every answer about it: (market's id of the HIT, assignment, answer)."""

    image_id: str
    place: tuple[str, HitImage] | None
    answers: list[tuple[str, Done, ImageAnswer]]


@dataclass(frozen=True)
class WorkerPage:
    """A worker: every assignment, with how many controls were right of how many."""

    worker: str
    label: str
    done: list[tuple[Done, int, int]]
    training: tuple[int, int] | None
    """How much of the practice was right, of how much."""


def name_of(text: str) -> str:
    """The first of a class's names, or a title as it is."""
    try:
        names = parse_json(text)
    except ValueError:
        return text
    return str(names[0]) if isinstance(names, list) and names else text


def hit_page(catalog: sqlite3.Connection, market_hit_id: str) -> HitPage | None:
    """What there is about a HIT; None when there is no such HIT."""
    rows = owner.hit_rows(catalog, limit=1, market_hit_id=market_hit_id)
    if not rows:
        return None
    asked = _asked(catalog, rows[0].hit_id)
    shown = [ShownImage(image) for image in asked.images]
    pairs = _pairs(catalog, rows[0].hit_id, asked) if asked.pairs else []
    chosen: dict[int, Counter[str]] = {}
    done = _done(catalog, owner.assignments_with(catalog, market_hit_id=market_hit_id))
    for one in done:
        places: list[ShownImage | ShownPair] = [*pairs, *shown]
        for place, answer in zip(places, one.images, strict=False):
            chosen.setdefault(answer.number, Counter()).update(asked.options[n - 1] for n in answer.chosen)
            place.said[answer.value] += 1
            place.milliseconds += [] if answer.milliseconds is None else [answer.milliseconds]
    return HitPage(rows[0], shown, done, pairs, chosen)


def _pairs(catalog: sqlite3.Connection, hit_id: str | None, asked: Asked) -> list[ShownPair]:
    place = {image.image_id: image for image in hit_images(catalog, hit_id or "")}
    return [ShownPair((place[pair.image_a], place[pair.image_b]), pair.control) for pair in asked.pairs]


def image_page(catalog: sqlite3.Connection, image_id: str) -> ImagePage | None:
    """What there is about an image; None when no HIT has shown it."""
    places = owner.places_of(catalog, image_id)
    if not places:
        return None
    answers = []
    for market_hit_id, _, position, role in places:
        for one in _done(catalog, owner.assignments_with(catalog, market_hit_id=market_hit_id)):
            if role not in ("example", "pair") and position <= len(one.images):
                answers.append((market_hit_id, one, one.images[position - 1]))
    _, hit_id, position, role = places[0]
    return ImagePage(image_id, (hit_id, HitImage(position, image_id, role)), answers)


def worker_page(catalog: sqlite3.Connection, worker: str) -> WorkerPage | None:
    """What there is about a worker; None for one who has begun nothing."""
    done = _done(catalog, owner.assignments_with(catalog, worker=worker))
    if not done:
        return None
    return WorkerPage(
        worker, done[0].label, [(one, *_controls(catalog, one)) for one in done], training_of(catalog, worker)
    )


def _controls(catalog: sqlite3.Connection, one: Done) -> tuple[int, int]:
    right = total = 0
    for role, answer in zip(_asked(catalog, one.hit_id).roles, one.images, strict=False):
        if role == "attention" or (role in ("positive", "negative") and answer.value != "unseen"):
            total += 1
            right += (answer.value == "yes") == (role != "negative")
    return right, total


def _asked(catalog: sqlite3.Connection, hit_id: str | None) -> Asked:
    return Asked("select", ()) if hit_id is None else asked_of(catalog, hit_id)


def _done(catalog: sqlite3.Connection, rows: list[tuple[Lease, str | None, str]]) -> list[Done]:
    known: dict[str, Asked] = {}
    found = []
    for lease, hit_id, label in rows:
        images: tuple[ImageAnswer, ...] = ()
        if hit_id is not None and lease.answer is not None:
            asked = known.setdefault(hit_id, known.get(hit_id) or asked_of(catalog, hit_id))
            try:
                fields = from_xml(lease.answer)
                images = read_answer(fields, len(asked), options=len(asked.options), own=asked.own).images
            except SourceError:
                images = ()
        found.append(Done(lease, hit_id, label, images))
    return found
