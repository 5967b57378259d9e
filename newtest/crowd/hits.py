"""Planning: images that lack votes become HITs (after Recht et al. 2019, appendix; FACTS.md section 1).

A HIT shows images of one class: those to be voted on, *positive controls* (images of the original set of the
same class) and *negative controls* (of the nearest other class), shuffled. Everything here is pure: same
inputs, same HITs, with the same ids.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from newtest.catalog.asked import HitPair, Kind
from newtest.config import fingerprint
from newtest.draws import generator
from newtest.errors import ConfigError

__all__ = ["ClassImages", "Hit", "PlanConfig", "Role", "plan_class"]

Role = Literal["candidate", "filler", "positive", "negative", "attention", "pair"]


@dataclass(frozen=True)
class PlanConfig:
    """The shape of a HIT. The defaults are ImageNetV2's: 48 = 42 + 3 + 3, ten people each."""

    images: int = 48
    positive: int = 3
    negative: int = 3
    assignments: int = 10
    min_control_frequency: float = 0.7
    """Reference images that fewer people than this share selected are not positive controls (where it is
    known)."""
    fill: Literal["controls", "candidates"] = "controls"
    """What a short HIT is filled with first. 2018 took earlier candidates of the class where there were any;
    controls first is our default, because nobody may see an image of a class twice: fillers bar those who did
    earlier HITs."""
    checks: int = 0
    """Attention checks per HIT: an image of another class with the words "select this one", which gives no vote."""
    ask: Kind = "select"
    """Which images show the class; which of several classes each image shows; or which pairs show one photo."""
    options: int = 5
    """How many classes a choice offers: the HIT's own and the nearest others."""
    examples: int = 3
    """How many reference images a page shows as examples, where enough votes agree on that many."""
    seed: int = 0
    reward: str = "0.10"
    """Dollars per assignment, as a decimal string: what publishing will offer. It is not part of a HIT's id."""
    min_hourly: str | None = None
    """Dollars per hour that nobody should earn less than: a lower median pay is warned of."""

    def __post_init__(self) -> None:
        for name, amount in (("reward", self.reward), ("min_hourly", self.min_hourly or "0")):
            if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", amount):
                raise ConfigError(f"`{name}` is an amount of dollars such as 0.10, got {amount!r}")
        if self.options < 2:
            raise ConfigError("`options` is the number of classes to choose from: at least 2")
        if self.checks and self.ask != "select":
            raise ConfigError(
                "attention checks (`checks`) belong to the question which images show the class"
            )
        if min(self.positive, self.negative, self.checks, self.examples) < 0 or self.assignments < 1:
            raise ConfigError("a plan's counts cannot be negative, and a HIT needs at least one assignment")
        if self.candidates < 1:
            raise ConfigError(
                f"a HIT of {self.images} images has no room left after {self.positive} positive "
                f"and {self.negative} negative controls"
                + (f" and {self.checks} checks" if self.checks else "")
            )

    @property
    def candidates(self) -> int:
        """How many images of a HIT are to be voted on: 42."""
        return self.images - self.positive - self.negative - self.checks


@dataclass(frozen=True)
class ClassImages:
    """What the planner may use for one class. Image ids; the order of the controls is the order of
    preference."""

    wnid: str
    wanted: Sequence[str]
    """Images that lack votes."""
    positives: Sequence[str] = ()
    negatives: Sequence[str] = ()
    earlier: Sequence[str] = ()
    """Candidates of the class that need no more votes."""
    options: Sequence[str] = ()
    """The classes to choose from, where that is asked: this one and others."""
    used: Mapping[str, int] = field(default_factory=dict)
    """How many HITs of this class have shown an image before: the least used controls are taken first."""


@dataclass(frozen=True)
class Hit:
    """One task: which images it shows, in order, and what each is there for."""

    hit_id: str
    wnid: str
    images: tuple[tuple[str, Role], ...]
    assignments: int
    options: tuple[str, ...] = ()
    """The classes that each image may show, where that is asked."""
    pairs: tuple[HitPair, ...] = ()
    """Pairs in the order of the page; the images are theirs then."""

    @property
    def kind(self) -> Kind:
        """What it asks."""
        return "pairs" if self.pairs else "which" if self.options else "select"

    @property
    def size(self) -> int:
        """How many answers an assignment has."""
        return len(self.pairs) or len(self.images)

    def of(self, *roles: Role) -> tuple[str, ...]:
        """The images with one of these roles, in the order of the page."""
        return tuple(image for image, role in self.images if role in roles)


def plan_class(images: ClassImages, config: PlanConfig) -> list[Hit]:
    """HITs that show every wanted image of a class once; none for a class that needs nothing.

    Only the last HIT may be short, and it is filled (positive controls get the odd place). A HIT stays short
    only when the class has not enough controls and earlier candidates to fill it. No image is twice in a HIT;
    images to vote on are never controls.
    """
    wanted = sorted(set(images.wanted))
    generator(config.seed, "plan", images.wnid).shuffle(wanted)
    taken = set(wanted)
    pools = _Pools(
        positives=[i for i in dict.fromkeys(images.positives) if i not in taken],
        negatives=[i for i in dict.fromkeys(images.negatives) if i not in taken],
        earlier=[i for i in dict.fromkeys(images.earlier) if i not in taken],
        used=Counter(images.used),
    )
    steps = range(0, len(wanted), config.candidates)
    options = sorted(images.options)
    generator(config.seed, "options", images.wnid).shuffle(options)
    found = (_hit(images.wnid, wanted[start : start + config.candidates], pools, config) for start in steps)
    if not options:
        return list(found)
    return [
        replace(hit, hit_id=fingerprint(hit.hit_id, options)[:32], options=tuple(options)) for hit in found
    ]


@dataclass
class _Pools:
    """What is left to choose from, and how often each image was shown: changed as HITs are made."""

    positives: list[str]
    negatives: list[str]
    earlier: list[str]
    used: Counter[str]

    def take(self, pool: list[str], count: int, hit: dict[str, Role], role: Role) -> int:
        """Put up to ``count`` images of a pool into a HIT, the least shown first; gives how many there
        were."""
        fresh = sorted((i for i in pool if i not in hit), key=lambda i: self.used[i])[:count]  # a stable sort
        for image in fresh:
            hit[image] = role
            self.used[image] += 1
        return len(fresh)


def _hit(wnid: str, wanted: Sequence[str], pools: _Pools, config: PlanConfig) -> Hit:
    hit: dict[str, Role] = dict.fromkeys(wanted, "candidate")
    if config.fill == "candidates":
        pools.take(pools.earlier, config.candidates - len(wanted), hit, "filler")
    room = config.images - len(hit) - config.checks
    more = room - config.positive - config.negative
    positive = pools.take(pools.positives, config.positive + (more + 1) // 2, hit, "positive")
    pools.take(pools.negatives, room - positive, hit, "negative")
    pools.take(pools.negatives, config.checks, hit, "attention")
    pools.take(pools.positives, config.images - len(hit), hit, "positive")
    pools.take(pools.earlier, config.images - len(hit), hit, "filler")
    for image in wanted:
        pools.used[image] += 1
        pools.earlier.append(image)
    order = sorted(hit)
    hit_id = fingerprint(config.seed, wnid, order, config.assignments)[:32]
    generator(config.seed, "order", hit_id).shuffle(order)
    return Hit(hit_id, wnid, tuple((image, hit[image]) for image in order), config.assignments)
