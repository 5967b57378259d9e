from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtest.crowd.costs import CostConfig, plan_cost, split_saving
from newtest.crowd.hits import ClassImages, Hit, PlanConfig, plan_class
from newtest.errors import ConfigError


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n:03d}" for n in range(count)]


def goldfish(wanted: int, positives: int = 60, negatives: int = 60, **more: Any) -> ClassImages:
    return ClassImages("n01443537", names("c", wanted), names("p", positives), names("n", negatives), **more)


def sizes(hit: Hit) -> tuple[int, int, int, int]:
    return tuple(len(hit.of(role)) for role in ("candidate", "filler", "positive", "negative"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (42, [(42, 0, 3, 3)]),
        (84, [(42, 0, 3, 3)] * 2),
        (29, [(29, 0, 10, 9)]),
        (33, [(33, 0, 8, 7)]),
        (21, [(21, 0, 14, 13)]),
        (50, [(42, 0, 3, 3), (8, 0, 20, 20)]),
        (0, []),
    ],
)
def test_hits_are_42_and_3_and_3_and_a_short_one_is_filled_with_controls(
    wanted: int, expected: list[Any]
) -> None:
    assert [sizes(hit) for hit in plan_class(goldfish(wanted), PlanConfig())] == expected


def test_a_short_hit_can_be_filled_with_earlier_candidates_first() -> None:
    config = PlanConfig(fill="candidates")
    assert [sizes(h) for h in plan_class(goldfish(50), config)] == [(42, 0, 3, 3), (8, 34, 3, 3)]
    assert [sizes(h) for h in plan_class(goldfish(8, earlier=names("e", 10)), config)] == [(8, 10, 15, 15)]


def test_a_hit_stays_short_only_when_nothing_is_left_to_fill_it() -> None:
    (hit,) = plan_class(goldfish(10, positives=4, negatives=2, earlier=names("e", 5)), PlanConfig())
    assert sizes(hit) == (10, 5, 4, 2)
    (hit,) = plan_class(goldfish(40, positives=2, negatives=30), PlanConfig())
    assert sizes(hit) == (40, 0, 2, 6)


def test_controls_are_not_used_again_while_fresh_ones_are_left() -> None:
    hits = plan_class(goldfish(42 * 6, positives=12, negatives=30), PlanConfig())
    negatives = [image for hit in hits for image in hit.of("negative")]
    positives = [image for hit in hits for image in hit.of("positive")]
    assert len(set(negatives)) == len(negatives) == 18
    assert sorted(positives.count(image) for image in set(positives)) == [1] * 6 + [2] * 6
    later = plan_class(goldfish(42, positives=12, used=dict.fromkeys(names("p", 9), 1)), PlanConfig())
    assert set(later[0].of("positive")) == {"p009", "p010", "p011"}


def test_a_wanted_image_is_never_a_control() -> None:
    images = ClassImages("n1", names("r", 10), names("r", 20), names("n", 60))
    (hit,) = plan_class(images, PlanConfig())
    assert set(hit.of("positive")) <= set(names("r", 20)[10:])


@settings(deadline=None, max_examples=40)
@given(
    wanted=st.integers(0, 150),
    positives=st.integers(0, 40),
    negatives=st.integers(0, 40),
    earlier=st.integers(0, 40),
    fill=st.sampled_from(["controls", "candidates"]),
    seed=st.integers(0, 5),
)
def test_every_plan_obeys_the_rules(
    wanted: int, positives: int, negatives: int, earlier: int, fill: Any, seed: int
) -> None:
    config = PlanConfig(fill=fill, seed=seed)
    images = goldfish(wanted, positives, negatives, earlier=names("e", earlier))
    hits = plan_class(images, config)
    assert hits == plan_class(images, config)
    assert sorted(i for hit in hits for i in hit.of("candidate")) == names("c", wanted)
    assert len({hit.hit_id for hit in hits}) == len(hits)
    for hit in hits:
        shown = [image for image, _ in hit.images]
        assert len(set(shown)) == len(shown) <= config.images
        supply = positives + negatives + earlier + wanted
        assert len(shown) == min(config.images, supply) or len(shown) >= min(
            config.images, positives + negatives + 1
        )


def test_the_order_is_shuffled_and_depends_on_the_seed() -> None:
    first, other = (plan_class(goldfish(42), PlanConfig(seed=seed))[0] for seed in (0, 1))
    places = [n for n, (_, role) in enumerate(first.images) if role == "candidate"]
    assert places != list(range(42))
    assert first.hit_id != other.hit_id
    assert first.images != other.images


@pytest.mark.parametrize(
    "values",
    [{"images": 6}, {"positive": -1}, {"assignments": 0}, {"images": 10, "positive": 5, "negative": 5}],
)
def test_an_impossible_shape_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        PlanConfig(**values)  # type: ignore[arg-type]


def recorded(data: Path) -> list[dict[str, Any]]:
    return [
        h
        for f in sorted((data / "imagenetv2/hits").glob("*submitted*.json"))
        for h in json.loads(f.read_text())
    ]


def test_the_hits_of_2018_and_ours_obey_the_same_rules(data: Path) -> None:
    hits = recorded(data)
    assert len(hits) == 178
    similar = json.loads((data / "imagenetv2/metadata/wnid_to_most_similar_wnids.json").read_text())
    validation = json.loads((data / "imagenetv2/datasets/imagenet-validation-original.json").read_text())
    wnid_of = dict(validation["image_filenames"])
    for then in hits:
        inputs = ClassImages(
            then["wnid"], then["images_to_label"], then["images_pos_control"], then["images_neg_control"]
        )
        (ours,) = plan_class(inputs, PlanConfig())
        assert set(ours.of("candidate")) == set(then["images_to_label"])
        assert set(ours.of("positive")) == set(then["images_pos_control"])
        assert set(ours.of("negative")) == set(then["images_neg_control"])
        for images in ([i for i, _ in ours.images], then["images_all"]):
            assert len(set(images)) == len(images) == 48
        assert {wnid_of[i] for i in ours.of("positive")} == {then["wnid"]}
        negative = {wnid_of[i] for i in ours.of("negative")}
        assert then["wnid"] not in negative
        assert len(negative & set(similar[then["wnid"]][1:])) >= 1
        assert 0 <= len(ours.of("positive")) - len(ours.of("negative")) <= 1


def test_the_plan_of_2018_as_a_whole_has_the_published_sizes(data: Path) -> None:
    """All candidates of a class at once, filled as in 2018: as many HITs, of the same composition."""
    then: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for hit in recorded(data):
        then[hit["time"][:10], hit["wnid"]].append(hit)
    config = PlanConfig(fill="candidates")
    for (_, wnid), hits in then.items():
        wanted = sorted({image for hit in hits for image in hit["images_to_label"]})
        controls = {kind: names(kind, 60) for kind in ("p", "n")}
        ours = plan_class(ClassImages(wnid, wanted, controls["p"], controls["n"]), config)
        assert len(ours) == len(hits)
        theirs = sorted((len(h["images_pos_control"]), len(h["images_neg_control"])) for h in hits)
        assert sorted((len(h.of("positive")), len(h.of("negative"))) for h in ours) == theirs


def test_costs_follow_the_market_and_ten_assignments_cost_more_than_nine_and_one() -> None:
    ten = plan_class(goldfish(420), PlanConfig(assignments=10))
    paid = plan_cost(ten, CostConfig(market="mturk"))
    assert (paid.hits, paid.assignments, paid.votes) == (10, 100, 4_800)
    assert (paid.reward, paid.fees, paid.total) == (Decimal("10.00"), Decimal("4.00"), Decimal("14.00"))
    assert paid.hours == pytest.approx(2.0)
    assert paid.hourly == Decimal("5.00")
    nine = plan_cost(plan_class(goldfish(420), PlanConfig(assignments=9)), CostConfig(market="mturk"))
    one = plan_cost(plan_class(goldfish(420), PlanConfig(assignments=1)), CostConfig(market="mturk"))
    assert nine.total + one.total == Decimal("12.00")
    assert split_saving(ten, CostConfig(market="mturk")) == Decimal("2.00")
    assert split_saving(ten, CostConfig()) == 0
    assert plan_cost(ten, CostConfig()).fees == 0
    assert plan_cost([], CostConfig()).total == 0


def test_a_fee_is_at_least_a_cent() -> None:
    cost = plan_cost(plan_class(goldfish(42), PlanConfig()), CostConfig(Decimal("0.01"), "mturk"))
    assert cost.fees == Decimal("0.10")
