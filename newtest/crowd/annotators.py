"""Where HITs go and answers come from: the Annotator protocol, and the stages that work with every one of
them.

An annotator gets intents that are already written down and gives back the market's ids one by one; each is
stored before the next is asked for. Killed at any point and started again, a stage continues where it was: what
an intent has made is found again by the annotator, never made twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, Protocol

from newtest.catalog import make_durable, money, publications, transaction
from newtest.catalog.asked import Asked, asked_of
from newtest.catalog.publications import Collected, Publication
from newtest.config import canonical_json, fingerprint
from newtest.crowd.answers import from_xml, read_answer
from newtest.crowd.costs import check_limit, total_of
from newtest.crowd.pairs import judge_pairs
from newtest.errors import SourceError, UsageError
from newtest.study import Study, now

__all__ = [
    "Annotator",
    "CollectSummary",
    "PublishConfig",
    "Returned",
    "Submitted",
    "collect",
    "publish",
    "rewards_of",
]

OLD_REWARD = "0.10"
"""What studies paid whose plans do not say it."""


@dataclass(frozen=True)
class PublishConfig:
    """How HITs are described, paid and timed."""

    title: str = "Select all images that show a given thing"
    description: str = "Look at photos and select those that show what the task names."
    keywords: str = "images, labelling, photos"
    reward: str = ""
    """Dollars per assignment, as a decimal string. It belongs to the plan: empty is what each HIT's plan says, and
    another amount is refused where the plan says one."""
    duration: int = 1800
    """Seconds that a worker may take for one HIT."""
    lifetime: int = 7 * 86_400
    """Seconds that a HIT stays open."""
    auto_approval: int = 3 * 86_400
    """Seconds after which work that nobody decided on is approved."""
    template: str = "select_images"
    """One of newtest's templates by name, or the path of your own."""
    language: str = "en"
    """Of the template's texts on a market that gets whole pages; our own server has a setting for all its pages."""


@dataclass(frozen=True)
class Submitted:
    """An assignment as a market gives it. ``worker`` is the keyed hash already; times are ISO 8601 in UTC."""

    assignment_id: str
    worker: str
    status: Literal["submitted", "approved", "rejected"]
    accepted_at: str | None
    submitted_at: str | None
    answer: str
    """QuestionFormAnswers XML."""


@dataclass(frozen=True)
class Returned:
    """What a market has for one HIT; ``over`` when nothing more can come."""

    assignments: Sequence[Submitted]
    over: bool


class Annotator(Protocol):
    """A market. ``origin`` is what its votes are called in the catalog."""

    @property
    def market(self) -> str: ...

    @property
    def origin(self) -> Literal["local", "mturk"]: ...

    def publish(self, study: Study, intents: Sequence[Publication]) -> Iterator[tuple[str, str]]:
        """Open the intended HITs, or find them where they are open already; yields (hit_id, market's id) for
        each."""
        ...

    def collect(self, study: Study, publication: Publication) -> Returned:
        """Everything that was submitted for a HIT so far."""
        ...


@dataclass(frozen=True)
class CollectSummary:
    """What a run of ``collect`` brought. ``unread``: answers that are not in the form's language, by
    assignment."""

    assignments: int
    votes: int
    closed: int
    empty: int
    """Assignments in which nothing was ticked, not even "none of these": no votes."""
    unread: tuple[str, ...] = ()


def publish(
    study: Study,
    annotator: Annotator,
    config: PublishConfig,
    hit_ids: Sequence[str],
    *,
    max_cost: Decimal | None = None,
) -> int:
    """Publish HITs of the plan, and finish what an earlier run had begun; gives how many are published now
    for the first time. Raises what the annotator raises; what was published before stays.

    HITs that another run has published since they were chosen, here or on another market, are left out: between the
    choice and the call somebody types a total, and nothing may be paid for twice. Raises UsageError when all that this
    call opens costs more than ``max_cost`` dollars, fees included.
    """
    done = 0
    make_durable(study.catalog)
    with study.exclusive("annotate-publish"):
        tokens = {
            hit_id: fingerprint(annotator.market, hit_id, study.secret_for("publish").hex())
            for hit_id in hit_ids
        }
        with transaction(study.catalog):
            check_limit(_cost_of_all(study, annotator.market, config, hit_ids), max_cost)
            free = {hit_id for hit_id, _ in publications.unpublished(study.catalog, annotator.market)}
            publications.intend(
                study.catalog,
                [hit_id for hit_id in hit_ids if hit_id in free],
                annotator.market,
                tokens=tokens,
                settings=_settings(study, config, hit_ids),
                at=now(),
            )
        intents = [
            p for p in publications.publications(study.catalog, annotator.market) if p.market_hit_id is None
        ]
        for hit_id, market_hit_id in annotator.publish(study, intents):
            publications.published(
                study.catalog, hit_id, annotator.market, market_hit_id=market_hit_id, at=now()
            )
            done += 1
    return done


def rewards_of(study: Study, config: PublishConfig, hit_ids: Sequence[str]) -> dict[str, str]:
    """HIT -> dollars per assignment: the plan's. Raises UsageError where ``config`` says another amount."""
    planned = money.planned_rewards(study.catalog)
    found = {}
    for hit_id in hit_ids:
        found[hit_id] = planned.get(hit_id) or config.reward or OLD_REWARD
        if config.reward and Decimal(config.reward) != Decimal(found[hit_id]):
            raise UsageError(
                f"the plan pays ${found[hit_id]} an assignment, not ${config.reward}: newtest annotate plan sets the "
                "`reward` of HITs that are not published; nothing was published"
            )
    return found


def _settings(study: Study, config: PublishConfig, hit_ids: Sequence[str]) -> dict[str, str]:
    rewards = rewards_of(study, config, hit_ids)
    return {
        hit_id: canonical_json(replace(config, reward=f"{Decimal(reward):.2f}"))
        for hit_id, reward in rewards.items()
    }


def _cost_of_all(study: Study, market: str, config: PublishConfig, hit_ids: Sequence[str]) -> Decimal:
    """Dollars of what a call opens: what an earlier run began, and the HITs chosen now that are still free."""
    rewards = rewards_of(study, config, hit_ids)
    free = [
        (n, rewards[hit_id])
        for hit_id, n in publications.unpublished(study.catalog, market)
        if hit_id in rewards
    ]
    return total_of([*publications.unfinished(study.catalog, market), *free], market)


def collect(study: Study, annotator: Annotator) -> CollectSummary:
    """Fetch what was submitted, store it, and make votes of it. Running it again adds nothing twice."""
    assignments = votes = closed = empty = 0
    unread: list[str] = []
    make_durable(study.catalog)
    with study.exclusive("annotate-collect"):
        for publication in publications.open_publications(study.catalog, annotator.market):
            returned = annotator.collect(study, publication)
            asked = asked_of(study.catalog, publication.hit_id)
            found = []
            for submitted in returned.assignments:
                try:
                    found.append(_read(submitted, publication, asked))
                except SourceError as error:
                    unread.append(f"{submitted.assignment_id}: {error}")
            with transaction(study.catalog):
                at = now()
                stored = [(c, publications.store_assignment(study.catalog, c, at=at)) for c in found]
                new = [c for c, what in stored if what == "new"]
                # one that was rejected and is approved after all ("changed") gets its votes back
                if ids := sorted(c.assignment_id for c, what in stored if what != "known"):
                    batch = (
                        fingerprint(annotator.market, ids),
                        annotator.origin,
                        f"collected from {annotator.market}",
                    )
                    votes += publications.store_votes(study.catalog, batch, ids, at=at)
                if returned.over:
                    publications.close_publication(
                        study.catalog, publication.hit_id, publication.market, at=at
                    )
            assignments += len(new)
            empty += sum(not c.explicit for c in new)
            closed += returned.over
        with transaction(study.catalog):
            publications.drop_rejected_votes(study.catalog)
            judge_pairs(study.catalog, at=now())
    return CollectSummary(assignments, votes, closed, empty, tuple(unread))


def _read(submitted: Submitted, publication: Publication, asked: Asked) -> Collected:
    answer = read_answer(from_xml(submitted.answer), len(asked), options=len(asked.options), own=asked.own)
    rows = list(zip(asked.images, answer.images, strict=not asked.pairs))
    return Collected(
        assignment_id=submitted.assignment_id,
        hit_id=publication.hit_id,
        market=publication.market,
        worker=submitted.worker,
        status=submitted.status,
        accepted_at=submitted.accepted_at,
        submitted_at=submitted.submitted_at,
        explicit=answer.explicit,
        answers=[(image.image_id, one.value, one.milliseconds) for image, one in rows],
        chosen=[(image.image_id, asked.options[n - 1]) for image, one in rows for n in one.chosen],
        pairs=[(one.number, one.value, one.milliseconds) for one in answer.images] if asked.pairs else [],
    )
