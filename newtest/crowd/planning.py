"""The stage ``plan``: which images of a study lack votes, and the HITs that will bring them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from newtest.catalog import classes, crowd, money, second_labels, transaction
from newtest.catalog.asked import store_question
from newtest.catalog.crowd import CrowdImage, HitImage, references_classes
from newtest.classes.similarity import most_similar
from newtest.classes.wordnet import is_wnid
from newtest.config import canonical_json
from newtest.crowd.hits import ClassImages, Hit, PlanConfig, plan_class
from newtest.crowd.pairs import make_pair_plan
from newtest.crowd.plans import HitPlan
from newtest.draws import generator
from newtest.errors import ConfigError, NotFoundError, UsageError
from newtest.reading.jsons import read_json
from newtest.study import Study, now

__all__ = ["HitPlan", "make_plan", "read_pages", "read_similar", "store_plan", "wordnet_similar"]

MAX_NEAR = 20

Similar = Callable[[str], Sequence[str]]
"""The other classes of a class, nearest first."""


@dataclass(frozen=True)
class _Options:
    """What stays the same for all classes of a plan."""

    config: PlanConfig
    similar: Similar
    votes: int


def make_plan(
    catalog: sqlite3.Connection,
    config: PlanConfig,
    similar: Similar,
    *,
    votes: int | None = None,
    wnids: Sequence[str] | None = None,
    max_hits: int | None = None,
) -> HitPlan:
    """HITs for every image (or pair) with fewer than ``votes`` votes of people (given or underway), by default the
    number of assignments. Nothing is written.

    Raises UsageError for a class that the study does not have, or that has no other to choose from.

    With ``max_hits`` the plan stops there; ``left`` counts the images that were left out.
    """
    known = classes.wnids(catalog)
    if unknown := sorted(set(wnids or ()) - set(known)):
        raise NotFoundError(f"{unknown[0]}: this study has no such class; newtest collect adds one")
    if config.ask == "pairs":
        return make_pair_plan(catalog, config, votes=votes, wnids=wnids, max_hits=max_hits)
    options = _Options(config, similar, votes or config.assignments)
    hits: list[Hit] = []
    examples: dict[str, Sequence[str]] = {}
    warnings: list[str] = []
    left = lacking = 0
    for wnid in sorted(set(wnids)) if wnids is not None else known:
        images, examples[wnid] = _class_images(catalog, wnid, options)
        planned = plan_class(images, config)
        kept = planned[: max_hits - len(hits)] if max_hits is not None else planned
        lacking += crowd.without_bytes(catalog, wnid, options.votes)
        left += len(set(images.wanted)) - sum(len(hit.of("candidate")) for hit in kept)
        hits += kept
        warnings += _warnings(wnid, kept, config)
    return HitPlan(config, hits, examples, left, warnings, lacking)


def store_plan(study: Study, plan: HitPlan) -> int:
    """Keep a plan's HITs in the study, all or none; gives how many were new.

    The plan's reward holds for every HIT that is not published, those of earlier plans too.
    """
    stored = 0
    text = canonical_json(plan.config)
    with study.exclusive("annotate-plan"), transaction(study.catalog):
        for hit in plan.hits:
            images = [HitImage(n, image, role) for n, (image, role) in enumerate(hit.images, 1)]
            images += [
                HitImage(n, image, "example")
                for n, image in enumerate(plan.examples.get(hit.wnid, ()), len(images) + 1)
            ]
            key = (hit.hit_id, hit.wnid, hit.assignments)
            new = crowd.store_hit(study.catalog, key, images, plan=text, planned_at=now())
            stored += new
            if new and hit.kind != "select":
                store_question(study.catalog, hit.hit_id, hit.kind, hit.options, hit.pairs)
        money.reprice(study.catalog, plan.config.reward)
    return stored


def read_similar(path: Path) -> Similar:
    """Nearest classes from a JSON table: wnid -> list of wnids, nearest first (the class itself may be among
    them).

    Raises ConfigError. ImageNetV2's ``wnid_to_most_similar_wnids.json`` is such a table, a confusion table
    another.
    """
    table = _read_table(path)
    return lambda wnid: [other for other in table.get(wnid, ()) if other != wnid]


def wordnet_similar(catalog: sqlite3.Connection) -> Similar:
    """Nearest classes by WordNet path similarity, among the classes that have reference images in this study."""
    with_references = references_classes(catalog)

    def similar(wnid: str) -> list[str]:
        if not is_wnid(wnid):
            return []
        among = [other for other in with_references if is_wnid(other)]
        return [other for other, _ in most_similar(wnid, among, MAX_NEAR)]

    return similar


def read_pages(path: Path) -> dict[str, str]:
    """Encyclopedia pages from a JSON table: wnid -> URL or list of URLs (the first is taken). Raises
    ConfigError."""
    return {wnid: urls[0] for wnid, urls in _read_table(path).items() if urls}


def _read_table(path: Path) -> dict[str, list[str]]:
    try:
        table = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable JSON table ({error})") from error
    if not isinstance(table, dict) or not all(isinstance(value, (str, list)) for value in table.values()):
        raise ConfigError(f"{path}: a JSON object is required, wnid -> list")
    return {
        wnid: [value] if isinstance(value, str) else [str(v) for v in value] for wnid, value in table.items()
    }


def _class_images(
    catalog: sqlite3.Connection, wnid: str, options: _Options
) -> tuple[ClassImages, Sequence[str]]:
    """What the planner may use for one class, and the examples of its page."""
    state = [*crowd.class_state(catalog, wnid), *second_labels.asked_about(catalog, wnid)]
    used = crowd.shown_counts(catalog, wnid)
    examples = crowd.examples_of(catalog, wnid) or _choose_examples(state, used, options)
    lacking = [i for i in state if i.num_shown + i.underway < options.votes and i.image_id not in examples]
    reserved = _reserved(lacking, _controls(state, options, wnid), options.config)
    wanted = {i.image_id for i in lacking} - reserved
    images = ClassImages(
        wnid,
        wanted=sorted(wanted),
        positives=[i for i in _controls(state, options, wnid) if i not in wanted and i not in examples],
        negatives=_negatives(catalog, wnid, options) if wanted else (),
        earlier=[i.image_id for i in state if not i.original and i.image_id not in wanted],
        used=used,
        options=_choice(catalog, wnid, options) if wanted and options.config.ask == "which" else (),
    )
    return images, examples


def _choice(catalog: sqlite3.Connection, wnid: str, options: _Options) -> list[str]:
    """The class and its nearest others that the study knows. Raises UsageError where there is no other: people would
    be paid for a choice of one."""
    known = set(classes.wnids(catalog))
    near = [other for other in options.similar(wnid) if other in known and other != wnid]
    if not near:
        raise UsageError(
            f"{wnid}: no near class to choose from; add classes, name them with `similar`, or ask about other classes"
        )
    return [wnid, *list(dict.fromkeys(near))[: options.config.options - 1]]


def _reserved(lacking: Sequence[CrowdImage], controls: Sequence[str], config: PlanConfig) -> set[str]:
    """Reference images without votes that are better shown as positive controls: they get their votes there too.

    Only as many as the HITs need beyond the controls that have votes already.
    """
    in_need = {i.image_id for i in lacking}
    spare = [image for image in controls if image not in in_need]
    needed = config.positive * math.ceil(len(lacking) / config.candidates) - len(spare)
    return set([image for image in controls if image in in_need][: max(0, needed)])


def _controls(state: Sequence[CrowdImage], options: _Options, name: str) -> list[str]:
    """Reference images that people agree on, those with votes first; unvoted ones are taken on the original's
    word."""
    least = options.config.min_control_frequency
    voted = [
        i.image_id for i in state if i.original and i.num_shown and i.num_selected >= least * i.num_shown
    ]
    unknown = [i.image_id for i in state if i.original and not i.num_shown]
    for pool in (voted, unknown):
        generator(options.config.seed, "controls", name).shuffle(pool)
    return voted + unknown


def _negatives(catalog: sqlite3.Connection, wnid: str, options: _Options) -> list[str]:
    """Controls of the nearest other classes, class by class, until there are enough for a HIT of nothing
    else."""
    state = [*crowd.class_state(catalog, wnid), *second_labels.asked_about(catalog, wnid)]
    own = {i.image_id for i in state}
    found: list[str] = []
    for other in options.similar(wnid):
        if len(found) >= options.config.images:
            break
        others = crowd.class_state(catalog, other)
        found += [i for i in _controls(others, options, f"{wnid}/{other}") if i not in own]
    return found


def _choose_examples(state: Sequence[CrowdImage], used: Mapping[str, int], options: _Options) -> list[str]:
    """Reference images with enough votes that agree, and that no HIT has shown; none where there are too
    few."""
    config = options.config
    sure = [
        i.image_id
        for i in state
        if i.original
        and i.num_shown >= options.votes
        and i.num_selected >= config.min_control_frequency * i.num_shown
        and i.image_id not in used
    ]
    generator(config.seed, "examples").shuffle(sure)
    spare = len(sure) - config.positive
    return sorted(sure[: config.examples]) if spare >= config.examples > 0 else []


def _warnings(wnid: str, hits: Sequence[Hit], config: PlanConfig) -> list[str]:
    found = []
    if any(len(hit.of("positive")) < config.positive for hit in hits):
        found.append(f"{wnid}: too few positive controls: add a reference set with images of this class")
    if any(len(hit.of("negative")) < config.negative for hit in hits):
        found.append(f"{wnid}: too few negative controls: no reference images of near classes")
    if any(len(hit.of("attention")) < config.checks for hit in hits):
        found.append(
            f"{wnid}: too few images of near classes for {config.checks} attention checks in every HIT"
        )
    if short := [hit for hit in hits if hit.size < config.images]:
        found.append(
            f"{wnid}: {len(short)} HIT(s) with fewer than {config.images} images: nothing is left to fill them"
        )
    return found
