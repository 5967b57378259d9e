from __future__ import annotations

import pandas as pd

from newtest.sampling.config import SamplingConfig
from newtest.sampling.eligibility import REASONS, exclusions, reasons
from newtest.sampling.pairs import pairs_of


def _why(config: SamplingConfig, rows: list[dict[str, object]]) -> dict[tuple[str, str], tuple[str, str]]:
    defaults = {"wnid": "a", "num_selected": 9, "num_shown": 10, "blocked": False, "near_duplicate": False}
    defaults |= {"unreviewed": False, "in_parent": False, "no_bytes": False, "component": None}
    pairs = pairs_of(pd.DataFrame([defaults | row for row in rows]), "candidates")
    excluded = exclusions(pairs, reasons(pairs, config))
    keys = zip(excluded["image_id"], excluded["wnid"], strict=True)
    return dict(zip(keys, zip(excluded["reason"], excluded["all_reasons"], strict=True), strict=True))


THRESHOLD = SamplingConfig(strategy="threshold")


def test_the_first_reason_in_order_is_given_and_all_are_kept() -> None:
    bad: dict[str, object] = {"num_selected": 1, "num_shown": 9, "near_duplicate": True, "unreviewed": True}
    why = _why(
        THRESHOLD,
        [
            {"image_id": "1", **bad, "blocked": True, "no_bytes": True},
            {"image_id": "2", **bad, "no_bytes": True},
            {"image_id": "3", **bad},
            {"image_id": "4", **bad, "num_shown": 10},
            {"image_id": "5", "near_duplicate": True, "unreviewed": True},
            {"image_id": "6", "unreviewed": True},
            {"image_id": "7"},
        ],
    )
    assert [why[key, "a"][0] for key in "123456"] == list(REASONS)
    assert why["1", "a"][1] == ",".join(REASONS)
    assert why["5", "a"][1] == "near_duplicate,unreviewed"
    assert ("7", "a") not in why


def test_the_threshold_counts_for_its_strategy_alone_and_a_class_may_have_its_own() -> None:
    rows: list[dict[str, object]] = [
        {"image_id": "1", "num_selected": 7},
        {"image_id": "2", "num_selected": 6},
    ]
    assert _why(THRESHOLD, rows) == {("2", "a"): ("below_threshold", "below_threshold")}
    assert _why(SamplingConfig(), rows) == {}
    assert _why(SamplingConfig(strategy="threshold", class_thresholds=(("a", 0.6), ("z", 0.1))), rows) == {}


def test_exactly_one_of_a_component_stays_and_it_is_one_that_may() -> None:
    why = _why(
        THRESHOLD,
        [
            {"image_id": "1", "component": "c", "num_selected": 2},
            {"image_id": "2", "component": "c", "blocked": True},
            {"image_id": "3", "component": "c", "unreviewed": True},
            {"image_id": "4", "component": "c"},
            {"image_id": "5", "component": "c", "in_parent": True},
            {"image_id": "6", "component": "d", "near_duplicate": True},
        ],
    )
    assert {key[0]: reason for key, (reason, _) in why.items()} == {
        "1": "below_threshold",
        "2": "blocked",
        "3": "near_duplicate",
        "4": "near_duplicate",
        "6": "near_duplicate",
    }


def test_one_photo_serves_one_class() -> None:
    why = _why(
        SamplingConfig(), [{"image_id": "1"}, {"image_id": "1", "wnid": "b"}, {"image_id": "2", "wnid": "b"}]
    )
    assert why == {("1", "b"): ("near_duplicate", "near_duplicate")}


def test_a_photo_that_serves_one_class_badly_may_serve_the_other() -> None:
    why = _why(SamplingConfig(), [{"image_id": "1", "num_shown": 9}, {"image_id": "1", "wnid": "b"}])
    assert why == {("1", "a"): ("few_assignments", "few_assignments")}
