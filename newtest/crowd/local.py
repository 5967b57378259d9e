"""The local annotator: HITs open on newtest's own crowd server, through the study's catalog. Needs nothing
else."""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from newtest.catalog import leases, market, transaction
from newtest.catalog.asked import Asked, Kind, asked_of
from newtest.catalog.kept import kept
from newtest.catalog.leases import Lease
from newtest.catalog.market import HitType, MarketHit
from newtest.catalog.publications import Publication
from newtest.config import fingerprint, from_mapping
from newtest.crowd.annotators import PublishConfig, Returned, Submitted
from newtest.crowd.server.leases import new_id
from newtest.crowd.server.shapes import hit_status
from newtest.crowd.templates import check_template, kind_of_template, load_template, shows_checks
from newtest.errors import ConfigError, StudyError
from newtest.study import Study

__all__ = ["TEMPLATES", "LocalAnnotator", "checked_template", "described_as", "iso", "planned_template"]

TEMPLATES: Mapping[Kind, str] = {
    "select": "select_images",
    "which": "which_classes",
    "pairs": "near_duplicates",
}
ASKS: Mapping[Kind, str] = {
    "select": "which images show a class",
    "which": "which of several classes each image shows",
    "pairs": "which pairs show one photo",
}
DESCRIPTIONS: Mapping[Kind, tuple[str, str]] = {
    "which": (
        "Say which of several things each photo shows",
        "Look at photos and tick what each of them shows.",
    ),
    "pairs": (
        "Find pairs that are one photo twice",
        "Look at pairs of photos and tick those made from one photo.",
    ),
}

STATUS: dict[str, Literal["submitted", "approved", "rejected"]] = {
    "submitted": "submitted",
    "approved": "approved",
    "rejected": "rejected",
}


class LocalAnnotator:
    """An Annotator whose market is the study's own catalog; ``newtest annotate serve`` shows the HITs to
    people."""

    market = "local"
    origin: Literal["local", "mturk"] = "local"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def publish(self, study: Study, intents: Sequence[Publication]) -> Iterator[tuple[str, str]]:
        """Open each HIT; one that is open already (a run was killed in between) is found, not opened
        again."""
        for intent in intents:
            config = from_mapping(
                PublishConfig, kept(intent.settings, "how HITs are published", dict), where="publication"
            )
            with transaction(study.catalog):
                market_hit_id = market.planned_hit(study.catalog, intent.hit_id)
                if market_hit_id is None:
                    asked = asked_of(study.catalog, intent.hit_id)
                    template = planned_template(config.template, asked)
                    described = described_as(config, asked.kind)
                    market_hit_id = self._open(study.catalog, intent.hit_id, described, template)
            yield intent.hit_id, market_hit_id

    def collect(self, study: Study, publication: Publication) -> Returned:
        """Everything submitted for a HIT, as of one moment: the server goes on meanwhile."""
        assert publication.market_hit_id is not None
        with transaction(study.catalog):
            leases.sweep(study.catalog, self._clock())
            hit = market.find_hit(study.catalog, publication.market_hit_id)
            if hit is None:
                raise StudyError(
                    f"the catalog is damaged: HIT {publication.market_hit_id} is published and not there; take "
                    "study.sqlite from a copy"
                )
            found = leases.assignments_of(
                study.catalog, hit.market_hit_id, states=list(STATUS), after=None, limit=hit.max_assignments
            )
            counts = dict(market.counts_of(study.catalog, hit.market_hit_id))
        waiting = counts.get("submitted", 0)  # they may still be decided
        over = hit_status(hit, counts, self._clock()) in ("Reviewable", "Disposed") and not waiting
        return Returned([_submitted(lease) for lease in found], over)

    def _open(self, catalog: sqlite3.Connection, hit_id: str, config: PublishConfig, template: str) -> str:
        fields = (
            config.title, config.description, config.keywords, config.reward, config.duration, config.auto_approval,
        )  # fmt: skip
        hit_type = HitType("3" + fingerprint(fields)[:29].upper(), *fields)
        market.store_hit_type(catalog, hit_type)
        now = self._clock()
        hit = MarketHit(
            market_hit_id=new_id(),
            hit_type_id=hit_type.hit_type_id,
            hit_id=hit_id,
            template_id=market.store_template(catalog, template),
            question=None,
            annotation=hit_id,
            max_assignments=market.planned_assignments(catalog, hit_id),
            created_at=now,
            expires_at=now + config.lifetime,
        )
        market.insert_hit(catalog, hit)
        return hit.market_hit_id


def checked_template(name_or_path: str) -> str:
    """A template's text. Raises UsageError when it cannot be read and ConfigError that says what is wrong
    with it."""
    template = load_template(name_or_path)
    if problems := check_template(template):
        raise ConfigError(f"the template {name_or_path} cannot be used: {'; '.join(problems)}")
    return template


def planned_template(name_or_path: str, asked: Asked | None = None) -> str:
    """A template's text, fit for a planned HIT; the usual one stands for the one of the HIT's own kind.

    Raises ConfigError for one that asks something else: its page would be empty, and "none of these" on it would count
    against every image of the HIT. Without ``asked`` the template alone is checked.
    """
    kind = None if asked is None else asked.kind
    usual = name_or_path == PublishConfig.template and kind is not None
    template = checked_template(TEMPLATES[kind] if usual and kind else name_or_path)
    if kind is not None and (can := kind_of_template(template)) != kind:
        raise ConfigError(
            f"the template {name_or_path} asks {ASKS[can]}, and a planned HIT asks {ASKS[kind]}: leave `template` out, "
            f"or take one like {TEMPLATES[kind]}"
        )
    if asked is not None and "attention" in asked.roles and not shows_checks(template):
        raise ConfigError(
            f"the template {name_or_path} does not show what an attention check says: put ${{image.check}} beside "
            "each image, or plan without `checks`"
        )
    return template


def described_as(config: PublishConfig, kind: Kind) -> PublishConfig:
    """The settings with the title and description of this kind, where the owner gave none."""
    usual = PublishConfig()
    title, description = DESCRIPTIONS.get(kind, (config.title, config.description))
    return replace(
        config,
        title=title if config.title == usual.title else config.title,
        description=description if config.description == usual.description else config.description,
    )


def iso(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _submitted(lease: Lease) -> Submitted:
    return Submitted(
        assignment_id=lease.assignment_id,
        worker=lease.worker,
        status=STATUS[lease.state],
        accepted_at=iso(lease.accepted_at),
        submitted_at=iso(lease.submitted_at),
        answer=lease.answer or "",
    )
